//! The objects of an operator sandbox as a pure function of the plan: what `--plan` prints is what a drill makes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ApiResource, DynamicObject, ObjectMeta};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::names::{NO_SIDECAR, Names};
use super::room::Sizes;
use crate::cnpg::{self, BARMAN_CLOUD_PLUGIN, Postgresql, SKIP_WAL_ARCHIVING_ANNOTATION};
use crate::plan::{Credentials, OperatorSandbox};
use crate::probe::isolation::is_scheduler;
use crate::source::cluster::{Method, SourceCluster};
use crate::target::{Choice, Stop};

/// The name that the scratch `Cluster` gives to the archive it recovers from.
const ORIGIN: &str = "source";
/// Keys of the copied Secret.
const ACCESS_KEY_ID: &str = "ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "SESSION_TOKEN";
const REGION: &str = "REGION";
const AUTHORITY: &str = "ca.crt";
/// A scratch server has nobody to wait for when it is told to stop (seconds).
const STOP_DELAY: u32 = 30;
const SMART_SHUTDOWN_LIMIT: u32 = 5;

/// One object to make.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub resource: ApiResource,
    pub object: DynamicObject,
}

impl Manifest {
    /// `kind` of `group`/`version` (an empty group is the core one), named and labelled as the run's.
    pub fn new(resource: ApiResource, name: &str, names: &Names, owner: Option<&OwnerReference>, data: Value) -> Self {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(names.namespace.clone()),
            labels: Some(names.labels()),
            annotations: Some(names.annotations()),
            owner_references: owner.map(|owner| vec![owner.clone()]),
            ..ObjectMeta::default()
        };
        Self {
            object: DynamicObject {
                types: Some(kube::api::TypeMeta {
                    api_version: resource.api_version.clone(),
                    kind: resource.kind.clone(),
                }),
                metadata,
                data,
            },
            resource,
        }
    }

    pub fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    /// `Cluster postgres-restore-test/walproof-…`, as people write it.
    pub fn text(&self) -> String {
        let namespace = self.object.metadata.namespace.as_deref().unwrap_or_default();
        format!("{} {namespace}/{}", self.resource.kind, self.name())
    }

    /// As YAML-compatible JSON, the values of a Secret replaced by what they are.
    pub fn shown(&self) -> Value {
        let mut shown = serde_json::to_value(&self.object).expect("an object is JSON");
        if let Some(data) = shown.get_mut("stringData").and_then(Value::as_object_mut) {
            for (_, value) in data.iter_mut() {
                *value = "(not shown)".into();
            }
        }
        shown
    }
}

pub fn core(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk("", "v1", kind))
}

pub fn job() -> ApiResource {
    ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk("batch", "v1", "Job"))
}

/// The object that owns everything else of the run: where it goes, all goes.
pub fn owner(names: &Names, holder: Option<&str>) -> Manifest {
    let data = json!({"data": {"holder": holder.unwrap_or_default(), "expires": names.expires.to_string()}});
    Manifest::new(core("ConfigMap"), &names.name, names, None, data)
}

/// The key to the archive, under names of its own.
pub fn store_secret(source: &SourceCluster, names: &Names, owner: Option<&OwnerReference>) -> Manifest {
    let mut data = Map::new();
    if let Credentials::Keys { access_key_id, secret_access_key, session_token } = &source.location.credentials {
        data.insert(ACCESS_KEY_ID.to_owned(), access_key_id.expose_secret().into());
        data.insert(SECRET_ACCESS_KEY.to_owned(), secret_access_key.expose_secret().into());
        if let Some(token) = session_token {
            data.insert(SESSION_TOKEN.to_owned(), token.expose_secret().into());
        }
    }
    if has_region(source) {
        data.insert(REGION.to_owned(), source.location.region.clone().into());
    }
    if let Some(authority) = &source.authority {
        data.insert(AUTHORITY.to_owned(), String::from_utf8_lossy(authority).into());
    }
    Manifest::new(core("Secret"), &names.store(), names, owner, json!({"type": "Opaque", "stringData": data}))
}

/// The plugin's description of the archive; None with the in-tree method, where the `Cluster` has it.
pub fn object_store(source: &SourceCluster, names: &Names, owner: Option<&OwnerReference>) -> Option<Manifest> {
    if source.method == Method::InTree {
        return None;
    }
    let mut spec = json!({"configuration": store(source, names)});
    if let Some(sidecar) = &source.sidecar {
        let mut kept = pick(sidecar, &["resources", "logLevel"]);
        let environment = sidecar.get("env").and_then(Value::as_array).into_iter().flatten();
        let environment: Vec<&Value> = environment.filter(|variable| is_for_the_store(variable)).collect();
        if !environment.is_empty() {
            kept["env"] = json!(environment);
        }
        spec["instanceSidecarConfiguration"] = kept;
    }
    Some(Manifest::new(cnpg::object_stores(), &names.store(), names, owner, json!({"spec": spec})))
}

/// The scratch `Cluster`, recovered from the archive to the chosen point. It names no archive to write to.
pub fn cluster(
    source: &SourceCluster,
    sandbox: &OperatorSandbox,
    sizes: &Sizes,
    choice: &Choice,
    names: &Names,
    owner: Option<&OwnerReference>,
) -> Manifest {
    let spec = &source.cluster.spec;
    let (database, database_owner) = application(source);
    let mut external = json!({"name": ORIGIN});
    match source.method {
        Method::InTree => {
            external["barmanObjectStore"] = store(source, names);
            external["barmanObjectStore"]["serverName"] = source.server_name.clone().into();
        }
        Method::Plugin => {
            external["plugin"] = json!({
                "name": BARMAN_CLOUD_PLUGIN,
                "parameters": {"barmanObjectName": names.store(), "serverName": source.server_name},
            });
        }
    }
    let mut manifest = json!({
        "instances": 1,
        "imageName": source.image_for(sandbox),
        "enableSuperuserAccess": true,
        "enablePDB": false,
        "stopDelay": STOP_DELAY,
        "smartShutdownTimeout": SMART_SHUTDOWN_LIMIT,
        "inheritedMetadata": {
            "labels": names.inherited_labels(),
            "annotations": {NO_SIDECAR.0: NO_SIDECAR.1},
        },
        "affinity": {
            "enablePodAntiAffinity": false,
            // Not beside production where another node is free.
            "additionalPodAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "namespaces": [source.namespace],
                    "labelSelector": {"matchLabels": {cnpg::CLUSTER_LABEL: source.name}},
                },
            }]},
        },
        "storage": volume(&spec.storage, &sizes.data),
        "postgresql": postgresql(&spec.postgresql),
        "bootstrap": {"recovery": {
            "source": ORIGIN,
            "database": database,
            "owner": database_owner,
            "recoveryTarget": recovery_target(choice),
        }},
        "externalClusters": [external],
    });
    if let (Some(storage), Some(size)) = (&spec.wal_storage, &sizes.wal) {
        manifest["walStorage"] = volume(storage, size);
    }
    if !spec.tablespaces.is_empty() {
        let tablespace = |(tablespace, size): (&cnpg::Tablespace, &String)| {
            let mut written = json!({"name": tablespace.name, "storage": volume(&tablespace.storage, size)});
            if let Some(owner) = &tablespace.owner {
                written["owner"] = owner.clone();
            }
            if tablespace.temporary {
                written["temporary"] = true.into();
            }
            written
        };
        manifest["tablespaces"] = spec.tablespaces.iter().zip(&sizes.tablespaces).map(tablespace).collect();
    }
    if let Some(resources) = &spec.resources {
        manifest["resources"] = resources.clone();
    }
    if !spec.image_pull_secrets.is_empty() {
        manifest["imagePullSecrets"] = json!(spec.image_pull_secrets);
    }
    let environment: Vec<&Value> = spec.env.iter().filter(|variable| is_for_the_store(variable)).collect();
    if !environment.is_empty() {
        manifest["env"] = json!(environment);
    }
    for (key, value) in [("postgresUID", spec.postgres_uid), ("postgresGID", spec.postgres_gid)] {
        if let Some(value) = value {
            manifest[key] = value.into();
        }
    }
    let mut made = Manifest::new(cnpg::clusters(), &names.name, names, owner, json!({"spec": manifest}));
    let annotations = made.object.metadata.annotations.get_or_insert_default();
    annotations.insert(SKIP_WAL_ARCHIVING_ANNOTATION.to_owned(), "enabled".to_owned());
    made
}

/// Where a restore here is not the one that a person would do by hand, in a few words each.
pub fn deviations(source: &SourceCluster, sandbox: &OperatorSandbox, choice: &Choice) -> Vec<String> {
    let mut deviations = vec![
        format!("base backup pinned to {} and timeline to {}", choice.backup, choice.history.timeline),
        "one instance, archiving off, no logical replication workers".to_owned(),
        format!("volumes {} times the source's size", sandbox.storage_factor),
    ];
    if let Some(image) = &sandbox.image_override {
        deviations.push(format!("image {image} instead of {}", source.image().unwrap_or("the source's")));
    }
    if source.key == crate::source::cluster::KeyOrigin::Configured {
        deviations.push("a key of walproof's to the archive instead of production's".to_owned());
    }
    let dropped: Vec<&str> = source
        .cluster
        .spec
        .postgresql
        .shared_preload_libraries
        .iter()
        .filter(|library| is_scheduler(library))
        .map(String::as_str)
        .collect();
    if !dropped.is_empty() {
        deviations.push(format!("not preloaded, because they start jobs: {}", dropped.join(", ")));
    }
    deviations
}

/// The application's database and its owner, as production's `bootstrap` names them.
fn application(source: &SourceCluster) -> (String, String) {
    let bootstrap = source.cluster.spec.bootstrap.as_ref();
    let method = ["initdb", "recovery", "pg_basebackup"]
        .iter()
        .find_map(|method| bootstrap?.get(method))
        .cloned()
        .unwrap_or_default();
    let named = |key: &str| method.get(key).and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned);
    // The operator's own defaults: the owner is called as the database.
    let database = named("database").unwrap_or_else(|| "app".to_owned());
    let owner = named("owner").unwrap_or_else(|| database.clone());
    (database, owner)
}

/// The store's configuration with our Secret, and without what is for writing.
fn store(source: &SourceCluster, names: &Names) -> Value {
    let key = |key: &str| json!({"name": names.store(), "key": key});
    let mut credentials = json!({"accessKeyId": key(ACCESS_KEY_ID), "secretAccessKey": key(SECRET_ACCESS_KEY)});
    if matches!(&source.location.credentials, Credentials::Keys { session_token: Some(_), .. }) {
        credentials["sessionToken"] = key(SESSION_TOKEN);
    }
    if has_region(source) {
        credentials["region"] = key(REGION);
    }
    let mut store = json!({"destinationPath": source.store.destination_path, "s3Credentials": credentials});
    if let Some(endpoint) = &source.store.endpoint_url {
        store["endpointURL"] = endpoint.clone().into();
    }
    if source.authority.is_some() {
        store["endpointCA"] = key(AUTHORITY);
    }
    let readers = [
        ("wal", source.store.wal.as_ref(), ["maxParallel", "restoreAdditionalCommandArgs"]),
        ("data", source.store.data.as_ref(), ["jobs", "restoreAdditionalCommandArgs"]),
    ];
    for (part, written, keys) in readers {
        let kept = written.map(|written| pick(written, &keys)).unwrap_or_default();
        if kept.as_object().is_some_and(|kept| !kept.is_empty()) {
            store[part] = kept;
        }
    }
    store
}

fn has_region(source: &SourceCluster) -> bool {
    source.store.s3_credentials.as_ref().is_some_and(|credentials| credentials.region.is_some())
}

/// An environment variable that tells the store's client how to talk, and that holds no secret.
fn is_for_the_store(variable: &Value) -> bool {
    let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
    name.starts_with("AWS_") && !name.contains("KEY") && !name.contains("TOKEN") && variable.get("value").is_some()
}

fn postgresql(written: &Postgresql) -> Value {
    let mut parameters = written.parameters.clone();
    // The operator preloads this one by itself when it has parameters.
    parameters.retain(|name, _| !name.starts_with("pg_failover_slots."));
    parameters.insert("max_logical_replication_workers".to_owned(), "0".to_owned());
    let libraries: Vec<&String> =
        written.shared_preload_libraries.iter().filter(|library| !is_scheduler(library)).collect();
    if libraries.iter().any(|library| *library == "timescaledb") {
        // It has to be preloaded for its tables to be read; without workers it starts no job.
        parameters.insert("timescaledb.max_background_workers".to_owned(), "0".to_owned());
    }
    let mut postgresql = json!({"parameters": parameters});
    if !libraries.is_empty() {
        postgresql["shared_preload_libraries"] = json!(libraries);
    }
    if !written.extensions.is_empty() {
        postgresql["extensions"] = json!(written.extensions);
    }
    postgresql
}

fn recovery_target(choice: &Choice) -> Value {
    let mut target = json!({"backupID": choice.backup, "targetTLI": choice.history.timeline.to_string()});
    match &choice.stop {
        Stop::BeforeLsn(lsn) => {
            target["targetLSN"] = lsn.to_string().into();
            target["exclusive"] = true.into();
        }
        // With its `T` the operator converts it; without, PostgreSQL would refuse the `Z`.
        Stop::Time(time) => target["targetTime"] = time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into(),
        Stop::Xid(xid) => target["targetXID"] = xid.to_string().into(),
        Stop::RestorePoint(name) => target["targetName"] = name.clone().into(),
        Stop::EndOfArchive => {}
    }
    target
}

fn volume(written: &cnpg::Storage, size: &str) -> Value {
    let mut volume = json!({"size": size});
    if let Some(class) = written.class() {
        volume["storageClass"] = class.into();
    }
    volume
}

/// The keys that `from` has among `keys`.
fn pick(from: &Value, keys: &[&str]) -> Value {
    let kept = keys.iter().filter_map(|&key| Some((key.to_owned(), from.get(key)?.clone())));
    Value::Object(kept.collect())
}

#[cfg(test)]
mod tests;

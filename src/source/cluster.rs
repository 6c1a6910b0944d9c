//! The source's `Cluster`: where it archives, by which method, with which key. Read once, before anything is made.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use secrecy::SecretString;

use crate::authority::{self, Defect};
use crate::cnpg::{self, BARMAN_CLOUD_PLUGIN, BarmanObjectStore, Cluster, ObjectStore, Plugin, SecretKey};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::{self, ApiError, Kubernetes, secret_value};
use crate::plan::{
    ArchiveLocation, Authority, Credentials, FromCluster, OperatorSandbox, REGION_OF_OTHER_STORES, bucket_and_path,
};

/// What a drill needs to know of its source before it asks anything else.
#[derive(Debug, Clone)]
pub struct SourceCluster {
    pub namespace: String,
    pub name: String,
    /// The `Cluster` as it was read.
    pub cluster: Cluster,
    pub method: Method,
    /// The store as production is configured to use it.
    pub store: BarmanObjectStore,
    /// The plugin's settings for its sidecar, in the form of the `ObjectStore`.
    pub sidecar: Option<serde_json::Value>,
    /// The name of the plugin's `ObjectStore`.
    pub object_store: Option<String>,
    /// The archive's directory in the store.
    pub server_name: String,
    /// Of the store's endpoint.
    pub authority: Option<Vec<u8>>,
    /// The archive for walproof itself.
    pub location: ArchiveLocation,
    pub key: KeyOrigin,
    /// Production's own key, or why it is not known here.
    pub production_key: Result<Credentials, String>,
}

/// Who archives and restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `spec.backup.barmanObjectStore`: the operator itself, up to 1.30.
    InTree,
    /// The Barman Cloud plugin and its `ObjectStore`.
    Plugin,
}

/// Whose key walproof and the sandbox use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrigin {
    Configured,
    Production,
}

impl SourceCluster {
    /// `namespace/name`, as people write it.
    pub fn text(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The image that production runs.
    pub fn image(&self) -> Option<&str> {
        let status = self.cluster.status.as_ref();
        let running = status.and_then(|status| status.pg_data_image_info.as_ref()?.image.as_deref());
        let wanted = status.and_then(|status| status.image.as_deref());
        running.or(wanted).or(self.cluster.spec.image_name.as_deref())
    }

    /// The image that the sandbox runs: the override, else production's.
    pub fn image_for<'a>(&'a self, sandbox: &'a OperatorSandbox) -> Option<&'a str> {
        sandbox.image_override.as_deref().or(self.image())
    }

    /// The major version of PostgreSQL that production runs.
    pub fn major(&self) -> Option<u32> {
        self.cluster.status.as_ref()?.pg_data_image_info.as_ref()?.major_version
    }

    /// Looks the `Cluster` up, and everything that it names.
    pub async fn read(kubernetes: &Kubernetes, from: &FromCluster) -> Result<Self, Box<Finding>> {
        let cluster = read_cluster(kubernetes, from).await?;
        let text = format!("{}/{}", from.namespace, from.cluster);
        let Archive { method, store, sidecar, object_store, server_name } =
            archive_of(kubernetes, from, &cluster, &text).await?;
        supported(&store, &text)?;

        let secrets: Api<Secret> = Api::namespaced(kubernetes.client.clone(), &from.namespace);
        let authority =
            match &store.endpoint_ca {
                Some(reference) => {
                    let pem = secret_value(&secrets, &reference.name, &reference.key).await;
                    // The S3 client would panic on what is no certificate.
                    let pem = pem.and_then(|pem| certificates(&pem, reference).map(|()| pem));
                    Some(pem.map_err(|reason| {
                        Box::new(unusable("the authority of the store's endpoint", reference, reason))
                    })?)
                }
                None => None,
            };
        let production_key = production_key(&secrets, &store).await;
        let (key, credentials) = match (&from.credentials, &production_key) {
            (Some(configured), _) => (KeyOrigin::Configured, configured.clone()),
            (None, Ok(production)) => (KeyOrigin::Production, production.clone()),
            (None, Err(reason)) => {
                return Err(Box::new(
                    Finding::not_checked(Code::CredentialsUnusable, "there is no key to the archive")
                        .of(&text)
                        .expected("`archive.fromCluster.credentials`, or production's own key where it may be read")
                        .observed(reason)
                        .hint("configure a key that can only read: `archive.fromCluster.credentials`"),
                ));
            }
        };
        let region = match store.s3_credentials.as_ref().and_then(|credentials| credentials.region.as_ref()) {
            Some(reference) => read_text(&secrets, reference)
                .await
                .map_err(|reason| Box::new(unusable("the region of the store", reference, reason)))?,
            None => REGION_OF_OTHER_STORES.to_owned(),
        };
        let (bucket, path) = bucket_and_path(&store.destination_path).map_err(|reason| {
            Box::new(not_supported(&text, format!("`destinationPath` {}: {reason}", store.destination_path)))
        })?;
        let location = ArchiveLocation {
            bucket,
            path,
            server_name: server_name.clone(),
            endpoint: from.endpoint.clone().or_else(|| store.endpoint_url.clone()),
            region,
            authority: authority.clone().map(Authority::Pem),
            credentials,
        };
        Ok(Self {
            namespace: from.namespace.clone(),
            name: from.cluster.clone(),
            cluster,
            method,
            store,
            sidecar,
            object_store,
            server_name,
            authority,
            location,
            key,
            production_key,
        })
    }
}

async fn read_cluster(kubernetes: &Kubernetes, from: &FromCluster) -> Result<Cluster, Box<Finding>> {
    let api: Api<Cluster> = Api::namespaced_with(kubernetes.client.clone(), &from.namespace, &cnpg::clusters());
    let text = format!("{}/{}", from.namespace, from.cluster);
    let doing = format!("read the Cluster {text}");
    match kubernetes::get(&api, &doing, &from.cluster).await {
        Ok(Some(cluster)) => Ok(cluster),
        Ok(None) => Err(Box::new(
            Finding::failed(Code::SourceClusterUnreadable, Blame::Environment, "there is no such Cluster")
                .of(text)
                .hint("are the source's `namespace` and `archive.fromCluster.cluster` right?"),
        )),
        Err(error) => Err(Box::new(unreadable(&text, &error))),
    }
}

fn unreadable(text: &str, error: &ApiError) -> Finding {
    Finding::failed(Code::SourceClusterUnreadable, Blame::Environment, "what describes the source could not be read")
        .of(text)
        .observed(error.to_string())
        .hint(error.hint())
}

/// How and where the source archives, as its objects say.
struct Archive {
    method: Method,
    store: BarmanObjectStore,
    sidecar: Option<serde_json::Value>,
    object_store: Option<String>,
    server_name: String,
}

/// Which store the `Cluster` archives to, by which method, and under which name.
async fn archive_of(
    kubernetes: &Kubernetes,
    from: &FromCluster,
    cluster: &Cluster,
    text: &str,
) -> Result<Archive, Box<Finding>> {
    let enabled = |plugin: &&Plugin| plugin.enabled != Some(false);
    let plugin = cluster.spec.plugins.iter().filter(enabled).find(|plugin| plugin.name == BARMAN_CLOUD_PLUGIN);
    if let Some(plugin) = plugin {
        let Some(name) = plugin.parameters.get("barmanObjectName") else {
            return Err(Box::new(not_supported(text, "the Barman Cloud plugin without `barmanObjectName`".to_owned())));
        };
        let api: Api<ObjectStore> =
            Api::namespaced_with(kubernetes.client.clone(), &from.namespace, &cnpg::object_stores());
        let doing = format!("read the ObjectStore {}/{name}", from.namespace);
        let store = kubernetes::get(&api, &doing, name).await.map_err(|error| Box::new(unreadable(text, &error)))?;
        let Some(store) = store else {
            return Err(Box::new(
                Finding::failed(Code::SourceClusterUnreadable, Blame::Source, "its ObjectStore does not exist")
                    .of(format!("{}/{name}", from.namespace))
                    .hint("the source archives nothing until this ObjectStore is there"),
            ));
        };
        let server_name = plugin.parameters.get("serverName").cloned().unwrap_or_else(|| from.cluster.clone());
        return Ok(Archive {
            method: Method::Plugin,
            store: store.spec.configuration,
            sidecar: store.spec.instance_sidecar_configuration,
            object_store: Some(name.clone()),
            server_name,
        });
    }
    let backup = cluster.spec.backup.as_ref();
    if let Some(store) = backup.and_then(|backup| backup.barman_object_store.clone()) {
        let server_name = store.server_name.clone().unwrap_or_else(|| from.cluster.clone());
        return Ok(Archive { method: Method::InTree, store, sidecar: None, object_store: None, server_name });
    }
    let others: Vec<&str> = cluster.spec.plugins.iter().filter(enabled).map(|plugin| plugin.name.as_str()).collect();
    let what = if backup.is_some_and(|backup| backup.volume_snapshot.is_some()) {
        "volume snapshots alone, without an archive of WAL in an object store".to_owned()
    } else if others.is_empty() {
        "no backup at all: neither `spec.backup.barmanObjectStore` nor the Barman Cloud plugin".to_owned()
    } else {
        format!("neither `spec.backup.barmanObjectStore` nor the Barman Cloud plugin, but {}", others.join(", "))
    };
    Err(Box::new(not_supported(text, what)))
}

/// Only S3 with a key can be listed and copied.
fn supported(store: &BarmanObjectStore, text: &str) -> Result<(), Box<Finding>> {
    let credentials = store.s3_credentials.as_ref();
    let what = if store.azure_credentials.is_some() {
        "Azure Blob Storage"
    } else if store.google_credentials.is_some() {
        "Google Cloud Storage"
    } else if credentials.is_some_and(|credentials| credentials.inherit_from_iam_role) {
        "S3 by an IAM role (`inheritFromIAMRole`)"
    } else if credentials.is_none() {
        "an object store without `s3Credentials`"
    } else {
        return Ok(());
    };
    Err(Box::new(not_supported(text, what.to_owned())))
}

/// For a Secret beside the access key that talking to the store takes.
fn unusable(what: &str, reference: &SecretKey, reason: String) -> Finding {
    Finding::not_checked(Code::CredentialsUnusable, format!("{what} cannot be used"))
        .of(&reference.name)
        .observed(reason)
        .hint("grant `get` on this Secret by name (docs/kubernetes.md), or correct what it holds")
}

/// Refuses what a client cannot take for the authority of a certificate.
fn certificates(pem: &[u8], reference: &SecretKey) -> Result<(), String> {
    let SecretKey { name, key } = reference;
    match authority::roots(pem) {
        Ok(_) => Ok(()),
        Err(Defect::Empty) => Err(format!("key {key} of Secret {name} holds no certificate in PEM")),
        Err(Defect::Broken(error)) => Err(format!("key {key} of Secret {name} holds a broken certificate: {error}")),
    }
}

fn not_supported(text: &str, what: String) -> Finding {
    Finding::not_checked(Code::SourceNotSupported, "walproof does not support the way this source archives yet")
        .of(text)
        .expected("barman-cloud archives in S3, with an access key in a Secret")
        .observed(what)
        .hint("the direct sandbox with `archive: {s3: …}` proves any barman-cloud archive that S3 requests can read")
}

async fn production_key(secrets: &Api<Secret>, store: &BarmanObjectStore) -> Result<Credentials, String> {
    let credentials = store.s3_credentials.as_ref().ok_or("the store has no `s3Credentials`")?;
    let part = async |reference: &Option<SecretKey>, name: &str| -> Result<SecretString, String> {
        let reference = reference.as_ref().ok_or(format!("`s3Credentials` names no {name}"))?;
        Ok(read_text(secrets, reference).await?.into())
    };
    Ok(Credentials::Keys {
        access_key_id: part(&credentials.access_key_id, "accessKeyId").await?,
        secret_access_key: part(&credentials.secret_access_key, "secretAccessKey").await?,
        session_token: match credentials.session_token {
            Some(_) => Some(part(&credentials.session_token, "sessionToken").await?),
            None => None,
        },
    })
}

/// The text under one key of a Secret, without the space around it.
async fn read_text(secrets: &Api<Secret>, reference: &SecretKey) -> Result<String, String> {
    let value = secret_value(secrets, &reference.name, &reference.key).await?;
    let value = String::from_utf8(value)
        .map_err(|_| format!("key {} of Secret {} is not text", reference.key, reference.name))?;
    Ok(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_is_no_certificate_is_named_before_a_client_sees_it() {
        let reference = SecretKey { name: "minio-ca".to_owned(), key: "ca.crt".to_owned() };
        let pem = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        for (name, content, expected) in [
            ("nothing", String::new(), "holds no certificate in PEM"),
            ("binary", "0\u{82}".to_owned(), "holds no certificate in PEM"),
            ("no base64", pem("%%%"), "holds a broken certificate: "),
            ("not a certificate", pem("AAAA"), "holds a broken certificate: "),
            ("cut", pem("AAAA").replace("-----END CERTIFICATE-----", ""), "holds a broken certificate: "),
        ] {
            let reason = certificates(content.as_bytes(), &reference).expect_err(name);
            assert!(reason.starts_with(&format!("key ca.crt of Secret minio-ca {expected}")), "{name}: {reason}");
        }
    }
}

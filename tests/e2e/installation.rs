//! walproof as docs/kubernetes installs it: the manifests as they are, but for the placeholders that every user
//! replaces, and the secrets that docs/kubernetes.md tells a user to make. Done once for all cases, and left for the
//! next run.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::source::{IN_TREE, PLUGIN, Source};
use crate::{kubectl, process, sandbox, store};

pub const NAMESPACE: &str = "walproof";
const MANIFESTS: [&str; 6] =
    ["namespaces.yaml", "identity.yaml", "sandbox.yaml", "network.yaml", "configuration.yaml", "history.yaml"];

/// Installs walproof for the in-tree source, unless that was done, and removes what a killed run of the cases left.
#[track_caller]
pub fn ready() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        process::stop_on_signals();
        image();
        let mut objects: Vec<Value> = MANIFESTS.into_iter().flat_map(kubectl::documents).collect();
        replace_placeholders(&mut objects);
        kubectl::apply(&objects);
        sweep();
        store::put_back();
        admit(&IN_TREE);
    });
}

/// The image that the cluster has.
#[track_caller]
pub fn image() -> String {
    std::env::var("WALPROOF_IMAGE").expect("WALPROOF_IMAGE names the image of walproof that the cluster has")
}

/// Lets the drill read this source, and its baseline container log in.
#[track_caller]
pub fn admit(source: &Source) {
    kubectl::apply(&documents_for("source.yaml", source));
    let password = password();
    let sql = include_str!("../../docs/kubernetes/read-only-role.sql");
    source.script(sql, ("password", &password));
    source.keep_replay_short();
    let authority = secret(source.namespace, &format!("{}-ca", source.cluster), "ca.crt");
    let key = |name| secret(source.namespace, "walproof-s3-read", name);
    let keys = json!({"ACCESS_KEY_ID": key("ACCESS_KEY_ID"), "ACCESS_SECRET_KEY": key("ACCESS_SECRET_KEY")});
    kubectl::apply(&[
        made("Secret", "walproof-postgres", "stringData", &json!({"password": password})),
        made("Secret", "walproof-s3-read", "stringData", &keys),
        made("ConfigMap", source.authority, "data", &json!({"ca.crt": authority})),
    ]);
}

/// A manifest of docs/kubernetes, which names the in-tree source, for this one.
#[track_caller]
pub fn documents_for(file: &str, source: &Source) -> Vec<Value> {
    let renamed = |text: String| {
        text.replace(&format!("\"{}\"", IN_TREE.namespace), &format!("\"{}\"", source.namespace))
            .replace(IN_TREE.cluster, source.cluster)
    };
    let documents = kubectl::documents(file).into_iter();
    documents.map(|document| serde_json::from_str(&renamed(document.to_string())).unwrap()).collect()
}

/// The configuration of configuration.yaml, for this source.
#[track_caller]
pub fn configuration(source: &Source) -> Value {
    let documents = kubectl::documents("configuration.yaml");
    let text = documents[0]["data"]["walproof.yaml"].as_str().expect("the ConfigMap holds walproof.yaml");
    let mut configuration: Value = serde_saphyr::from_str(text).expect("it is YAML");
    let entry = &mut configuration["sources"][0];
    entry["name"] = source.cluster.into();
    entry["namespace"] = source.namespace.into();
    entry["backup"] = "newest".into();
    entry["connection"]["host"] = format!("{}-rw.{}.svc", source.cluster, source.namespace).into();
    if source.cluster != IN_TREE.cluster {
        // history.yaml makes a history for the in-tree source alone.
        configuration.as_object_mut().unwrap().remove("history");
    }
    configuration
}

fn replace_placeholders(objects: &mut [Value]) {
    let (addresses, port) = endpoints("default", "kubernetes");
    let (caches, _) = endpoints("kube-system", "kube-dns");
    for object in objects {
        let text = object.to_string();
        let text =
            text.replace(&block("192.0.2.1"), &blocks(&addresses)).replace(&block("192.0.2.53"), &blocks(&caches));
        *object = serde_json::from_str(&text.replace("\"port\":6443", &format!("\"port\":{port}"))).unwrap();
    }
}

fn block(address: &str) -> String {
    json!({"ipBlock": {"cidr": format!("{address}/32")}}).to_string()
}

fn blocks(addresses: &[String]) -> String {
    let blocks: Vec<String> = addresses.iter().map(|address| block(address)).collect();
    blocks.join(",")
}

/// Where a service leads: its addresses and first port.
#[track_caller]
pub fn endpoints(namespace: &str, service: &str) -> (Vec<String>, u64) {
    let selector = format!("kubernetes.io/service-name={service}");
    let slices = kubectl::list(&["endpointslices", "--namespace", namespace, "--selector", &selector]);
    let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap());
    let addresses = endpoints.map(|endpoint| endpoint["addresses"][0].as_str().unwrap().to_owned()).collect();
    let port = slices.first().and_then(|slice| slice["ports"][0]["port"].as_u64());
    (addresses, port.unwrap_or_else(|| panic!("service {namespace}/{service} has no endpoints")))
}

/// Made once; another one each time would lock a drill out that runs meanwhile.
fn password() -> String {
    static PASSWORD: OnceLock<String> = OnceLock::new();
    PASSWORD
        .get_or_init(|| {
            let is_known =
                kubectl::attempt(&["get", "secret", "walproof-postgres", "--namespace", NAMESPACE]).exit_code == 0;
            if is_known {
                return secret(NAMESPACE, "walproof-postgres", "password");
            }
            std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().to_owned()
        })
        .clone()
}

/// One value of a secret.
#[track_caller]
pub fn secret(namespace: &str, name: &str, key: &str) -> String {
    let template = format!("{{{{index .data \"{key}\" | base64decode}}}}");
    kubectl::run(&["get", "secret", name, "--namespace", namespace, "--output", &format!("go-template={template}")])
}

fn made(kind: &str, name: &str, field: &str, content: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        field: content,
    })
}

/// What cases made that were killed.
fn sweep() {
    let pods = kubectl::list(&["pods", "--namespace", NAMESPACE, "--selector", kubectl::LABEL]);
    for pod in &pods {
        crate::drill_pod::remove(pod["metadata"]["name"].as_str().unwrap());
    }
    for namespace in [NAMESPACE, sandbox::NAMESPACE, IN_TREE.namespace, PLUGIN.namespace, "minio", "cnpg-system"] {
        let kinds = "configmaps,resourcequotas,networkpolicies,rolebindings,roles";
        kubectl::attempt(&["delete", kinds, "--namespace", namespace, "--selector", kubectl::LABEL]);
    }
    if !sandbox::contents().is_empty() {
        sandbox::clear();
    }
}

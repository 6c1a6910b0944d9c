//! The network test: a pod with the labels of the recovery pod reaches the object store, and reaches neither production
//! nor the operator.
//! It runs before the restore, since a recovery that is shut off from its archive hangs without a word, and since a
//! restored application must have nobody to talk to.

mod ending;
mod judge;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use serde_json::{Value, json};

pub(super) use self::ending::{Ending, output, wait};
use super::Sandbox;
use super::manifest::{Manifest, core};
use super::names::{NO_SIDECAR, Names};
use crate::cnpg::CLUSTER_LABEL;
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes;
use crate::plan::OperatorSandbox;
use crate::source::cluster::SourceCluster;
use crate::source::endpoint::Endpoint;

const CONTAINER: &str = "network";
const CONNECTIONS: &str = include_str!("network/connections.sh");
/// What connections.sh takes when nothing answers is a minute.
const LIMIT: Duration = Duration::from_secs(90);
/// What a pod that nobody watches any more may take, the pull of its image included (seconds).
const DEADLINE: u32 = 600;
const LINES: i64 = 20;
/// `postgres` in CloudNativePG's images.
const POSTGRES_ID: i64 = 26;
const PRODUCTION_PORT: u16 = 5432;
/// The Service of the operator's webhooks, by the name and port that CloudNativePG's manifests and chart give it, in its
/// usual namespace. A policy of production's own may close production to everybody; this one is open to whom no egress
/// policy stops, and it is up whenever a restore can be done at all. A Service's address cannot be tried at a port that it
/// does not have: what happens then depends on kube-proxy's mode, not on policies.
const STRAY_HOST: &str = "cnpg-webhook-service.cnpg-system.svc";
const STRAY_PORT: u16 = 443;

/// The pod that tests the network, labelled as the recovery pod will be.
pub fn manifest(
    source: &SourceCluster,
    sandbox: &OperatorSandbox,
    names: &Names,
    owner: Option<&OwnerReference>,
) -> Manifest {
    let spec = &source.cluster.spec;
    let endpoint = Endpoint::of(source);
    let (scheme, host, port) = match &endpoint {
        Some(endpoint) => (endpoint.scheme(), endpoint.host.as_str(), endpoint.port.to_string()),
        None => ("", "", String::new()),
    };
    let environment = [
        ("STORE_SCHEME", scheme.to_owned()),
        ("STORE_HOST", host.to_owned()),
        ("STORE_PORT", port),
        ("PRODUCTION_HOST", production_host(source)),
        ("PRODUCTION_PORT", PRODUCTION_PORT.to_string()),
        ("STRAY_HOST", STRAY_HOST.to_owned()),
        ("STRAY_PORT", STRAY_PORT.to_string()),
    ];
    let environment: Vec<Value> =
        environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let data = json!({"spec": {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": DEADLINE,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "imagePullSecrets": spec.image_pull_secrets,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": spec.postgres_uid.unwrap_or(POSTGRES_ID),
            "runAsGroup": spec.postgres_gid.unwrap_or(POSTGRES_ID),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{
            "name": CONTAINER,
            "image": source.image_for(sandbox),
            "command": ["bash", "-c", CONNECTIONS],
            "env": environment,
            "resources": {
                "requests": {"cpu": "50m", "memory": "32Mi"},
                "limits": {"cpu": "200m", "memory": "32Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
        }],
    }});
    let mut made = Manifest::new(core("Pod"), &names.network(), names, owner, data);
    let metadata = &mut made.object.metadata;
    // A tear-down knows its objects by our own labels: they win.
    let mut labels = recovery_labels(source, names);
    labels.append(metadata.labels.get_or_insert_default());
    metadata.labels = Some(labels);
    metadata.annotations.get_or_insert_default().insert(NO_SIDECAR.0.to_owned(), NO_SIDECAR.1.to_owned());
    made
}

/// Runs the test and removes its pod. Always says something of the store and of the egress.
pub async fn test(sandbox: &mut Sandbox, source: &SourceCluster, plan: &OperatorSandbox) -> Vec<Finding> {
    let Some(endpoint) = Endpoint::of(source) else {
        return not_tested(vec![], "the source's endpointURL is no http or https address");
    };
    if source.image_for(plan).is_none() {
        return not_tested(vec![], "the source's image is not known");
    }
    let manifest = manifest(source, plan, &sandbox.names, sandbox.owner());
    if let Err(finding) = sandbox.make(&manifest).await {
        return not_tested(vec![*finding], "the pod of the network test could not be made");
    }
    let findings = observe(sandbox, source, &endpoint).await;
    sandbox.remove(&manifest.resource, manifest.name()).await;
    findings
}

async fn observe(sandbox: &Sandbox, source: &SourceCluster, endpoint: &Endpoint) -> Vec<Finding> {
    let namespace = &sandbox.names.namespace;
    let name = sandbox.names.network();
    let pods: Api<Pod> = Api::namespaced(sandbox.kubernetes.client.clone(), namespace);
    let doing = format!("read the pod {namespace}/{name}");
    match wait(async || kubernetes::get(&pods, &doing, &name).await, CONTAINER, LIMIT).await {
        Ending::Exited { exit_code: 0, .. } => match output(&pods, &name, CONTAINER, LINES).await {
            Ok(output) => judge::judge(&output, source, endpoint, namespace),
            Err(error) => not_tested(vec![], &error.to_string()),
        },
        Ending::Exited { exit_code, reason } => {
            let observed = format!("the pod ended with exit code {exit_code} ({reason})");
            let hint = "does its image have bash, as CloudNativePG's do?";
            not_tested(vec![], &observed).into_iter().map(|finding| finding.hint(hint)).collect()
        }
        Ending::Stuck(reason) => {
            let finding = Finding::failed(
                Code::SandboxPending,
                Blame::Environment,
                "the pod of the network test does not run",
            )
            .of(format!("{namespace}/{name}"))
            .expected("it starts within 45 s")
            .observed(reason)
            .hint(
                "the recovery's pod has the same image: can this namespace pull it (`sandbox.operator.imageOverride`)?",
            );
            not_tested(vec![finding], "the pod of the network test does not run")
        }
        Ending::Late => not_tested(vec![], &format!("the pod did not end within {} s", LIMIT.as_secs())),
        Ending::Unknown(reason) => not_tested(vec![], &reason),
    }
}

/// The findings of a test that did not come to its end, behind those that say why.
fn not_tested(mut findings: Vec<Finding>, observed: &str) -> Vec<Finding> {
    for (code, summary) in [
        (Code::NetworkStoreBlocked, "whether the recovery pod reaches the object store was not tested"),
        (Code::NetworkEgressOpen, "whether the sandbox's egress is closed was not tested"),
    ] {
        findings.push(Finding::not_checked(code, summary).observed(observed));
    }
    findings
}

/// What the operator writes on the pod that recovers, as far as it is known before.
fn recovery_labels(source: &SourceCluster, names: &Names) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = [
        (CLUSTER_LABEL, names.name.clone()),
        ("cnpg.io/instanceName", format!("{}-1", names.name)),
        ("cnpg.io/jobRole", "full-recovery".to_owned()),
        ("app.kubernetes.io/name", "postgresql".to_owned()),
        ("app.kubernetes.io/instance", names.name.clone()),
        ("app.kubernetes.io/component", "database".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(major) = source.major() {
        labels.insert("app.kubernetes.io/version".to_owned(), major.to_string());
    }
    labels
}

/// The Service of production's primary.
fn production_host(source: &SourceCluster) -> String {
    format!("{}-rw.{}.svc", source.name, source.namespace)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::source::fixture::source;

    fn names() -> Names {
        Names::new("sandbox", "20261121t124500z-a1b2c3", "postgres.prod", Timestamp::UNIX_EPOCH)
    }

    fn plan() -> OperatorSandbox {
        OperatorSandbox { namespace: "sandbox".to_owned(), image_override: None, storage_factor: 2.0, app: None }
    }

    fn made(source: &SourceCluster, plan: &OperatorSandbox) -> Value {
        manifest(source, plan, &names(), None).shown()
    }

    fn environment(pod: &Value) -> BTreeMap<String, String> {
        let variables = pod["spec"]["containers"][0]["env"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        variables.map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect()
    }

    #[test]
    fn the_pod_has_the_recovery_pods_labels_and_is_still_ours() {
        let labels = manifest(&source(), &plan(), &names(), None).object.metadata.labels.unwrap();
        for (name, value) in names().labels().into_iter().chain(recovery_labels(&source(), &names())) {
            assert_eq!(labels.get(&name), Some(&value), "{name}");
        }
        assert_eq!(labels["cnpg.io/cluster"], "walproof-20261121t124500z-a1b2c3");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "walproof");
        assert_eq!(labels["app.kubernetes.io/version"], "17");
    }

    #[test]
    fn the_pod_is_as_small_and_powerless_as_it_can_be() {
        let pod = made(&source(), &plan());
        let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
        assert_eq!(pod["metadata"]["name"], "walproof-20261121t124500z-a1b2c3-network");
        assert_eq!(pod["metadata"]["annotations"]["sidecar.istio.io/inject"], "false");
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["restartPolicy"], "Never");
        assert_eq!(spec["imagePullSecrets"], json!([{"name": "registry"}]));
        assert_eq!(spec["securityContext"]["runAsUser"], 26);
        assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(container["resources"]["limits"]["memory"], "32Mi");
    }

    #[test]
    fn the_pod_has_the_image_of_the_recovery() {
        let image = |plan: &OperatorSandbox| made(&source(), plan)["spec"]["containers"][0]["image"].clone();
        assert_eq!(image(&plan()), "registry.example/postgresql:17.5");
        assert_eq!(image(&OperatorSandbox { image_override: Some("other:17".to_owned()), ..plan() }), "other:17");
    }

    #[test]
    fn hosts_and_ports_are_no_part_of_the_shells_text() {
        let mut source = source();
        let pod = made(&source, &plan());
        assert_eq!(pod["spec"]["containers"][0]["command"], json!(["bash", "-c", CONNECTIONS]));
        let expected = [
            ("STORE_SCHEME", "http"),
            ("STORE_HOST", "minio.minio.svc"),
            ("STORE_PORT", "9000"),
            ("PRODUCTION_HOST", "prod-rw.postgres.svc"),
            ("PRODUCTION_PORT", "5432"),
            ("STRAY_HOST", "cnpg-webhook-service.cnpg-system.svc"),
            ("STRAY_PORT", "443"),
        ];
        let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(environment(&pod), expected);
        source.store.endpoint_url = None;
        let aws = environment(&made(&source, &plan()));
        assert_eq!((aws["STORE_HOST"].as_str(), aws["STORE_PORT"].as_str()), ("s3.eu-central-1.amazonaws.com", "443"));
    }

    #[test]
    fn a_source_with_its_own_postgres_user_has_it_in_the_test_too() {
        let mut source = source();
        source.cluster.spec.postgres_uid = Some(1001);
        assert_eq!(made(&source, &plan())["spec"]["securityContext"]["runAsUser"], 1001);
    }

    #[test]
    fn a_test_that_did_not_run_leaves_both_questions_open() {
        let codes: Vec<Code> = not_tested(vec![], "no image").iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::NetworkStoreBlocked, Code::NetworkEgressOpen]);
    }
}

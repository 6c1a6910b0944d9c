//! walproof outside the cluster with a KUBECONFIG of the same service account, as from a laptop.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::drill_pod::Drill;
use crate::forward::Forward;
use crate::installation::{self, NAMESPACE};
use crate::judged::Judged;
use crate::source::IN_TREE;
use crate::{kubectl, process, sandbox};

const ENDS: Duration = Duration::from_mins(15);

#[test]
fn a_drill_outside_the_cluster_passes_through_the_api_server() {
    let baseline = Drill::of(&IN_TREE).baseline();
    let laptop = Laptop::new(&baseline);
    let _forwarding = kubectl::lend(kubectl::documents("optional/outside.yaml"));

    let judged = laptop.drill(&["--output", "json"]);

    assert_eq!(sandbox::contents(), Vec::<String>::new(), "{judged}");
    judged.passes();
}

#[test]
fn a_plan_prints_the_manifests_and_the_permissions_and_makes_nothing() {
    let baseline = Drill::of(&IN_TREE).baseline();
    let laptop = Laptop::new(&baseline);
    let made = sandbox::Watch::begin();

    let judged = laptop.drill(&["--plan"]);

    assert_eq!(judged.exit_code, 0, "{judged}");
    for part in ["kind: Cluster", "kind: Secret", "backupID", sandbox::NAMESPACE, "clusters", "create"] {
        assert!(judged.log.contains(part), "no {part}\n{judged}");
    }
    assert!(!judged.log.contains("walproof-reader-secret"), "{judged}");
    assert_eq!(made.end(), Vec::<String>::new(), "{judged}");
    let accepted = laptop.would_make(&judged);
    for object in ["configmap/", "pod/", "secret/", "cluster.postgresql.cnpg.io/"] {
        assert!(accepted.contains(object), "the API server accepts no {object}\n{accepted}\n{judged}");
    }
}

/// A machine outside the cluster: a token, the object store forwarded to a local port, a baseline.
struct Laptop {
    directory: TempDir,
    _store: Forward,
}

impl Laptop {
    #[track_caller]
    fn new(baseline: &str) -> Self {
        let store = Forward::begin("minio", "service/minio", 9000);
        let directory = tempfile::Builder::new().prefix("walproof-e2e-").tempdir().unwrap();
        let mut configuration = installation::configuration(&IN_TREE);
        let key = |name| json!(directory.path().join(name));
        configuration["sources"][0]["archive"]["fromCluster"] = json!({
            "endpoint": format!("http://127.0.0.1:{}", store.port),
            "credentials": {"files": {"accessKeyId": key("ACCESS_KEY_ID"), "secretAccessKey": key("ACCESS_SECRET_KEY")}},
        });
        configuration["sources"][0].as_object_mut().unwrap().remove("connection");
        // Outside of a pod nothing says in which namespace it is.
        configuration["history"]["configMaps"]["namespace"] = NAMESPACE.into();
        for name in ["ACCESS_KEY_ID", "ACCESS_SECRET_KEY"] {
            write(directory.path(), name, &installation::secret(NAMESPACE, "walproof-s3-read", name));
        }
        write(directory.path(), "walproof.yaml", &configuration.to_string());
        write(directory.path(), "baseline.json", baseline);
        write(directory.path(), "kubeconfig", &kubeconfig().to_string());
        Self { directory, _store: store }
    }

    #[track_caller]
    fn drill(&self, arguments: &[&str]) -> Judged {
        let file = |name| self.directory.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_walproof"));
        command.env("KUBECONFIG", file("kubeconfig")).env_remove("RUST_LOG").env("NO_COLOR", "1");
        command.arg("drill").arg("--config").arg(file("walproof.yaml"));
        command.arg("--baseline").arg(file("baseline.json")).args(arguments);
        let finished = process::run(&mut command, ENDS);
        Judged { exit_code: finished.exit_code.into(), log: finished.stderr + &finished.stdout }
    }

    /// What the API server says of the manifests of a plan when walproof's service account would make them.
    #[track_caller]
    fn would_make(&self, plan: &Judged) -> String {
        let manifests = plan.log.find("\n---\n").map(|begin| &plan.log[begin..]).unwrap_or_default();
        let manifests = manifests.lines().take_while(|line| !line.starts_with("It writes nothing"));
        write(self.directory.path(), "plan.yaml", &manifests.collect::<Vec<_>>().join("\n"));
        let file = |name: &str| self.directory.path().join(name).into_os_string().into_string().unwrap();
        let (kubeconfig, plan) = (file("kubeconfig"), file("plan.yaml"));
        let how = ["--dry-run=server", "--validate=strict", "--output=name"];
        kubectl::run(&[&["--kubeconfig", &kubeconfig, "create", "--filename", &plan], &how[..]].concat())
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

/// The cluster of the administrator's KUBECONFIG, with a token of walproof's service account.
#[track_caller]
fn kubeconfig() -> Value {
    let text = kubectl::run(&["config", "view", "--minify", "--flatten", "--output", "json"]);
    let ours: Value = serde_json::from_str(&text).unwrap();
    let token = kubectl::run(&["create", "token", "walproof", "--namespace", NAMESPACE, "--duration", "1h"]);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": ours["clusters"][0]["cluster"]}],
        "users": [{"name": "walproof", "user": {"token": token.trim()}}],
        "contexts": [{"name": "walproof", "context": {"cluster": "cluster", "user": "walproof"}}],
        "current-context": "walproof",
    })
}

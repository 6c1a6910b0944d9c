//! The sandbox's namespace, from outside: what is in it, and that nothing is.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kubectl;

pub const NAMESPACE: &str = "postgres-restore-test";
/// How long a restore may take to begin.
const BEGINS: Duration = Duration::from_mins(5);
const KINDS: [&str; 7] = [
    "clusters.postgresql.cnpg.io",
    "pods",
    "persistentvolumeclaims",
    "secrets",
    "configmaps",
    "jobs.batch",
    "services",
];
/// Kubernetes puts it into every namespace.
const NOBODYS: &str = "kube-root-ca.crt";

/// Everything that a drill could have left, as `Kind/name`.
#[track_caller]
pub fn contents() -> Vec<String> {
    contents_of(NAMESPACE)
}

/// The same of another sandbox's namespace.
#[track_caller]
pub fn contents_of(namespace: &str) -> Vec<String> {
    let mut kinds = KINDS.join(",");
    if has_plugin() {
        kinds.push_str(",objectstores.barmancloud.cnpg.io");
    }
    let objects = kubectl::list(&[&kinds, "--namespace", namespace]);
    let named = objects.iter().map(|object| (text(&object["kind"]), text(&object["metadata"]["name"])));
    named.filter(|(_, name)| name != NOBODYS).map(|(kind, name)| format!("{kind}/{name}")).collect()
}

/// Waits until the operator's recovery runs: its job's pod, or from CloudNativePG 1.31 on the instance's.
#[track_caller]
pub fn await_recovery() {
    await_recovery_in(NAMESPACE);
}

/// The same in another sandbox's namespace.
#[track_caller]
pub fn await_recovery_in(namespace: &str) {
    kubectl::eventually(
        || format!("a recovery runs; there are {:?}", contents_of(namespace)),
        BEGINS,
        || {
            let pods = kubectl::list(&["pods", "--namespace", namespace, "--selector", "cnpg.io/cluster"]);
            let is_running = |pod: &Value| {
                let statuses =
                    ["containerStatuses", "initContainerStatuses"].map(|list| pod["status"][list].as_array());
                let mut containers = statuses.into_iter().flatten().flatten();
                containers.any(|container| {
                    matches!(container["name"].as_str(), Some("full-recovery" | "bootstrap-instance"))
                        && container["state"]["running"].is_object()
                })
            };
            pods.iter().any(is_running).then_some(())
        },
    );
}

/// Removes whatever is there, for a case that failed.
pub fn clear() {
    let managed = "app.kubernetes.io/managed-by=walproof";
    for kinds in ["configmaps,secrets,pods,jobs.batch", "clusters.postgresql.cnpg.io"] {
        kubectl::attempt(&["delete", kinds, "--namespace", NAMESPACE, "--selector", managed, "--timeout=60s"]);
    }
}

fn has_plugin() -> bool {
    kubectl::attempt(&["get", "crd", "objectstores.barmancloud.cnpg.io"]).exit_code == 0
}

fn text(value: &Value) -> String {
    value.as_str().expect("every object has a kind and a name").to_owned()
}

/// A look at everything that is made while it lasts: each run's owner object comes first, so its kind is enough.
pub struct Watch {
    child: Child,
    seen: Receiver<String>,
}

impl Watch {
    #[track_caller]
    pub fn begin() -> Self {
        let arguments = ["get", "configmaps", "--namespace", NAMESPACE, "--watch-only", "--output", "name"];
        let mut child = kubectl::command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, seen) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let watch = Self { child, seen };
        watch.await_begun();
        watch
    }

    /// What was made, changed or deleted since.
    pub fn end(self) -> Vec<String> {
        // What happened last must come through first.
        thread::sleep(Duration::from_secs(1));
        self.seen.try_iter().collect()
    }

    /// Nothing says when a watch has begun, so something is made until it is seen.
    #[track_caller]
    fn await_begun(&self) {
        let sign =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "e2e-watch", "namespace": NAMESPACE}});
        kubectl::eventually(
            || "a watch sees what is made".to_owned(),
            BEGINS,
            || {
                drop(kubectl::lend(vec![sign.clone()]));
                self.seen.recv_timeout(Duration::from_secs(1)).ok()
            },
        );
        while self.seen.recv_timeout(Duration::from_secs(1)).is_ok() {}
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

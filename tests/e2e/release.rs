//! A release of the chart, as docs/install.md makes it with helm, in namespaces of its own.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::installation::{self, endpoints, secret};
use crate::source::IN_TREE;
use crate::{kubectl, process};

pub const NAMESPACE: &str = "walproof-chart";
pub const SANDBOX: &str = "walproof-chart-sandbox";
/// It holds the chart's own name, so it is the name of all that is made too.
const RELEASE: &str = "walproof-chart";
const HELM: Duration = Duration::from_mins(5);
const ENDS: Duration = Duration::from_mins(10);

/// A release that is uninstalled with this value, and its namespaces with it.
pub struct Release {
    name: &'static str,
    values: tempfile::NamedTempFile,
}

impl Release {
    /// Installed with `values` over the least that it needs.
    #[track_caller]
    pub fn install(values: &Value) -> Self {
        remove();
        let release = Self { name: RELEASE, values: tempfile::Builder::new().suffix(".json").tempfile().unwrap() };
        kubectl::run(&["create", "namespace", NAMESPACE]);
        kubectl::run(&["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"]);
        let object = |kind: &str, name: &str, field: &str, content: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, field: content});
        let key = |name| secret(installation::NAMESPACE, "walproof-s3-read", name);
        let authority = secret(IN_TREE.namespace, &format!("{}-ca", IN_TREE.cluster), "ca.crt");
        kubectl::apply(&[
            object(
                "Secret",
                "walproof-postgres",
                "stringData",
                json!({"password": secret(installation::NAMESPACE, "walproof-postgres", "password")}),
            ),
            object(
                "Secret",
                "walproof-s3-read",
                "stringData",
                json!({"ACCESS_KEY_ID": key("ACCESS_KEY_ID"), "ACCESS_SECRET_KEY": key("ACCESS_SECRET_KEY")}),
            ),
            object(
                "Secret",
                "walproof-forgejo",
                "stringData",
                json!({"token": secret("forgejo", "walproof-forgejo", "token")}),
            ),
            object("ConfigMap", "source-ca", "data", json!({"ca.crt": authority})),
        ]);
        release.write(values);
        release.helm("install");
        release
    }

    /// `helm test`: whether configuration, identity, network and key lead to each archive.
    #[track_caller]
    pub fn test(&self) {
        helm(&["test", self.name, "--namespace", NAMESPACE, "--timeout", "2m"]);
    }

    /// `helm upgrade` to other values.
    #[track_caller]
    pub fn upgrade(&self, values: &Value) {
        self.write(values);
        self.helm("upgrade");
    }

    #[track_caller]
    pub fn uninstall(&self) {
        helm(&["uninstall", self.name, "--namespace", NAMESPACE, "--wait"]);
    }

    #[track_caller]
    pub fn rollback(&self) {
        helm(&["rollback", self.name, "--namespace", NAMESPACE]);
    }

    /// Starts a `CronJob` now and waits until it ended: what became of each of its indexes.
    #[track_caller]
    pub fn run(&self, command: &str, job: &str) -> Vec<Index> {
        let cron_job = format!("cronjob/{}-{command}", self.name);
        kubectl::run(&["create", "job", job, "--namespace", NAMESPACE, "--from", &cron_job]);
        let job_now = || kubectl::get(&["job", job, "--namespace", NAMESPACE]);
        let ended = || {
            let conditions = job_now()["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ends = |condition: &Value| {
                matches!(condition["type"].as_str(), Some("Complete" | "Failed")) && condition["status"] == "True"
            };
            conditions.iter().any(ends).then_some(())
        };
        let pods = || kubectl::list(&["pods", "--namespace", NAMESPACE, "--selector", &format!("job-name={job}")]);
        kubectl::eventually(|| format!("{job} ends: {}\n{:#?}", job_now()["status"], pods()), ENDS, ended);
        let mut indexes: Vec<Index> = pods().iter().map(|pod| Index::of(pod, command)).collect();
        indexes.sort_by_key(|index| index.number);
        indexes
    }

    fn write(&self, values: &Value) {
        std::fs::write(self.values.path(), values.to_string()).unwrap();
    }

    #[track_caller]
    fn helm(&self, command: &str) {
        let chart = format!("{}/chart", env!("CARGO_MANIFEST_DIR"));
        let values = self.values.path().to_str().unwrap();
        helm(&[command, self.name, &chart, "--namespace", NAMESPACE, "--values", values]);
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        remove();
    }
}

/// One pod of an Indexed Job.
pub struct Index {
    pub number: u64,
    pub exit_code: i64,
    /// What its container of the command's name printed.
    pub log: String,
}

impl Index {
    #[track_caller]
    fn of(pod: &Value, container: &str) -> Self {
        let number = &pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"];
        let name = pod["metadata"]["name"].as_str().unwrap();
        let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"];
        Self {
            number: number.as_str().and_then(|number| number.parse().ok()).expect("a pod of an Indexed Job"),
            exit_code: ended.as_i64().unwrap_or_else(|| panic!("{name} ended: {}", pod["status"])),
            log: kubectl::run(&["logs", "--namespace", NAMESPACE, name, "--container", container]),
        }
    }
}

/// The values of docs/install.md for this cluster, with `sources` by their names.
#[track_caller]
pub fn values(sources: &[&str]) -> Value {
    let image = installation::image();
    let (repository, tag) = image.rsplit_once(':').expect("an image with a tag");
    let (caches, _) = endpoints("kube-system", "kube-dns");
    let entry = |name: &&str| json!({"name": name, "namespace": IN_TREE.namespace, "backup": "newest"});
    let needs = json!({
        "baseline": {"existingSecret": "walproof-postgres"},
        "store": {"existingSecret": "walproof-s3-read"},
        "authority": {"existingConfigMap": "source-ca"},
    });
    json!({
        "image": {"repository": repository, "tag": tag},
        "config": {
            "sources": sources.iter().map(entry).collect::<Vec<_>>(),
            "sandbox": {"operator": {"namespace": SANDBOX}},
            "publish": {
                "pushgateway": {"url": "http://pushgateway.monitoring.svc:9091"},
                "forgejo": {"url": "http://forgejo.forgejo.svc:3000", "repository": "ops/dr-evidence"},
            },
        },
        "sources": sources.iter().map(|name| ((*name).to_owned(), needs.clone())).collect::<serde_json::Map<_, _>>(),
        "publish": {"forgejo": {"existingSecret": "walproof-forgejo"}},
        // Only by hand: a check in between would change what is counted.
        "check": {"suspend": true},
        "drill": {"parallelism": 2},
        "networkPolicy": {
            "dns": {"cidrs": caches.iter().map(|address| format!("{address}/32")).collect::<Vec<_>>()},
            "store": {"namespace": "minio", "podLabels": {"app": "minio"}, "port": 9000},
            "publish": [
                {"namespace": "monitoring", "podLabels": {"app": "pushgateway"}, "port": 9091},
                {"namespace": "forgejo", "podLabels": {"app": "forgejo"}, "port": 3000},
            ],
        },
    })
}

#[track_caller]
fn helm(arguments: &[&str]) -> String {
    let mut command = Command::new("helm");
    command.args(arguments);
    process::run_successfully(&mut command, HELM)
}

/// What a former run left, too.
fn remove() {
    let mut uninstall = Command::new("helm");
    uninstall.args(["uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", "--wait"]);
    process::run(&mut uninstall, HELM);
    for namespace in [NAMESPACE, SANDBOX] {
        kubectl::attempt(&["delete", "namespace", namespace, "--ignore-not-found", "--timeout=100s"]);
    }
}

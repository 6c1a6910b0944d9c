//! A release of the chart in namespaces of its own, as the pages say that it is made, and its jobs.

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::installation::secret;
use crate::instructions::Instructions;
use crate::json_pointer::set;
use crate::source::IN_TREE;
use crate::{kubectl, process};

pub const NAMESPACE: &str = "walproof-chart";
pub const SANDBOX: &str = "walproof-chart-sandbox";
/// It holds the chart's own name, so it is the name of all that is made too; and that of its namespace, as on the pages.
const RELEASE: &str = NAMESPACE;
const HELM: Duration = Duration::from_mins(5);
const ENDS: Duration = Duration::from_mins(10);

/// A release that is uninstalled with this value, and its namespaces with it.
pub struct Release(Instructions);

impl Release {
    /// Installed, tested and drilled once by README.md, and what its commands printed.
    #[track_caller]
    pub fn by_the_readme(values: &Value) -> (Self, String) {
        let release = Self::prepared();
        let printed = thread::scope(|scope| {
            let user = scope.spawn(|| release.0.install_and_drill(values));
            archive_after_baselines("first", || user.is_finished());
            user.join().expect("README.md leads to a drill")
        });
        (release, printed)
    }

    /// Installed and no more.
    #[track_caller]
    pub fn install(values: &Value) -> Self {
        let release = Self::prepared();
        release.0.install(values);
        release
    }

    #[track_caller]
    fn prepared() -> Self {
        remove();
        let release = Self(Instructions::new());
        release.0.prepare();
        let token = secret("forgejo", "walproof-forgejo", "token");
        kubectl::apply(&[json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "walproof-forgejo", "namespace": NAMESPACE},
            "stringData": {"token": token},
        })]);
        release
    }

    /// `helm upgrade` to other values.
    #[track_caller]
    pub fn upgrade(&self, values: &Value) {
        self.0.upgrade(values);
    }

    #[track_caller]
    pub fn rollback(&self) {
        self.0.rollback();
    }

    #[track_caller]
    pub fn uninstall(&self) {
        self.0.uninstall();
    }

    /// Runs a drill of all sources now: what became of each.
    #[track_caller]
    pub fn drill(&self, job: &str) -> Vec<Index> {
        start("drill", job, |_| ());
        archive_after_baselines(job, || false);
        self.ended("drill", job)
    }

    /// Runs a check of all sources now: what became of each.
    #[track_caller]
    pub fn check(&self, job: &str) -> Vec<Index> {
        start("check", job, |_| ());
        self.ended("check", job)
    }

    /// Runs a drill of sources that archive nothing: what became of each.
    #[track_caller]
    pub fn drill_blindly(&self, job: &str) -> Vec<Index> {
        start("drill", job, |_| ());
        self.ended("drill", job)
    }

    /// Starts a drill that [`crate::drill_pod::kill`] can reach: a container's first process cannot be killed from within.
    #[track_caller]
    #[allow(clippy::unused_self, reason = "a job is of a release")]
    pub fn start_drill_sharing_processes(&self, job: &str) {
        start("drill", job, |job| set(job, "/spec/template/spec/shareProcessNamespace", true.into()));
        archive_after_baselines(job, || false);
    }

    /// Waits until the job ended: what became of each of its indexes whose pod is still there.
    #[track_caller]
    #[allow(clippy::unused_self, reason = "a job is of a release")]
    pub fn ended(&self, command: &str, job: &str) -> Vec<Index> {
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

/// Starts a `CronJob` now, with a change.
#[track_caller]
fn start(command: &str, job: &str, change: impl FnOnce(&mut Value)) {
    let cron_job = format!("cronjob/{RELEASE}-{command}");
    let how = ["--namespace", NAMESPACE, "--dry-run=client", "--output", "json"];
    let made = kubectl::run(&[&["create", "job", job, "--from", &cron_job], &how[..]].concat());
    let mut made: Value = serde_json::from_str(&made).expect("kubectl prints JSON");
    change(&mut made);
    kubectl::apply(&[made]);
}

/// Spares a drill the wait for the source's next segment.
#[track_caller]
fn archive_after_baselines(job: &str, is_over: impl Fn() -> bool) {
    let pods = || kubectl::list(&["pods", "--namespace", NAMESPACE, "--selector", &format!("job-name={job}")]);
    let drills = |pod: &Value| {
        let state = &pod["status"]["containerStatuses"][0]["state"];
        state["running"].is_object() || state["terminated"].is_object()
    };
    let all_drill = |pods: &[Value]| !pods.is_empty() && pods.iter().all(drills);
    let begun = || (is_over() || all_drill(&pods())).then_some(());
    kubectl::eventually(|| format!("the baselines of {job} are read: {:#?}", pods()), ENDS, begun);
    IN_TREE.archive_a_segment();
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

#![allow(clippy::needless_pass_by_value, reason = "a literal reads best where it is made")]
use serde_json::{Value, json};

use super::*;

fn seen(status: Value, pods: Value) -> Seen {
    let cluster = json!({"metadata": {"name": "walproof-x"}, "spec": {}, "status": status});
    Seen {
        cluster: Some(serde_json::from_value(cluster).unwrap()),
        pods: serde_json::from_value(pods).unwrap(),
        warnings: Vec::new(),
    }
}

fn pod(status: Value) -> Value {
    json!([{"metadata": {"name": "walproof-x-1-full-recovery-abcde"}, "status": status}])
}

#[test]
fn a_healthy_cluster_is_ready_only_with_a_ready_primary() {
    let status = |ready: i64| json!({"phase": HEALTHY, "readyInstances": ready, "currentPrimary": "walproof-x-1"});
    assert_eq!(seen(status(1), json!([])).primary().as_deref(), Some("walproof-x-1"));
    assert_eq!(seen(status(0), json!([])).primary(), None);
    assert_eq!(seen(json!({"phase": "Setting up primary", "readyInstances": 1}), json!([])).primary(), None);
}

#[test]
fn a_recovery_that_runs_is_no_trouble() {
    let seen = seen(json!({"phase": "Setting up primary"}), pod(json!({"phase": "Running"})));
    assert!(seen.trouble().is_none());
}

#[test]
fn an_image_that_cannot_be_pulled_is_the_environments_fault() {
    let waiting = json!({"name": "full-recovery", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}});
    let seen =
        seen(json!({"phase": "Setting up primary"}), pod(json!({"phase": "Pending", "containerStatuses": [waiting]})));
    let trouble = seen.trouble().unwrap();
    assert_eq!((trouble.finding.code, trouble.finding.blame), (Code::SandboxPending, Some(Blame::Environment)));
    assert!(trouble.finding.observed.unwrap().contains("ImagePullBackOff"));
}

#[test]
fn a_pod_without_a_node_carries_the_warning_about_its_volume() {
    let condition = json!({"type": "PodScheduled", "status": "False", "message": "unbound PersistentVolumeClaims"});
    let mut seen =
        seen(json!({"phase": "Setting up primary"}), pod(json!({"phase": "Pending", "conditions": [condition]})));
    let event = json!({"metadata": {}, "involvedObject": {}, "reason": "ProvisioningFailed",
        "message": "storageclass not found"});
    seen.warnings = vec![serde_json::from_value(event).unwrap()];
    let trouble = seen.trouble().unwrap();
    assert_eq!(trouble.patience, PLACE_PATIENCE);
    assert!(trouble.finding.observed.unwrap().contains("storageclass not found"));
}

#[test]
fn a_refusal_by_quota_is_told_from_other_refusals() {
    let mut seen = seen(json!({"phase": "Setting up primary"}), json!([]));
    let event = |message: &str| {
        serde_json::from_value(json!({"metadata": {}, "involvedObject": {}, "reason": "FailedCreate",
            "message": message}))
        .unwrap()
    };
    seen.warnings = vec![event("pods \"x\" is forbidden: exceeded quota: small")];
    assert_eq!(seen.trouble().unwrap().finding.code, Code::SandboxQuota);
    seen.warnings = vec![event("admission webhook denied the request")];
    assert_eq!(seen.trouble().unwrap().finding.code, Code::SandboxPending);
}

fn instance(ready: bool, restarts: u32, state: &Value, ended: &str) -> Seen {
    let last = json!({"terminated": {"exitCode": 137, "reason": ended}});
    let container = json!({"name": "postgres", "image": "x", "imageID": "", "ready": ready,
        "restartCount": restarts, "state": state, "lastState": last});
    seen(json!({"phase": "Setting up primary"}), pod(json!({"phase": "Running", "containerStatuses": [container]})))
}

#[test]
fn a_restored_server_that_crashes_again_and_again_is_one_trouble_with_its_last_exit() {
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let running = json!({"running": {}});
    let trouble = instance(false, 1, &waiting, "OOMKilled").trouble().unwrap();
    assert_eq!((trouble.patience, trouble.finding.code), (CRASH_PATIENCE, Code::SandboxPending));
    assert!(trouble.finding.observed.unwrap().ends_with("OOMKilled, exit code 137"));
    assert!(trouble.finding.hint.unwrap().contains("spec.resources"));
    let other = instance(false, 2, &running, "Error").trouble().unwrap();
    assert_eq!(other.key, trouble.key, "between two waits it runs for a moment");
    assert!(other.finding.hint.unwrap().contains("preload libraries"));
    assert!(instance(false, 1, &running, "Error").trouble().is_none(), "one restart may be an accident");
    assert!(instance(true, 5, &running, "Error").trouble().is_none(), "it takes connections");
}

#[test]
fn a_recovery_pod_that_was_killed_for_its_memory_is_known() {
    let killed = |labels: Value, reason: &str| {
        let ended = json!({"terminated": {"exitCode": 137, "reason": reason}});
        let container = json!({"name": "full-recovery", "image": "x", "imageID": "", "ready": false,
            "restartCount": 0, "state": ended});
        let pod = json!({"metadata": {"name": "walproof-x-1-full-recovery-abcde", "labels": labels},
            "status": {"phase": "Failed", "containerStatuses": [container]}});
        seen(json!({"phase": "Setting up primary"}), json!([pod])).out_of_memory()
    };
    let of_job = json!({"cnpg.io/jobRole": "full-recovery"});
    assert_eq!(
        killed(of_job.clone(), "OOMKilled").as_deref(),
        Some("container full-recovery: OOMKilled, exit code 137")
    );
    assert_eq!(killed(of_job, "Error"), None);
    assert_eq!(killed(json!({}), "OOMKilled"), None, "it does not recover");
}

#[test]
fn an_operator_that_never_writes_a_status_is_noticed() {
    assert_eq!(seen(json!({}), json!([])).trouble().unwrap().key, "ignored");
    assert_eq!(Seen::default().trouble().unwrap().key, "vanished");
}

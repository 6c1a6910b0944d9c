//! What killed drills leave, and who may remove it.

use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use walproof::kubernetes::Kubernetes;
use walproof::sandbox::{self, Swept};
use walproof::verdict::Verdict;

use super::support::kubernetes::{Api, Key, POD, RELEASE, SANDBOX, UNDER_WAY};
use super::trial::{Site, alone, at_once, cluster, drill, drilled, left};

/// Kills a drill while the request of this number is under way: no tear-down, no report.
async fn killed(api: &Api, number: usize) {
    let (sender, reached) = tokio::sync::oneshot::channel();
    api.call_at(number, move || sender.send(()).unwrap_or_default());
    let (plan, never) = (Site::get().plan(), CancellationToken::new());
    tokio::select! {
        _ = drill(api, &plan, &never) => {}
        _ = reached => {}
    }
    // What was under way is carried out.
    tokio::time::sleep(2 * UNDER_WAY).await;
}

/// The number of the first request that makes a Cluster.
async fn creation_of_the_cluster() -> usize {
    let api = cluster(3);
    drilled(&api, &Site::get().plan()).await;
    let is_it = |asked: &super::support::kubernetes::Asked| asked.verb == "create" && asked.path.ends_with("/clusters");
    api.requests().iter().position(is_it).unwrap() + 1
}

/// The drill's pod is gone, and the next night's has another name.
fn next_night(api: &Api) {
    api.remove(&Key::new("Pod", RELEASE, POD));
    api.enter_next_pod();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_drill_left_is_swept_by_the_next_which_passes() {
    let api = cluster(3);
    killed(&api, creation_of_the_cluster().await).await;
    assert!(api.objects(SANDBOX).iter().any(|key| key.resource.kind == "Cluster"), "{:?}", api.objects(SANDBOX));
    next_night(&api);
    let report = drilled(&api, &Site::get().plan()).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert_eq!(left(&api), []);
}

#[test]
fn a_drill_killed_at_any_request_is_swept_by_the_next() {
    let api = cluster(3);
    alone(drilled(&api, &Site::get().plan()));
    let requests = api.requests();
    // Before the first object there is nothing to sweep.
    let first =
        requests.iter().position(|asked| asked.verb == "create" && asked.path.ends_with("/configmaps")).unwrap();
    let wrong = at_once(first + 1..=requests.len(), |number| async move {
        let api = cluster(3);
        killed(&api, number).await;
        next_night(&api);
        let report = drilled(&api, &Site::get().plan()).await;
        let left = left(&api);
        let is_well = left.is_empty() && report.verdict == Verdict::Pass;
        (!is_well).then(|| format!("{number}: {:?} for {:?}, left {left:?}", report.verdict, report.undecided))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweeps_at_once_remove_everything_and_a_third_finds_nothing() {
    let api = cluster(3);
    killed(&api, creation_of_the_cluster().await).await;
    next_night(&api);
    let kubernetes = Kubernetes::with_client(api.client()).await.unwrap();
    let (plan, now) = (Site::get().plan(), Timestamp::now());
    let swept = async || sandbox::sweep(&plan.sandbox, Some(&kubernetes), now).await;
    let (one, other) = tokio::join!(swept(), swept());
    for swept in one.iter().chain(&other) {
        assert!(matches!(swept, Swept::Removed(_)), "{swept:?}");
    }
    assert_eq!(left(&api), []);
    assert_eq!(swept().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_living_run_or_anybody_else_owns_is_not_touched() {
    let api = cluster(3);
    killed(&api, creation_of_the_cluster().await).await;
    // Another pod drills at the same time: the first one's pod is still there.
    api.enter_next_pod();

    let long_ago = json!({"walproof.dev/expires": "2020-01-01T00:00:00Z"});
    let ours = json!({"app.kubernetes.io/managed-by": "walproof", "walproof.dev/run": "20260101t000000z-a1b2c3",
        "velero.io/exclude-from-backup": "true"});
    for (kind, version, name, labels) in [
        // Our label, but no name that a run gives.
        ("ConfigMap", "v1", "walproof-history", &ours),
        // A run's name, but not our label.
        ("ConfigMap", "v1", "walproof-20260102t000000z-a1b2c3", &json!({})),
        ("Secret", "v1", "somebody-elses", &json!({})),
        ("Cluster", "postgresql.cnpg.io/v1", "walproof-20260103t000000z-a1b2c3", &json!({})),
    ] {
        api.put(&json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": SANDBOX,
            "labels": labels, "annotations": long_ago}}));
    }
    let before = api.objects(SANDBOX);
    let report = drilled(&api, &Site::get().plan()).await;
    let after = left(&api);
    let gone: Vec<&Key> = before.iter().filter(|key| !after.contains(key)).collect();
    assert_eq!(gone, [] as [&Key; 0], "{report:#?}");
    assert_eq!(report.left_behind, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_run_is_swept_although_its_pod_lives() {
    let api = cluster(3);
    killed(&api, creation_of_the_cluster().await).await;
    let owner = api.objects(SANDBOX).into_iter().find(|key| key.resource.kind == "ConfigMap").unwrap();
    let mut expired = api.get(&owner).unwrap();
    expired["metadata"]["annotations"]["walproof.dev/expires"] = json!("2020-01-01T00:00:00Z");
    api.put(&expired);
    let report = drilled(&api, &Site::get().plan()).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert_eq!(left(&api), []);
}

//! Whole drills, one for each way that a restore can go.

use std::time::Duration;

use walproof::finding::{Blame, Code, Outcome};
use walproof::verdict::Verdict;

use super::support::kubernetes::{Ending, Restore};
use super::trial::{Site, cluster, drilled, finding, left, plugin_cluster};

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_source_passes_and_leaves_nothing() {
    let api = cluster(1);
    let mut plan = Site::get().plan();
    plan.limits.integrity = Duration::from_mins(2);
    let report = drilled(&api, &plan).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert_eq!(report.left_behind, [""; 0]);
    assert_eq!(left(&api), []);
    for code in [Code::IntegrityTable, Code::IntegrityIndex, Code::IntegrityLibrary] {
        assert_eq!(finding(&report, code).outcome, Outcome::Passed, "{report:#?}");
    }
    assert_eq!(finding(&report, Code::NetworkEgressOpen).outcome, Outcome::Passed);
    assert_eq!(finding(&report, Code::AppCheck).outcome, Outcome::Passed);
    let restore = report.restore.unwrap();
    assert!(restore.segments_replayed > 0, "the recovery's log was read: {restore:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_the_barman_cloud_plugin_passes_and_leaves_nothing() {
    let api = plugin_cluster(1);
    let report = drilled(&api, &Site::get().plan()).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    let made =
        |asked: &super::support::kubernetes::Asked| asked.verb == "create" && asked.path.ends_with("/objectstores");
    assert_eq!(
        api.requests().iter().filter(|asked| made(asked)).count(),
        1,
        "the sandbox has an ObjectStore of its own"
    );
    assert_eq!(left(&api), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_fails_makes_the_drill_inconclusive() {
    let api = cluster(1);
    api.controllers(|controllers| {
        controllers.endings.insert("-app".to_owned(), Ending { exit_code: 3, log: "a row is missing\n".to_owned() });
    });
    let report = drilled(&api, &Site::get().plan()).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:#?}");
    let check = finding(&report, Code::AppCheck);
    assert_eq!((check.outcome, check.observed.as_deref()), (Outcome::Failed, Some("exit code 3")));
    assert_eq!(left(&api), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_asks_for_no_more_than_the_documentation_grants() {
    let api = cluster(3);
    let report = drilled(&api, &Site::get().plan()).await;
    let forbidden = report.findings.iter().filter(|finding| {
        let observed = finding.observed.as_deref().unwrap_or_default();
        observed.contains("is forbidden") && finding.outcome != Outcome::Note
    });
    assert_eq!(forbidden.collect::<Vec<_>>(), [] as [&walproof::finding::Finding; 0]);
    let writes = api.requests().into_iter().filter(|asked| !matches!(asked.verb, "get" | "list"));
    let elsewhere: Vec<String> = writes
        .filter(|asked| !asked.path.contains("/namespaces/postgres-restore-test/"))
        .map(|asked| asked.to_string())
        .filter(|asked| !asked.starts_with("create /apis/auth"))
        .collect();
    assert_eq!(elsewhere, [""; 0], "a write outside of the sandbox's namespace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_fails_for_good_blames_nobody_without_evidence() {
    let api = cluster(1);
    api.controllers(|controllers| controllers.restore = Restore::Fails);
    let report = drilled(&api, &Site::get().plan()).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:#?}");
    // The recorded log says that the backup is not there, which the listing contradicts.
    assert_eq!(finding(&report, Code::BackupVanished).outcome, Outcome::NotChecked);
    assert_eq!(left(&api), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_stays_pending_ends_at_its_limit_and_says_what_was_seen() {
    let api = cluster(1);
    api.controllers(|controllers| controllers.restore = Restore::StaysPending);
    let mut plan = Site::get().plan();
    plan.limits.drill = Duration::from_secs(10);
    let report = drilled(&api, &plan).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:#?}");
    let seen = finding(&report, Code::RunStopped).observed.clone().unwrap();
    assert!(seen.contains("Setting up primary") && seen.contains("Pending"), "{seen}");
    assert_eq!(left(&api), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_is_the_environments_fault() {
    let api = cluster(1);
    api.controllers(|controllers| controllers.restore = Restore::LacksItsImage);
    let report = drilled(&api, &Site::get().plan()).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:#?}");
    let pending = finding(&report, Code::SandboxPending);
    assert_eq!(pending.blame, Some(Blame::Environment));
    assert!(pending.observed.as_deref().unwrap().contains("ImagePull"), "{pending:?}");
    assert_eq!(left(&api), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_recovery_cannot_reach_ends_the_drill_before_the_restore() {
    let api = cluster(1);
    api.controllers(|controllers| {
        let log = "store timeout\nproduction timeout\n".to_owned();
        controllers.endings.insert("-network".to_owned(), Ending { exit_code: 0, log });
    });
    let report = drilled(&api, &Site::get().plan()).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:#?}");
    assert_eq!(finding(&report, Code::NetworkStoreBlocked).outcome, Outcome::Failed);
    assert!(!api.requests().iter().any(|asked| asked.verb == "create" && asked.path.ends_with("/clusters")));
    assert_eq!(left(&api), []);
}

//! Every request of a drill fails in turn, refused and with its answer lost: nothing is left, nobody is blamed, and it
//! passes only where the request was one whose loss costs nothing.

use tokio_util::sync::CancellationToken;
use walproof::verdict::Verdict;

use super::support::kubernetes::Api;
use super::support::kubernetes::Fault;
use super::trial::{Site, alone, asked, at_once, cluster, drill, drilled, left, plugin_cluster};

/// The requests without whose answer a drill may pass. All others decide something.
const COSTS_NOTHING: &[&str] = &[
    // What describes the source's surroundings: each missing answer is a note.
    "get /api/v1/namespaces/postgres/secrets/cnpg-s3-creds",
    "list /api/v1/namespaces/postgres/pods",
    "list /api/v1/namespaces/postgres/persistentvolumeclaims",
    "list /apis/postgresql.cnpg.io/v1/namespaces/postgres/backups",
    "list /apis/postgresql.cnpg.io/v1/namespaces/postgres/scheduledbackups",
    "get /api/v1/namespaces/postgres-restore-test",
    "list /api/v1/namespaces/postgres-restore-test/resourcequotas",
    "list /apis/storage.k8s.io/v1/storageclasses",
    "list /api/v1/nodes",
    // Looked at again and again until they are as awaited; those of the tear-down, until they are gone.
    "get /apis/postgresql.cnpg.io/v1/namespaces/postgres-restore-test/clusters/RUN",
    "get /api/v1/namespaces/postgres-restore-test/pods/RUN-network",
    "get /api/v1/namespaces/postgres-restore-test/secrets/RUN-store",
    "get /api/v1/namespaces/postgres-restore-test/configmaps/RUN",
    "list /api/v1/namespaces/postgres-restore-test/pods",
    "list /api/v1/namespaces/postgres-restore-test/persistentvolumeclaims",
    "list /api/v1/namespaces/postgres-restore-test/secrets",
    "list /apis/batch/v1/namespaces/postgres-restore-test/jobs",
    // Asked for again until they are accepted.
    "delete /apis/postgresql.cnpg.io/v1/namespaces/postgres-restore-test/clusters/RUN",
    "delete /api/v1/namespaces/postgres-restore-test/pods/RUN-network",
    "delete /api/v1/namespaces/postgres-restore-test/secrets/RUN-store",
    "delete /api/v1/namespaces/postgres-restore-test/configmaps/RUN",
    "delete /apis/batch/v1/namespaces/postgres-restore-test/jobs/RUN-app",
    "get /apis/batch/v1/namespaces/postgres-restore-test/jobs/RUN-app",
    "delete /apis/barmancloud.cnpg.io/v1/namespaces/postgres-restore-test/objectstores/RUN-store",
    "get /apis/barmancloud.cnpg.io/v1/namespaces/postgres-restore-test/objectstores/RUN-store",
    // Words for the report.
    "list /api/v1/namespaces/postgres-restore-test/events",
    SWEEP,
];
/// Without it a drill passes and says that something may be left.
const SWEEP: &str = "list /api/v1/namespaces/postgres-restore-test/configmaps";

#[test]
fn nothing_is_left_and_no_answer_is_taken_for_granted() {
    let api = cluster(3);
    alone(drilled(&api, &Site::get().plan()));
    // A drill that has to repeat something asks more.
    let requests = api.requests().len() + 3;
    let cases = (1..=requests).flat_map(|number| [(number, Fault::Refused), (number, Fault::AnswerLost)]);
    let wrong = at_once(cases, |(number, fault)| failing(cluster(3), number, fault));
    assert!(wrong.is_empty(), "{} of {requests} requests:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn nor_is_it_where_the_plugin_archives() {
    let api = plugin_cluster(3);
    alone(drilled(&api, &Site::get().plan()));
    let requests = api.requests();
    // All other requests are those of the sweep above.
    let of_the_plugin = (1..=requests.len()).filter(|number| requests[number - 1].path.contains("/objectstores"));
    let cases: Vec<_> =
        of_the_plugin.flat_map(|number| [(number, Fault::Refused), (number, Fault::AnswerLost)]).collect();
    assert!(cases.len() >= 6, "it is read, made and removed: {requests:?}");
    let wrong = at_once(cases, |(number, fault)| failing(plugin_cluster(3), number, fault));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a drill of which one request fails.
async fn failing(api: Api, number: usize, fault: Fault) -> Option<String> {
    api.fail_at(number, fault);
    let report = drill(&api, &Site::get().plan(), &CancellationToken::new()).await;
    let left = left(&api);
    let asked = asked(&api, number)?;
    let mut wrong = Vec::new();
    if !left.is_empty() {
        wrong.push(format!("it left {left:?}"));
    }
    if let Some(report) = report {
        match report.verdict {
            Verdict::Pass if !COSTS_NOTHING.contains(&asked.as_str()) => wrong.push("it passed".to_owned()),
            Verdict::Fail => wrong.push(format!("it blamed the backups: {:?}", report.findings)),
            _ => {}
        }
        if report.left_behind.is_empty() == (asked == SWEEP) {
            wrong.push(format!("it says of what it left: {:?}", report.left_behind));
        }
    }
    (!wrong.is_empty()).then(|| format!("{number} {fault:?} {asked}: {}", wrong.join("; ")))
}

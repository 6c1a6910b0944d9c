//! A drill that is stopped while any of its requests is under way: what was asked for is carried out all the same, and
//! nothing of it is left.

use tokio_util::sync::CancellationToken;
use walproof::finding::Code;
use walproof::verdict::Verdict;

use super::support::kubernetes::UNDER_WAY;
use super::trial::{Site, alone, asked, at_once, cluster, drill, drilled, left};

#[test]
fn a_drill_that_is_stopped_anywhere_leaves_nothing() {
    let api = cluster(3);
    alone(drilled(&api, &Site::get().plan()));
    let requests = api.requests().len();
    let wrong = at_once(1..=requests, stopped);
    assert!(wrong.is_empty(), "{} of {requests} requests:\n{}", wrong.len(), wrong.join("\n"));
}

async fn stopped(number: usize) -> Option<String> {
    let api = cluster(3);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    api.call_at(number, move || stop.cancel());
    let report = drill(&api, &Site::get().plan(), &cancel).await?;
    // By now a request that nobody waited for has been carried out, too.
    tokio::time::sleep(2 * UNDER_WAY).await;
    let left = left(&api);
    let asked = asked(&api, number)?;
    let mut wrong = Vec::new();
    if !left.is_empty() {
        wrong.push(format!("it left {left:?}"));
    }
    if !report.left_behind.is_empty() {
        wrong.push(format!("it gave up on {:?}", report.left_behind));
    }
    let was_stopped = report.findings.iter().any(|finding| finding.code == Code::RunStopped);
    // A drill that was already being torn down has its verdict.
    match report.verdict {
        Verdict::Fail => wrong.push(format!("it blamed the backups: {:?}", report.findings)),
        Verdict::Pass if was_stopped => wrong.push("it passed although it was stopped".to_owned()),
        _ => {}
    }
    (!wrong.is_empty()).then(|| format!("{number} {asked}: {}", wrong.join("; ")))
}

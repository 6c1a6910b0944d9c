//! Every request of a drill fails in turn, refused and with its answer lost: nothing is left, nobody is blamed, and it
//! passes only where the request was one whose loss costs nothing.

use walproof::verdict::Verdict;

use super::support::kubernetes::Fault;
use super::trial::{Site, at_once, cluster, drill, left};
use tokio_util::sync::CancellationToken;

/// The requests without whose answer a drill may pass, by verb and the end of the path.
const COSTS_NOTHING: &[(&str, &str)] = &[];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_and_no_answer_is_taken_for_granted() {
    let api = cluster(3);
    drill(&api, &Site::get().plan(), &CancellationToken::new()).await.unwrap();
    // A drill that has to repeat something asks more.
    let requests = api.requests().len() + 3;
    let cases: Vec<_> =
        (1..=requests).flat_map(|number| [(number, Fault::Refused), (number, Fault::AnswerLost)]).collect();
    let wrong = at_once(cases, |(number, fault)| async move { failing(number, fault).await }).await;
    assert!(wrong.is_empty(), "{} of {requests} requests:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong with a drill of which one request fails.
async fn failing(number: usize, fault: Fault) -> Option<String> {
    let api = cluster(3);
    api.fail_at(number, fault);
    let report = drill(&api, &Site::get().plan(), &CancellationToken::new()).await;
    let left = left(&api);
    let asked = api.requests().get(number - 1).map(ToString::to_string);
    let Some(asked) = asked else { return None };
    let mut wrong = Vec::new();
    if !left.is_empty() {
        wrong.push(format!("it left {left:?}"));
    }
    if let Some(report) = report {
        let costs_nothing = COSTS_NOTHING.iter().any(|(verb, end)| asked.starts_with(verb) && asked.ends_with(end));
        match report.verdict {
            Verdict::Pass if !costs_nothing => wrong.push("it passed".to_owned()),
            Verdict::Fail => wrong.push(format!("it blamed the backups: {:?}", report.findings)),
            _ => {}
        }
        if !report.left_behind.is_empty() {
            wrong.push(format!("it gave up on {:?}", report.left_behind));
        }
    }
    (!wrong.is_empty()).then(|| format!("{number} {fault:?} {asked}: {}", wrong.join("; ")))
}

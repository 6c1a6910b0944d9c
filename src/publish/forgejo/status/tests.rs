use super::*;
use crate::publish::forgejo::fixture::{drill, failed, history};

const COMMENT: &str = "https://forgejo.example.org/ops/dr-evidence/issues/7#issuecomment-12";

#[test]
fn the_body_says_how_it_stands_and_when_this_last_worked() {
    let history = history(&[
        ("2026-11-18T02:00:00Z", Verdict::Pass, Some(COMMENT)),
        ("2026-11-19T02:00:00Z", Verdict::Inconclusive, None),
        ("2026-11-20T02:00:00Z", Verdict::Fail, Some("javascript:alert(1)")),
    ]);
    let report = failed();
    let mut runs = Runs::of(Some(&history), &report);
    runs.commented(&report.run_id, "https://forgejo.example.org/a|b/issues/7#issuecomment-99)");
    insta::assert_snapshot!(runs.body(&report));
    assert_eq!(title(&report), "walproof: drill of postgres/pal-e-postgres");
}

#[test]
fn a_late_delivery_does_not_hide_the_newer_run() {
    let history = history(&[("2026-11-22T02:00:00Z", Verdict::Pass, None)]);
    let runs = Runs::of(Some(&history), &failed());
    assert_eq!(runs.verdict(), Verdict::Pass);
    assert!(runs.body(&failed()).contains("**PASS**: drill of"));
}

#[test]
fn a_run_that_the_history_has_stands_there_once() {
    let report = failed();
    let mut history = history(&[("2026-11-21T02:00:00Z", Verdict::Fail, None)]);
    history.runs[0].run_id.clone_from(&report.run_id);
    assert_eq!(Runs::of(Some(&history), &report).0.len(), 1);
}

#[test]
fn proof_older_than_90_days_is_stale() {
    let report = failed();
    let cases = [
        ("2026-08-24T02:00:00Z", Verdict::Pass, false),
        ("2026-08-22T02:00:00Z", Verdict::Pass, true),
        ("2026-11-20T02:00:00Z", Verdict::Fail, true),
    ];
    for (started, verdict, expected) in cases {
        let body = Runs::of(Some(&history(&[(started, verdict, None)])), &report).body(&report);
        assert_eq!(body.contains("**stale**"), expected, "{started} {body}");
    }
    let passed = drill(Verdict::Pass, &[], Vec::new());
    assert!(!Runs::of(None, &passed).body(&passed).contains("stale"));
}

#[test]
fn the_table_is_bounded() {
    let days: Vec<String> = (1..=28).flat_map(|day| [1, 2].map(|h| format!("2026-10-{day:02}T0{h}:00:00Z"))).collect();
    let past: Vec<_> = days.iter().map(|day| (day.as_str(), Verdict::Pass, Some(COMMENT))).collect();
    let report = failed();
    let body = Runs::of(Some(&history(&past)), &report).body(&report);
    assert_eq!(body.matches(" | PASS | ").count(), RUNS - 1);
    assert!(body.contains("The newest 30 of 57 runs"), "{body}");
}

use serde_json::json;

use super::*;
use crate::finding::{Blame, Code, Finding};
use crate::history::Channel;
use crate::history::fixture::{at, report, run, run_id};
use crate::probe::tables::TableResult;
use crate::report::Restore;
use crate::sandbox::operator::evidence::SandboxEvidence;
use crate::verdict::Verdict;

/// A number that looks random, the same each time.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

fn table(day: i64, number: u64) -> TableResult {
    let rows = scattered(number) % 10_000_000 + u64::try_from(day).unwrap() * 17;
    TableResult {
        database: "paledocs".to_owned(),
        table: format!(
            "public.{}_{number}",
            ["notes", "users", "events", "invoices", "sessions"][usize::try_from(number).unwrap() % 5]
        ),
        rows_expected: rows,
        rows_observed: Some(rows),
        comparison: Comparison::Exact,
    }
}

/// What a drill of a source with `tables` tables leaves: about as many findings as a real one.
fn drill(day: i64, tables: u64, verdict: Verdict) -> Report {
    let real: Report = serde_json::from_str(include_str!("../../../tests/fixtures/report-v1.json")).unwrap();
    let findings = (0..8).flat_map(|_| real.findings.clone());
    let lines = |what: &str| (0..30).map(|n| format!("{what} {:016x} of the scratch Cluster", scattered(n))).collect();
    Report {
        verdict,
        findings: report(Subject::Drill, day, verdict).findings.into_iter().chain(findings).collect(),
        inventory: real.inventory,
        restore: real.restore.map(|restore| Restore {
            tables_compared: tables,
            tables: (0..tables).map(|number| table(day, number)).collect(),
            ..restore
        }),
        sandbox: Some(SandboxEvidence { events: lines("event"), log: lines("log"), ..SandboxEvidence::default() }),
        ..report(Subject::Drill, day, verdict)
    }
}

fn rows(report: &Report) -> BTreeMap<String, u64> {
    let tables = &report.restore.as_ref().unwrap().tables;
    tables.iter().map(|table| (format!("{}.{}", table.database, table.table), table.rows_expected)).collect()
}

fn commented(history: &mut History, report: &Report, tables: &BTreeMap<String, u64>, owed: bool) {
    history.finish(report, tables, &[Channel::Forgejo]);
    if !owed {
        let url =
            format!("https://forgejo.example.org/ops/dr-evidence/issues/297#issuecomment-{}", report.run_id.len());
        history.delivered(&report.run_id, Channel::Forgejo, Some(&url));
    }
}

#[test]
fn four_hundred_drills_and_checks_of_a_large_source_fit_easily() {
    let mut history = History::of("pal-e-postgres");
    for day in 1..=450 {
        let drill = drill(day, 500, if day % 50 == 0 { Verdict::Fail } else { Verdict::Pass });
        commented(&mut history, &drill, &rows(&drill), false);
        commented(&mut history, &report(Subject::Check, day, Verdict::Pass), &BTreeMap::new(), false);
    }
    let bytes = trim(&mut history);
    let listed = |command| history.ended(command).count();
    assert_eq!((listed(Subject::Drill), listed(Subject::Check)), (RUNS_KEPT, RUNS_KEPT));
    assert_eq!((history.drills.runs, history.drills.passed), (450, 441));
    assert_eq!(history.nights().len(), NIGHTS_KEPT);
    let latest = history.latest_report(Subject::Drill).unwrap();
    assert_eq!(latest.restore.as_ref().unwrap().tables.len(), 500, "nothing had to be left out");
    assert!(latest.sandbox.is_some());
    assert!(bytes.len() < COMPRESSED_LIMIT / 3, "{} bytes", bytes.len());
}

#[test]
fn reports_that_nobody_took_lose_what_passed_before_any_is_given_up() {
    let mut history = History::of("pal-e-postgres");
    for day in 1..=120 {
        let drill = drill(day, 500, Verdict::Pass);
        commented(&mut history, &drill, &rows(&drill), true);
    }
    let bytes = trim(&mut history);
    assert!(bytes.len() <= COMPRESSED_LIMIT, "{} bytes", bytes.len());
    assert_eq!((history.undelivered().count(), history.lost_reports), (120, 0));
    let tables = |day| history.reports[&run_id(Subject::Drill, day)].restore.as_ref().unwrap().tables.len();
    assert_eq!((tables(1), tables(120)), (0, 500), "the oldest loses details first");
    assert_eq!(history.nights().len(), NIGHTS_KEPT);
}

#[test]
fn the_oldest_undelivered_reports_go_when_nothing_else_helps_and_are_counted() {
    let mut history = History::of("pal-e-postgres");
    history.finish(&report(Subject::Drill, 1, Verdict::Pass), &BTreeMap::new(), &[]);
    let noise = |seed: u64| (0..40).map(|n| scattered(seed * 1000 + n).to_string()).collect::<String>();
    for day in 2..=500 {
        let mut failed = report(Subject::Drill, day, Verdict::Fail);
        let finding = |n| {
            let seed = u64::try_from(day).unwrap() * 100 + n;
            Finding::failed(Code::WalGap, Blame::Backups, noise(seed)).observed(noise(seed + 50))
        };
        failed.findings.extend((0..20).map(finding));
        commented(&mut history, &failed, &BTreeMap::new(), true);
    }
    history.damaged.push(json!({"run": noise(7)}));
    let bytes = trim(&mut history);
    assert!(bytes.len() <= COMPRESSED_LIMIT, "{} bytes", bytes.len());
    let kept = history.undelivered().count();
    assert_eq!(history.lost_reports + kept as u64, 499);
    assert!(kept > 10, "only {kept} are kept");
    assert_eq!(history.undelivered().last().unwrap().0.started_at, at(500));
    assert_eq!(history.last_success(Subject::Drill).unwrap().0.started_at, at(1), "the last PASS stays");
    assert_eq!(history.runs.len(), RUNS_KEPT + 1, "what is owed to nobody is an ordinary run again");
    assert_eq!(trim(&mut history), bytes, "a second time changes nothing");
}

#[test]
fn runs_that_somebody_waits_for_outlive_the_bound() {
    let mut history = History::of("app");
    history.begin(run(Subject::Check, 1));
    commented(&mut history, &report(Subject::Check, 2, Verdict::Fail), &BTreeMap::new(), true);
    commented(&mut history, &report(Subject::Check, 3, Verdict::Pass), &BTreeMap::new(), false);
    for day in 4..=500 {
        commented(&mut history, &report(Subject::Check, day, Verdict::Fail), &BTreeMap::new(), false);
    }
    trim(&mut history);
    let days: Vec<_> = history.runs.iter().take(4).map(|run| run.started_at).collect();
    assert_eq!(days, [at(1), at(2), at(3), at(101)]);
}

#[test]
fn a_run_whose_report_is_damaged_is_owed_to_nobody() {
    let mut history = History::of("app");
    commented(&mut history, &report(Subject::Check, 1, Verdict::Fail), &BTreeMap::new(), true);
    history.reports.clear();
    history.damaged = (0..30).map(|n| json!({"report": n})).collect();
    trim(&mut history);
    assert_eq!((history.lost_reports, history.undelivered().count()), (1, 0));
    assert_eq!(history.runs[0].ending.as_ref().unwrap().undelivered, []);
    assert_eq!((history.damaged.len(), &history.damaged[DAMAGED_KEPT - 1]), (DAMAGED_KEPT, &json!({"report": 29})));
}

#[test]
fn a_text_is_cut_between_characters() {
    for (text, expected) in [("", ""), ("äöü", "äöü"), ("äöüß", "äö…")] {
        let mut cut_text = text.to_owned();
        cut(&mut cut_text, 3);
        assert_eq!(cut_text, expected);
    }
}

use super::*;
use crate::history::Count;
use crate::history::fixture::{at, report, run, run_id};

const BOTH: [Channel; 2] = [Channel::Forgejo, Channel::Webhook];

fn origin() -> Origin {
    Origin { source: "app".to_owned(), namespace: Some("postgres".to_owned()), archive: "s3://wal/app".to_owned() }
}

fn finish(history: &mut History, report: &Report, channels: &[Channel]) {
    history.finish(report, &BTreeMap::new(), channels);
}

fn ending_of(history: &History, day: i64) -> &Ending {
    let run_id = run_id(Subject::Drill, day);
    history.runs.iter().find(|run| run.run_id == run_id).unwrap().ending.as_ref().unwrap()
}

#[test]
fn a_failed_run_keeps_the_last_success() {
    let mut history = History::default();
    for (day, verdict) in [(1, Verdict::Pass), (2, Verdict::Fail), (3, Verdict::Inconclusive)] {
        history.begin(run(Subject::Drill, day));
        finish(&mut history, &report(Subject::Drill, day, verdict), &[]);
    }
    assert_eq!(history.last_success(Subject::Drill).unwrap().0.started_at, at(1));
    assert_eq!(history.latest_report(Subject::Drill).unwrap().verdict, Verdict::Inconclusive);
    assert_eq!(history.drills, Count { runs: 3, passed: 1 });
    assert_eq!(ending_of(&history, 2).headline, "Three segments are missing.");
    assert_eq!(history.reports.len(), 1, "only the newest report is needed");
}

#[test]
fn runs_are_in_the_order_in_which_they_began_whenever_they_are_written() {
    let mut history = History::default();
    finish(&mut history, &report(Subject::Drill, 3, Verdict::Pass), &[]);
    history.begin(run(Subject::Check, 2));
    finish(&mut history, &report(Subject::Drill, 1, Verdict::Fail), &[]);
    let days: Vec<Timestamp> = history.runs.iter().map(|run| run.started_at).collect();
    assert_eq!(days, [at(1), at(2), at(3)]);
    assert_eq!(history.latest_report(Subject::Drill).unwrap().started_at, at(3), "a late report is not the newest");
}

#[test]
fn each_change_may_be_applied_again() {
    let mut once = History::default();
    let mut twice = History::default();
    let changes: [&dyn Fn(&mut History); 5] = [
        &|history| history.begin(run(Subject::Drill, 1)),
        &|history| finish(history, &report(Subject::Drill, 1, Verdict::Pass), &BOTH),
        &|history| history.delivered(&run_id(Subject::Drill, 1), Channel::Forgejo, Some("https://forge/1")),
        &|history| history.begin(run(Subject::Drill, 2)),
        &|history| drop(history.close_killed(|_| Some(true), &origin(), &BOTH, at(3))),
    ];
    for change in changes {
        change(&mut once);
        change(&mut twice);
        change(&mut twice);
        assert_eq!(once, twice);
    }
    // A run that has begun does not end by being said to begin; a report that comes again is owed to nobody anew.
    changes[0](&mut twice);
    changes[1](&mut twice);
    assert_eq!(once, twice);
}

#[test]
fn a_report_stays_until_everybody_was_told_oldest_first() {
    let mut history = History::default();
    for day in [2, 1, 3] {
        finish(&mut history, &report(Subject::Drill, day, Verdict::Pass), &BOTH);
    }
    let owed =
        |history: &History| -> Vec<Timestamp> { history.undelivered().map(|(_, report)| report.started_at).collect() };
    assert_eq!(owed(&history), [at(1), at(2), at(3)]);
    let first = run_id(Subject::Drill, 1);
    history.delivered(&first, Channel::Webhook, None);
    assert_eq!((owed(&history).len(), history.reports.len()), (3, 3));
    history.delivered(&first, Channel::Forgejo, Some("https://forge/issues/1#4"));
    assert_eq!((owed(&history).len(), history.reports.len()), (2, 2));
    assert_eq!(ending_of(&history, 1).comment_url.as_deref(), Some("https://forge/issues/1#4"));
    for day in [2, 3] {
        for channel in BOTH {
            history.delivered(&run_id(Subject::Drill, day), channel, None);
        }
    }
    assert_eq!((owed(&history).len(), history.reports.len()), (0, 1), "the newest stays");
}

#[test]
fn a_run_that_never_ended_is_closed_as_inconclusive_and_told() {
    let cases = [
        ("running", 1, None, 0),
        ("its holder is gone", 1, Some(true), 1),
        ("its time has not quite passed", 5 * 60 + 4, None, 0),
        ("its time has passed", 5 * 60 + 6, None, 1),
        ("its time has passed, and it is known to run", 5 * 60 + 6, Some(false), 0),
    ];
    for (name, minutes, is_gone, expected) in cases {
        let mut history = History::default();
        history.begin(PastRun { holder: Some("pod/walproof/drill-x/1".to_owned()), ..run(Subject::Drill, 1) });
        finish(&mut history, &report(Subject::Check, 1, Verdict::Pass), &[]);
        let now = at(1) + jiff::SignedDuration::from_mins(minutes);
        let closed = history.close_killed(|_| is_gone, &origin(), &[Channel::Forgejo], now);
        assert_eq!(closed.len(), expected, "{name}");
        assert_eq!(history.undelivered().count(), expected, "{name}");
        assert_eq!(history.drills.runs, expected as u64, "{name}");
        let Some(report) = closed.first() else { continue };
        assert_eq!((report.verdict, report.exit_code()), (Verdict::Inconclusive, 2));
        assert!(report.undecided.contains(&Code::RunKilled));
        assert!(report.finished_at <= now && report.finished_at <= at(1) + jiff::SignedDuration::from_hours(5));
        let sentences = sentences(report);
        assert_eq!(sentences[0], "The drill of 2026-11-01 01:00:00 UTC was killed.");
        assert!(sentences[2].starts_with("To do: look at the pod's events"), "{sentences:?}");
    }
}

#[test]
fn a_run_that_was_taken_for_killed_and_ends_after_all_counts_once() {
    let mut history = History::default();
    history.begin(run(Subject::Drill, 1));
    history.close_killed(|_| Some(true), &origin(), &[], at(2));
    finish(&mut history, &report(Subject::Drill, 1, Verdict::Pass), &BOTH);
    assert_eq!(history.drills, Count { runs: 1, passed: 1 });
    assert_eq!(ending_of(&history, 1).verdict, Verdict::Pass);
    assert_eq!(history.undelivered().count(), 1);
}

#[test]
fn the_closing_run_notes_it_and_stays_free_of_it() {
    assert_eq!(note_of_killed(&[]), None);
    let mut history = History::default();
    history.begin(run(Subject::Drill, 1));
    let closed = history.close_killed(|_| Some(true), &origin(), &[], at(2));
    let note = note_of_killed(&closed).unwrap();
    assert_eq!(
        note.summary,
        "1 former run never ended and was closed as INCONCLUSIVE; the last began 2026-11-01 01:00:00 UTC"
    );
    assert_eq!(note.outcome, crate::finding::Outcome::Note);
}

#[test]
fn the_largest_tables_are_remembered() {
    let mut history = History::default();
    let tables: BTreeMap<String, u64> = (0..300).map(|rows| (format!("app.public.t{rows:03}"), rows)).collect();
    history.finish(&report(Subject::Drill, 1, Verdict::Pass), &tables, &[]);
    let kept = &ending_of(&history, 1).tables;
    assert_eq!((kept.len(), kept.values().min()), (TABLES_KEPT, Some(&100)));
    assert_eq!(history.nights(), [(at(1), kept)]);
}

#[test]
fn what_one_run_is_telling_no_other_tells_unless_it_was_killed() {
    let mut history = History::default();
    for day in [1, 2] {
        finish(&mut history, &report(Subject::Drill, day, Verdict::Pass), &BOTH);
    }
    let (now, until) = (at(3), at(4));
    let ids = [1, 2].map(|day| run_id(Subject::Drill, day));
    assert_eq!(history.claim(now, until), ids);
    assert_eq!(history.claim(now, until), [""; 0], "somebody is at it");
    assert_eq!(history.claim(until, at(5)), ids, "its time is over");
    history.release(&ids);
    assert_eq!(history.claim(now, until), ids, "it gave up");
    for id in &ids {
        for channel in BOTH {
            history.delivered(id, channel, None);
        }
    }
    history.release(&ids);
    assert_eq!(history.claim(now, until), [""; 0], "all is told");
}

#[test]
fn nobody_is_owed_anything_by_way_of_a_service_that_is_not_configured_any_more() {
    let mut history = History::default();
    finish(&mut history, &report(Subject::Drill, 1, Verdict::Pass), &BOTH);
    finish(&mut history, &report(Subject::Drill, 2, Verdict::Pass), &BOTH);
    history.owe_only(&[Channel::Webhook]);
    assert_eq!(ending_of(&history, 1).undelivered, [Channel::Webhook]);
    history.owe_only(&[]);
    assert_eq!(history.undelivered().count(), 0);
    assert_eq!(history.reports.len(), 1, "the newest alone is needed");
}

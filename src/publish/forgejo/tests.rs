use super::fixture::{drill, history};
use super::*;

#[test]
fn a_drill_is_commented_on_always_or_when_its_verdict_changed_and_a_check_only_then() {
    use Comment::{Always, Changes};
    use Subject::{Check, Drill};
    use Verdict::{Fail, Inconclusive, Pass};
    let cases = [
        (Drill, Always, Some(Pass), Pass, true),
        (Drill, Always, None, Pass, true),
        (Drill, Changes, Some(Pass), Pass, false),
        (Drill, Changes, Some(Inconclusive), Fail, true),
        (Drill, Changes, None, Pass, true),
        (Check, Always, Some(Pass), Pass, false),
        (Check, Always, Some(Fail), Pass, true),
        (Check, Changes, Some(Pass), Inconclusive, true),
        (Check, Always, None, Pass, false),
        (Check, Always, None, Fail, true),
    ];
    for (command, comment, former, verdict, expected) in cases {
        let mut report = drill(verdict, &[], Vec::new());
        report.command = command;
        let mut history =
            history(&former.map(|former| ("2026-11-20T02:00:00Z", former, None)).into_iter().collect::<Vec<_>>());
        history.runs.iter_mut().for_each(|run| run.command = command);
        let is_due = is_due(comment, Some(&history), &report);
        assert_eq!(is_due, expected, "{command:?} {comment:?} {former:?} {verdict:?}");
    }
}

#[test]
fn the_former_run_is_neither_this_one_nor_a_later_one() {
    let report = drill(Verdict::Fail, &[], Vec::new());
    let mut history = history(&[
        ("2026-11-20T02:00:00Z", Verdict::Fail, None),
        ("2026-11-21T02:00:00Z", Verdict::Pass, None),
        ("2026-11-22T02:00:00Z", Verdict::Pass, None),
    ]);
    history.runs[1].run_id.clone_from(&report.run_id);
    assert!(!is_due(Comment::Changes, Some(&history), &report));
}

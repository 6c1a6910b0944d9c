//! The gate: whether a drill of this source passed lately, for a pipeline that goes on only with proven backups.

use std::time::Duration;

use jiff::Timestamp;

use crate::history::{Ending, History, PastRun};
use crate::plan::{CLOCK_SKEW, signed};
use crate::report::text::{duration, moment, printable};
use crate::verdict::{Subject, Verdict};

/// Says when a drill last passed, or why that is not good enough: none passed within `max_age`, counted from its
/// beginning, or a later one found the backups broken.
pub fn judge(history: &History, max_age: Duration, now: Timestamp) -> Result<String, String> {
    let allowed = signed(max_age);
    let Some((run, _)) = history.last_success(Subject::Drill) else {
        return Err(match history.ended(Subject::Drill).next() {
            None => "no drill of this source has ended yet".to_owned(),
            Some((run, ending)) => format!("no drill of this source has passed yet; {}", outcome(run, ending)),
        });
    };
    let age = now.duration_since(run.started_at);
    let passed = format!("the drill of {} passed", moment(run.started_at));
    if age < -CLOCK_SKEW {
        return Err(format!("{passed}, which is in the future: one of the clocks is wrong"));
    }
    let passed = format!("{passed}, {} ago", duration(age));
    // One that could not find out takes nothing back, of either.
    let later = history.ended(Subject::Drill).take_while(|(later, _)| later.run_id != run.run_id);
    if let Some((run, ending)) = later.into_iter().find(|(_, ending)| ending.verdict == Verdict::Fail) {
        return Err(format!("{passed}, but {}", outcome(run, ending)));
    }
    if age > allowed {
        let last = history.ended(Subject::Drill).next().filter(|(last, _)| last.run_id != run.run_id);
        let since = last.map_or_else(String::new, |(run, ending)| format!("; {}", outcome(run, ending)));
        return Err(format!("{passed}, and {} is allowed{since}", duration(allowed)));
    }
    Ok(format!("{passed}; {} is allowed", duration(allowed)))
}

fn outcome(run: &PastRun, ending: &Ending) -> String {
    let verdict = ending.verdict.as_str();
    format!("the drill of {} was {verdict}: {}", moment(run.started_at), printable(&ending.headline))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::history::fixture::{at, report, run};
    use jiff::SignedDuration;

    const DAY: Duration = Duration::from_hours(26);

    type Runs<'a> = &'a [(Subject, i64, Verdict)];

    fn history(runs: &[(Subject, i64, Verdict)]) -> History {
        let mut history = History::default();
        for &(command, day, verdict) in runs {
            history.finish(&report(command, day, verdict), &BTreeMap::new(), &[]);
        }
        history
    }

    #[test]
    fn only_a_young_pass_of_a_drill_without_a_later_fail_opens_the_gate() {
        use Subject::{Check, Drill};
        use Verdict::{Fail, Inconclusive, Pass};
        let noon = at(3) + SignedDuration::from_hours(11);
        let cases: [(&str, Runs, Result<&str, &str>); 10] = [
            ("nothing", &[], Err("no drill of this source has ended yet")),
            ("a check proves nothing", &[(Check, 3, Pass)], Err("no drill of this source has ended yet")),
            (
                "never passed",
                &[(Drill, 3, Fail)],
                Err("no drill of this source has passed yet; the drill of 2026-11-03 01:00:00 UTC was FAIL: Three \
                     segments are missing."),
            ),
            (
                "last night",
                &[(Drill, 3, Pass)],
                Ok("the drill of 2026-11-03 01:00:00 UTC passed, 11 h ago; 1 d 2 h is allowed"),
            ),
            (
                "too old",
                &[(Drill, 1, Pass)],
                Err("the drill of 2026-11-01 01:00:00 UTC passed, 2 d 11 h ago, and 1 d 2 h is allowed"),
            ),
            (
                "too old, and tried since",
                &[(Drill, 1, Pass), (Drill, 2, Inconclusive)],
                Err("the drill of 2026-11-01 01:00:00 UTC passed, 2 d 11 h ago, and 1 d 2 h is allowed; the drill of \
                     2026-11-02 01:00:00 UTC was INCONCLUSIVE: It was stopped by a signal."),
            ),
            (
                "passed again after a failure",
                &[(Drill, 2, Fail), (Drill, 3, Pass)],
                Ok("the drill of 2026-11-03 01:00:00 UTC passed, 11 h ago; 1 d 2 h is allowed"),
            ),
            (
                "a check that failed after it is the check's alarm",
                &[(Drill, 3, Pass), (Check, 4, Fail)],
                Ok("the drill of 2026-11-03 01:00:00 UTC passed, 11 h ago; 1 d 2 h is allowed"),
            ),
            (
                "tomorrow",
                &[(Drill, 4, Pass)],
                Err("the drill of 2026-11-04 01:00:00 UTC passed, which is in the future: one of the clocks is wrong"),
            ),
            (
                "a check's pass does not help",
                &[(Check, 3, Pass), (Drill, 1, Pass)],
                Err("the drill of 2026-11-01 01:00:00 UTC passed, 2 d 11 h ago, and 1 d 2 h is allowed"),
            ),
        ];
        for (name, runs, expected) in cases {
            let judged = judge(&history(runs), DAY, noon);
            assert_eq!(judged.as_ref().map(String::as_str).map_err(String::as_str), expected, "{name}");
        }
    }

    #[test]
    fn a_fail_after_the_pass_closes_the_gate_also_behind_an_inconclusive_one() {
        use Verdict::{Fail, Inconclusive, Pass};
        let runs = [(Subject::Drill, 1, Pass), (Subject::Drill, 2, Fail), (Subject::Drill, 3, Inconclusive)];
        let reason = judge(&history(&runs), Duration::from_hours(24 * 30), at(4)).unwrap_err();
        assert_eq!(
            reason,
            "the drill of 2026-11-01 01:00:00 UTC passed, 3 d ago, but the drill of 2026-11-02 01:00:00 UTC was FAIL: \
             Three segments are missing."
        );
        let inconclusive = [runs[0], runs[2]];
        assert!(judge(&history(&inconclusive), Duration::from_hours(24 * 30), at(4)).is_ok());
    }

    #[test]
    fn the_age_counts_from_the_beginning_and_clocks_may_differ_a_little() {
        let history = history(&[(Subject::Drill, 2, Verdict::Pass)]);
        let opens = |minutes: i64| judge(&history, DAY, at(2) + SignedDuration::from_mins(minutes)).is_ok();
        assert_eq!([-6, -5, 0, 26 * 60, 26 * 60 + 1].map(opens), [false, true, true, true, false]);
    }

    #[test]
    fn a_run_that_is_under_way_neither_opens_nor_closes_it() {
        let mut history = history(&[(Subject::Drill, 2, Verdict::Pass)]);
        history.begin(run(Subject::Drill, 3));
        assert!(judge(&history, DAY, at(3)).is_ok());
    }
}

//! Runs and reports in a line, for tests. One a day, at 01:00 of November 2026 and after it.

use jiff::{SignedDuration, Timestamp};

use super::PastRun;
use crate::finding::{Blame, Code, Finding};
use crate::report::{Report, SCHEMA_VERSION};
use crate::verdict::{Subject, Verdict, undecided};

/// 01:00 of the day with this number.
pub fn at(day: i64) -> Timestamp {
    let first: Timestamp = "2026-11-01T01:00:00Z".parse().unwrap();
    first + SignedDuration::from_hours(24 * (day - 1))
}

pub fn run_id(command: Subject, day: i64) -> String {
    let digit = if command == Subject::Drill { 'd' } else { 'c' };
    format!("{}-{digit}00000", at(day).strftime("%Y%m%dt%H%M%Sz"))
}

pub fn run(command: Subject, day: i64) -> PastRun {
    PastRun {
        run_id: run_id(command, day),
        command,
        started_at: at(day),
        holder: None,
        ends_by: at(day) + SignedDuration::from_hours(5),
        ending: None,
    }
}

/// A report without details that took an hour.
pub fn report(command: Subject, day: i64, verdict: Verdict) -> Report {
    let findings = match verdict {
        Verdict::Pass => vec![Finding::passed(Code::ServerUp, "it came up")],
        Verdict::Fail => vec![Finding::failed(Code::WalGap, Blame::Backups, "three segments are missing")],
        Verdict::Inconclusive => vec![Finding::not_checked(Code::RunStopped, "it was stopped by a signal")],
    };
    Report {
        schema_version: SCHEMA_VERSION,
        walproof_version: "0.1.0".to_owned(),
        command,
        run_id: run_id(command, day),
        source: "app".to_owned(),
        namespace: None,
        archive: "s3://wal/app".to_owned(),
        started_at: at(day),
        finished_at: at(day) + SignedDuration::from_hours(1),
        verdict,
        undecided: undecided(command, &findings, &[]),
        findings,
        inventory: None,
        restore: None,
        sandbox: None,
        left_behind: Vec::new(),
    }
}

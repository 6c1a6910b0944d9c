//! The table of all metrics, each with where its value comes from. docs/metrics.md is made of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Kind, Metric, Sample, Series};
use crate::finding::{Code, Finding, Outcome};
use crate::probe::tables::Comparison;
use crate::report::{InventorySummary, Report, Restore, Window};
use crate::verdict::{Subject, Verdict};

/// Every metric, in the order of a person's questions. Names and types never change their meaning: a Pushgateway refuses
/// a name that it knows with another type.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "walproof_last_run_started_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "Unix time",
        labels: &[],
        help: "When the newest run began, finished or not.",
        samples: |series| one(seconds_of(series.last_started_at)),
    },
    Metric {
        name: "walproof_last_run_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "Unix time",
        labels: &[],
        help: "When the newest finished run ended.",
        samples: |series| known(series.report.map(|report| seconds_of(report.finished_at))),
    },
    Metric {
        name: "walproof_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "Unix time",
        labels: &[],
        help: "When the newest run whose verdict is PASS ended.",
        samples: |series| known(series.last_success_at.map(seconds_of)),
    },
    Metric {
        name: "walproof_runs_total",
        kind: Kind::Counter,
        unit: "runs",
        labels: &[],
        help: "All runs since the history began.",
        samples: |series| known(series.count.map(|count| number(count.runs))),
    },
    Metric {
        name: "walproof_runs_passed_total",
        kind: Kind::Counter,
        unit: "runs",
        labels: &[],
        help: "Runs since the history began whose verdict is PASS.",
        samples: |series| known(series.count.map(|count| number(count.passed))),
    },
    Metric {
        name: "walproof_verdict",
        kind: Kind::Gauge,
        unit: "0 or 1",
        labels: &["verdict"],
        help: "1 for the verdict of the newest finished run, 0 for the two others.",
        samples: verdicts,
    },
    Metric {
        name: "walproof_run_duration_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        help: "How long the newest finished run took, tear-down included.",
        samples: |series| {
            let took = series.report.map(|report| report.finished_at.duration_since(report.started_at));
            known(took.map(|took| took.as_secs_f64()))
        },
    },
    Metric {
        name: "walproof_phase_duration_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &["phase"],
        help: "How long each phase of the newest drill took.",
        samples: |series| {
            let phases = restore(series).into_iter().flat_map(|restore| &restore.phases);
            phases.map(|phase| Sample { labels: vec![&phase.name], value: seconds(phase.duration_ms) }).collect()
        },
    },
    Metric {
        name: "walproof_recovery_time_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        help: "From the beginning of the restore to the first accepted connection, in the sandbox.",
        samples: |series| known(restore(series).and_then(|restore| restore.recovery_time_ms).map(seconds)),
    },
    Metric {
        name: "walproof_recovery_time_objective_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        help: "How long a restore may take, as configured.",
        samples: |series| known(series.objectives.recovery_time.filter(|_| is_drill(series)).map(of_duration)),
    },
    Metric {
        name: "walproof_recovery_point_exposure_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        help: "From the newest moment proven restorable to the end of the drill: what would have been lost then.",
        samples: |series| known(restore(series).and_then(|restore| restore.recovery_point_exposure_ms).map(seconds)),
    },
    Metric {
        name: "walproof_recovery_point_objective_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        help: "How much of the latest work may be lost, as configured.",
        samples: |series| known(series.objectives.recovery_point.filter(|_| is_drill(series)).map(of_duration)),
    },
    Metric {
        name: "walproof_recovery_window_objective_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        help: "How far back a restore must be possible, as configured.",
        samples: |series| known(series.objectives.recovery_window.map(of_duration)),
    },
    Metric {
        name: "walproof_newest_wal_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "Unix time",
        labels: &[],
        help: "When the newest WAL segment in the archive was stored.",
        samples: |series| known(inventory(series).and_then(|listed| listed.newest_segment_at).map(seconds_of)),
    },
    Metric {
        name: "walproof_newest_backup_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "Unix time",
        labels: &[],
        help: "When the newest completed base backup in the archive ended.",
        samples: |series| known(inventory(series).and_then(|listed| listed.newest_backup_at).map(seconds_of)),
    },
    Metric {
        name: "walproof_wal_gaps",
        kind: Kind::Gauge,
        unit: "gaps",
        labels: &[],
        help: "Gaps in the WAL that are held against the backups; a check reports 20 at most. Left out when nothing \
               looked for gaps.",
        samples: |series| known(series.report.and_then(gaps)),
    },
    Metric {
        name: "walproof_recovery_window_start_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "Unix time",
        labels: &[],
        help: "The first moment that the archive's listing shows as recoverable.",
        samples: |series| known(window(series).map(|window| seconds_of(window.from))),
    },
    Metric {
        name: "walproof_recovery_window_end_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "Unix time",
        labels: &[],
        help: "The last moment that the archive's listing shows as recoverable.",
        samples: |series| known(window(series).map(|window| seconds_of(window.to))),
    },
    Metric {
        name: "walproof_recovered_to_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "Unix time",
        labels: &[],
        help: "Commit time of the last transaction that the newest drill replayed.",
        samples: |series| known(restore(series).and_then(|restore| restore.last_commit_at).map(seconds_of)),
    },
    Metric {
        name: "walproof_recovered_lsn_distance_bytes",
        kind: Kind::Gauge,
        unit: "bytes of WAL",
        labels: &[],
        help: "How far behind the baseline's LSN recovery stopped; negative when it stopped before it. A stop exactly at \
               the baseline ends with the last whole record before its LSN, so a few bytes below 0 are as it should be.",
        samples: |series| known(restore(series).and_then(distance)),
    },
    Metric {
        name: "walproof_findings",
        kind: Kind::Gauge,
        unit: "findings",
        labels: &["outcome"],
        help: "Findings of the newest finished run by what they came to.",
        samples: findings_by_outcome,
    },
    Metric {
        name: "walproof_finding",
        kind: Kind::Gauge,
        unit: "1",
        labels: &["code", "outcome"],
        help: "1 for each code that the newest finished run found something under, with its worst outcome.",
        samples: worst_outcomes,
    },
    Metric {
        name: "walproof_rows_compared",
        kind: Kind::Gauge,
        unit: "rows",
        labels: &[],
        help: "Rows that the baseline has in the tables that the newest drill compared. Tables that could not be compared \
               do not count.",
        samples: |series| known(restore(series).and_then(rows_compared).map(number)),
    },
    Metric {
        name: "walproof_tables_compared",
        kind: Kind::Gauge,
        unit: "tables",
        labels: &[],
        help: "Tables that the newest drill compared with the baseline.",
        samples: |series| known(restore(series).map(|restore| number(restore.tables_compared))),
    },
    Metric {
        name: "walproof_restored_bytes",
        kind: Kind::Gauge,
        unit: "bytes",
        labels: &[],
        help: "What the newest drill unpacked from its base backup. Left out where the operator restores, which does not \
               say.",
        samples: |series| {
            let unpacked = restore(series).map(|restore| restore.bytes_unpacked);
            known(unpacked.filter(|&bytes| bytes > 0).map(number))
        },
    },
    Metric {
        name: "walproof_segments_replayed",
        kind: Kind::Gauge,
        unit: "WAL segments",
        labels: &[],
        help: "WAL segments that the newest drill's restored server asked for and got.",
        samples: |series| {
            // Without a first one it is not known whether there were none.
            let replayed = restore(series).filter(|restore| restore.first_segment_replayed.is_some());
            known(replayed.map(|restore| number(restore.segments_replayed)))
        },
    },
    Metric {
        name: "walproof_sandbox_leftovers",
        kind: Kind::Gauge,
        unit: "objects",
        labels: &[],
        help: "Things that the newest drill could not remove.",
        samples: |series| {
            let drill = series.report.filter(|_| is_drill(series));
            known(drill.map(|report| number(report.left_behind.len() as u64)))
        },
    },
    Metric {
        name: "walproof_undelivered_reports",
        kind: Kind::Gauge,
        unit: "reports",
        labels: &[],
        help: "Reports that somebody has not been told of yet; each run tries again. Left out without a history.",
        samples: |series| known(series.undelivered.map(number)),
    },
    Metric {
        name: "walproof_build_info",
        kind: Kind::Gauge,
        unit: "1",
        labels: &["version"],
        help: "The walproof that wrote these metrics.",
        samples: |_| vec![Sample { labels: vec![env!("CARGO_PKG_VERSION")], value: 1.0 }],
    },
];

const VERDICTS: [Verdict; 3] = [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive];

/// Worst first.
const OUTCOMES: [Outcome; 4] = [Outcome::Failed, Outcome::NotChecked, Outcome::Passed, Outcome::Note];

fn one(value: f64) -> Vec<Sample<'static>> {
    vec![Sample { labels: Vec::new(), value }]
}

fn known(value: Option<f64>) -> Vec<Sample<'static>> {
    value.map_or_else(Vec::new, one)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers; they are exact up to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds_of(moment: Timestamp) -> f64 {
    moment.as_duration().as_secs_f64()
}

fn seconds(milliseconds: u64) -> f64 {
    of_duration(Duration::from_millis(milliseconds))
}

fn of_duration(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn is_drill(series: &Series<'_>) -> bool {
    series.command == Subject::Drill
}

fn restore<'a>(series: &Series<'a>) -> Option<&'a Restore> {
    series.report?.restore.as_ref()
}

fn inventory<'a>(series: &Series<'a>) -> Option<&'a InventorySummary> {
    series.report?.inventory.as_ref()
}

fn window<'a>(series: &Series<'a>) -> Option<&'a Window> {
    inventory(series)?.recovery_window.as_ref()
}

fn verdicts<'a>(series: &Series<'a>) -> Vec<Sample<'a>> {
    let Some(report) = series.report else { return Vec::new() };
    let sample =
        |verdict: Verdict| Sample { labels: vec![verdict.as_str()], value: f64::from(verdict == report.verdict) };
    VERDICTS.map(sample).into()
}

const fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        Outcome::NotChecked => "not_checked",
        Outcome::Passed => "passed",
        Outcome::Note => "note",
    }
}

fn findings_by_outcome<'a>(series: &Series<'a>) -> Vec<Sample<'a>> {
    let Some(report) = series.report else { return Vec::new() };
    let count = |outcome| report.findings.iter().filter(|finding| finding.outcome == outcome).count() as u64;
    OUTCOMES.map(|outcome| Sample { labels: vec![name(outcome)], value: number(count(outcome)) }).into()
}

fn worst_outcomes<'a>(series: &Series<'a>) -> Vec<Sample<'a>> {
    let findings = series.report.map_or(&[][..], |report| &report.findings);
    let mut worst: BTreeMap<Code, Outcome> = BTreeMap::new();
    // From the mildest on, so that what is worse replaces it.
    for outcome in OUTCOMES.into_iter().rev() {
        worst.extend(
            findings.iter().filter(|finding| finding.outcome == outcome).map(|finding| (finding.code, outcome)),
        );
    }
    let sample = |(code, outcome): (Code, Outcome)| Sample { labels: vec![code.as_str(), name(outcome)], value: 1.0 };
    worst.into_iter().map(sample).collect()
}

/// A note about no segment says that nothing looked: only the end of the WAL was listed.
fn gaps(report: &Report) -> Option<f64> {
    let found: Vec<&Finding> = report.findings.iter().filter(|finding| finding.code == Code::WalGap).collect();
    let was_looked_for = found.iter().any(|finding| match finding.outcome {
        Outcome::Failed | Outcome::Passed => true,
        Outcome::Note => finding.object.is_some(),
        Outcome::NotChecked => false,
    });
    let failed = found.iter().filter(|finding| finding.outcome == Outcome::Failed).count();
    was_looked_for.then(|| number(failed as u64))
}

fn distance(restore: &Restore) -> Option<f64> {
    let (stop, baseline) = (restore.stop_lsn?, restore.baseline.as_ref()?.lsn);
    let distance = number(stop.0.abs_diff(baseline.0));
    Some(if stop >= baseline { distance } else { -distance })
}

/// The report lists every table that did not pass and only some that did, so what is not on the list is counted from the
/// other side: the baseline's rows less those that were not compared. Where neither way is exact it is not known.
fn rows_compared(restore: &Restore) -> Option<u64> {
    let rows = |compared: bool| {
        let listed =
            restore.tables.iter().filter(move |table| (table.comparison != Comparison::NotChecked) == compared);
        listed.fold((0, 0), |(tables, rows), table| (tables + 1, rows + table.rows_expected))
    };
    let (compared, compared_rows) = rows(true);
    if compared == restore.tables_compared {
        return Some(compared_rows);
    }
    let (not_compared, not_compared_rows) = rows(false);
    let baseline = restore.baseline.as_ref()?;
    let is_whole = baseline.tables == restore.tables_compared + not_compared;
    is_whole.then(|| baseline.rows.saturating_sub(not_compared_rows))
}

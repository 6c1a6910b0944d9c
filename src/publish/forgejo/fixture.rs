//! Reports and histories for the tests of this directory.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::finding::{Blame, Code, Finding};
use crate::history::{Ending, History, PastRun};
use crate::report::Report;
use crate::verdict::{Subject, Verdict};

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A drill of the night of 2026-11-21 with what it restored and measured.
pub fn drill(verdict: Verdict, undecided: &[Code], findings: Vec<Finding>) -> Report {
    let mut report: Report = serde_json::from_value(document()).unwrap();
    report.verdict = verdict;
    report.undecided = undecided.to_vec();
    report.findings.extend(findings);
    report
}

pub fn failed() -> Report {
    let gap = Finding::failed(Code::WalMissingForBackup, Blame::Backups, "WAL that the base backup needs is missing")
        .of("000000010000000000000007")
        .expected("24 segments from 000000010000000000000003 on")
        .observed("000000010000000000000007 is not in the archive")
        .hint("take a base backup now, then find out who deletes from the bucket");
    let note = Finding::note(Code::BackupUnsafeMember, "a member leads out | of its directory").observed("<b>../x</b>");
    let app = Finding::not_checked(Code::AppCheck, "the application's own check did not come to a result")
        .of("registry.example/app:1");
    let mut report = drill(Verdict::Fail, &[], vec![note, app, gap]);
    report.restore = None;
    report
}

pub fn inconclusive() -> Report {
    let quota = Finding::failed(Code::SandboxQuota, Blame::Environment, "the namespace's quota leaves no room")
        .expected("10 GiB of storage")
        .observed("2 GiB left of 5 GiB")
        .hint("raise the quota of the namespace postgres-restore-test");
    let mut report = drill(Verdict::Inconclusive, &[Code::SandboxQuota, Code::ServerUp], vec![quota]);
    report.restore = None;
    report.left_behind = vec!["PersistentVolumeClaim postgres-restore-test/walproof-x-1".to_owned()];
    report
}

/// Runs of drills: when they began, their verdicts, and the comments on them.
pub fn history(runs: &[(&str, Verdict, Option<&str>)]) -> History {
    let past = |&(started, verdict, comment): &(&str, Verdict, Option<&str>)| {
        let started_at = at(started);
        let finished_at = started_at + jiff::SignedDuration::from_mins(4);
        PastRun {
            run_id: format!("run-of-{started}"),
            command: Subject::Drill,
            started_at,
            holder: None,
            ends_by: finished_at,
            ending: Some(Ending {
                finished_at,
                verdict,
                headline: format!("{} as it was then.", verdict.as_str()),
                target: Some("the baseline, LSN 0/C000028".to_owned()),
                recovery_time_ms: Some(62_000),
                recovery_point_exposure_ms: None,
                rows: Some(83_000),
                restored_bytes: Some(3 << 30),
                tables: std::collections::BTreeMap::new(),
                comment_url: comment.map(str::to_owned),
                claimed_until: None,
                undelivered: Vec::new(),
            }),
        }
    };
    History { runs: runs.iter().map(past).collect(), ..History::default() }
}

fn document() -> Value {
    json!({
        "schema_version": 1, "walproof_version": "0.1.0", "command": "drill",
        "run_id": "20261121t020000z-a1b2c3", "source": "pal-e-postgres", "namespace": "postgres",
        "archive": "s3://postgres-wal/pal-e-postgres",
        "started_at": "2026-11-21T02:00:00Z", "finished_at": "2026-11-21T02:03:30Z",
        "verdict": "PASS",
        "findings": [
            {"code": "server.up", "outcome": "passed", "summary": "the restored server came up"},
            {"code": "table.row_count", "outcome": "passed", "summary": "12 tables have the baseline's rows"},
        ],
        "inventory": {
            "backups": 3, "restorable_backups": 2, "segments": 1204, "wal_bytes": 3_221_225_472_u64, "timelines": [1],
            "newest_segment": "00000001000000000000000C", "newest_segment_at": "2026-11-21T01:59:00Z",
            "recovery_window": {
                "from": "2026-11-14T01:00:00Z", "to": "2026-11-21T01:59:00Z", "timeline": 1,
                "oldest_backup": "20261114T010000", "last_segment": "00000001000000000000000C",
            },
            "segments_read": 8, "requests": 31,
        },
        "restore": {
            "sandbox": "operator", "backup": "20261121T010000", "backup_ended_at": "2026-11-21T01:00:41Z",
            "target": "the baseline, LSN 0/C000028", "stopped": "before 0/C000028, timeline 1",
            "segments_replayed": 4, "first_segment_replayed": "000000010000000000000009",
            "last_segment_replayed": "00000001000000000000000C", "bytes_unpacked": 0,
            "phases": [{"name": "gates", "duration_ms": 1200}, {"name": "restore", "duration_ms": 48_300}],
            "recovery_time_ms": 48_300, "recovery_point_exposure_ms": 210_000, "tables_compared": 12,
            "tables": [{"database": "paledocs", "table": "public.notes", "rows_expected": 9, "rows_observed": 9, "comparison": "exact"}],
            "baseline": {
                "captured_at": "2026-11-21T02:00:10Z", "lsn": "0/C000028", "timeline": 1, "exact": true,
                "databases": 3, "tables": 12, "rows": 83_559,
            },
        },
        "left_behind": [],
    })
}

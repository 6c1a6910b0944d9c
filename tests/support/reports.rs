//! Reports and a history to show: what the files beside this one hold, and sixty nights.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use walproof::history::History;
use walproof::report::Report;

/// Each report's name and content: a drill that passed, one over a gap, one that the operator could not do, a check
/// after a failover.
pub const REPORTS: [(&str, &str); 4] = [
    ("pass", include_str!("reports/pass.json")),
    ("fail", include_str!("reports/fail.json")),
    ("inconclusive", include_str!("reports/inconclusive.json")),
    ("check", include_str!("reports/check.json")),
];

pub fn value(name: &str) -> Value {
    let (_, text) = REPORTS.iter().find(|(other, _)| *other == name).unwrap();
    serde_json::from_str(text).unwrap()
}

pub fn report(name: &str) -> Report {
    serde_json::from_value(value(name)).unwrap()
}

/// Sixty drills that ended in the night of 2026-11-21, with a check behind every tenth: restores grow slower, two
/// nights fail over a gap, four could not find out.
pub fn history() -> History {
    serde_json::from_value(history_value()).unwrap()
}

pub fn history_value() -> Value {
    let newest: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
    let mut runs = Vec::new();
    for night in 0..60_u32 {
        let started_at = newest - SignedDuration::from_hours(24 * i64::from(59 - night));
        let run_id = match night {
            59 => "20261121t020000z-934174".to_owned(),
            _ => format!("{}-{night:06x}", started_at.strftime("%Y%m%dt%H%M%Sz")),
        };
        let rows = 1_609_038 + 3_970 * u64::from(night);
        let took =
            if night == 59 { 205_074 } else { 141_000 + 850 * u64::from(night) + u64::from(night * 7919 % 23) * 1_100 };
        let ending = match night {
            31 | 32 => json!({
                "verdict": "FAIL",
                "headline": "WAL is missing: 0000000100000005000000A1; no moment between 2026-10-23 04:00:13 UTC and \
                             2026-10-23 04:05:17 UTC can be recovered.",
            }),
            12 | 40 | 41 | 55 => json!({
                "verdict": "INCONCLUSIVE",
                "headline": "The recovery pod did not start within 10 min.",
                "rows": rows,
            }),
            _ => json!({
                "verdict": "PASS",
                "headline": format!("Proven by walproof's own restore: base backup and WAL bring back 18 tables and {rows} rows."),
                "target": "LSN 8/DF24D590, exclusive",
                "recovery_time_ms": took,
                "recovery_point_exposure_ms": took + 61_000,
                "rows": rows,
                "restored_bytes": 4_711_223_296_u64,
            }),
        };
        runs.push(run("drill", &run_id, started_at, ending));
        if night % 10 == 9 {
            let checked_at = started_at + SignedDuration::from_hours(10);
            let run_id = format!("{}-c{night:05x}", checked_at.strftime("%Y%m%dt%H%M%Sz"));
            let headline = "The listing shows WAL arriving, unbroken, and a base backup to start from.";
            runs.push(run("check", &run_id, checked_at, json!({"verdict": "PASS", "headline": headline})));
        }
    }
    json!({
        "schema_version": 1,
        "runs": runs,
        "reports": {},
        "drills": {"runs": 212, "passed": 203},
        "checks": {"runs": 6, "passed": 6},
    })
}

fn run(command: &str, run_id: &str, started_at: Timestamp, mut ending: Value) -> Value {
    ending["finished_at"] = json!(started_at + SignedDuration::from_secs(277));
    json!({
        "run_id": run_id,
        "command": command,
        "started_at": started_at,
        "ends_by": started_at + SignedDuration::from_hours(4),
        "ending": ending,
    })
}

//! The target is the archive's end, and a segment on the way there is missing. PostgreSQL replays to the gap, calls it
//! the end and comes up: `SELECT 1` answers, and all that lies behind the gap is gone.
//!
//! Caught by `check::wal::way_gap` and, without it, by `drill::prove::choose_whole_way`, which also withholds the restore
//! while a young gap may still close.

use serde_json::json;

use crate::support::Prepared;
use crate::trial::Trial;

fn over_a_gap(missing: &str) -> Trial {
    Trial::of_prepared(|archive| archive.delete_segment(missing)).set("/sources/0/target", json!({"latest": {}}))
}

fn middle() -> String {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    between[between.len() / 2].clone()
}

#[test]
fn a_drill_to_the_latest_over_a_gap_fails_by_the_segments_name() {
    let missing = middle();
    over_a_gap(&missing).drill().fails(&[("wal.gap", &missing)]);
}

#[test]
fn a_gap_behind_the_baseline_fails_a_drill_to_the_latest_too() {
    let missing = Prepared::get().baseline_segment.clone();
    over_a_gap(&missing).drill().fails(&[("wal.gap", &missing)]);
}

#[test]
fn a_gap_that_may_still_close_is_inconclusive_and_nothing_is_restored_over_it() {
    let missing = middle();
    let judged = over_a_gap(&missing).set("/sources/0/freshness/maxWalAge", json!("24h")).drill();
    judged.is_inconclusive(&[("wal.gap", &missing)]);
    assert!(judged.report().get("restore").is_none(), "{judged}");
}

//! A copy of the source was promoted with archiving on, and wrote its own timeline into the archive that it came from.
//! All that the source wrote is there too. But a recovery that names no timeline follows the newest: it ends with what
//! the copy had, and says nothing.
//!
//! Caught by `check::branch::judge`.

use serde_json::json;

use crate::archives::TwoTimelines;

#[test]
fn an_archive_in_which_a_copys_timeline_is_the_newest_fails_the_drill() {
    let judged = TwoTimelines::get().trial(1, |_| ()).drill();
    judged.fails(&[("wal.other_branch", "00000002.history")]);
    // It is in the archive, though, and whoever pins the timeline gets it.
    for whole in ["recovery.stop", "recovery.transactions_missing", "table.row_count"] {
        judged.finding(whole, "passed");
    }
}

#[test]
fn a_check_that_asks_the_source_fails_too() {
    let two = TwoTimelines::get();
    let check = two.trial(1, |_| ()).connection(&two.first).check();
    check.fails(&[("wal.other_branch", "00000002.history")]);
}

#[test]
fn a_drill_to_the_latest_follows_the_source_and_fails_the_same() {
    let trial = TwoTimelines::get().trial(1, |_| ()).set("/sources/0/target", json!({"latest": {}}));
    let judged = trial.drill();
    judged.fails(&[("wal.other_branch", "00000002.history")]);
    judged.finding("recovery.transactions_missing", "passed");
}

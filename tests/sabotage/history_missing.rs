//! The source was promoted after its last base backup, and the history of its timeline is not in the archive. Recovery
//! to the latest point would follow the old timeline to its end and call it a success.
//!
//! Caught by `check::wal::missing_history`. Without it, `target::choose` finds no backup that leads to the baseline.

use crate::archives::TwoTimelines;

#[test]
fn a_timeline_without_its_history_fails_check_and_drill() {
    let trial = TwoTimelines::get().trial(2, |archive| archive.delete(&archive.wal_key("00000002.history")));
    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.history_damaged", "00000002.history")]);
        assert!(judged.report().get("restore").is_none(), "{judged}");
    }
}

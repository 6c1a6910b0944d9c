//! The history of the source's timeline is well written and lies: it forks off before the base backup. Recovery along
//! it cannot start from that backup, and no other is there.
//!
//! Caught by `check::wal::unbroken`.

use crate::archives::TwoTimelines;

#[test]
fn a_history_that_forks_off_before_every_base_backup_fails_check_and_drill() {
    let trial = TwoTimelines::get().trial(2, |archive| TwoTimelines::fork_at(archive, |_| 0x0100_0028));
    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("backup.none", "")]);
        assert!(judged.report().get("restore").is_none(), "{judged}");
    }
}

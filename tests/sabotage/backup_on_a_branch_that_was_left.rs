//! The only base backup was made by the old primary after another server had been promoted. It is whole, its WAL is
//! there, and nothing leads from it to the source.
//!
//! Caught by `check::wal::unbroken`.

use crate::archives::TwoTimelines;

#[test]
fn a_backup_behind_the_fork_of_the_old_timeline_fails_check_and_drill() {
    let two = TwoTimelines::get();
    let trial = two.trial(2, |archive| {
        for object in ["backup.info", "data.tar.gz"] {
            archive.delete(&archive.backup_key(&two.backup, object));
        }
    });
    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("backup.none", "")]);
        let none = judged.finding("backup.none", "failed");
        assert!(none["summary"].as_str().unwrap().contains("timeline 2"), "{judged}");
    }
}

//! One of several parts of the base backup's tar is gone. Each part is a tar of its own, so barman restores the others
//! and exits 0.
//!
//! Caught by `archive::inventory::Backup::tar_defect`; the last part, which no listing can miss, by
//! `sandbox::direct::base_backup::verify`.

use crate::archives::ManyTars;

#[test]
fn the_first_part_and_one_between_are_missed_from_the_listing() {
    let many = ManyTars::get();
    for part in [0, 1] {
        let trial = many.trial(|archive| archive.delete(&many.data(archive)[part]));
        for judged in [trial.check(), trial.drill()] {
            judged.fails(&[("backup.none", ""), ("backup.not_restorable", &many.backup)]);
            let defect = judged.finding("backup.not_restorable", "failed");
            assert!(defect["observed"].as_str().unwrap().contains("data.tar is missing"), "{judged}");
        }
    }
}

#[test]
fn the_last_part_is_missed_when_the_base_backup_is_unpacked() {
    let many = ManyTars::get();
    let trial = many.trial(|archive| archive.delete(many.data(archive).last().unwrap()));
    trial.drill().fails(&[("backup.damaged", &many.backup)]);
}

//! The tar of a tablespace is gone. The data directory is whole, and PostgreSQL starts without it until somebody asks
//! for a table there.
//!
//! Caught by `archive::inventory::Backup::tar_defect`, which knows from `backup.info` which tablespaces there are.

use crate::archives::ManyTars;

#[test]
fn a_backup_without_the_tar_of_its_tablespace_fails_check_and_drill() {
    let many = ManyTars::get();
    let tar = format!("{}.tar", many.tablespace);
    let trial = many.trial(|archive| archive.delete(&archive.backup_key(&many.backup, &tar)));
    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("backup.none", ""), ("backup.not_restorable", &many.backup)]);
        let defect = judged.finding("backup.not_restorable", "failed");
        assert!(defect["observed"].as_str().unwrap().contains(&tar), "{judged}");
    }
}

#[test]
fn a_tablespace_that_backup_info_does_not_know_either_is_inconclusive() {
    let many = ManyTars::get();
    let trial = many.trial(|archive| {
        archive.delete(&archive.backup_key(&many.backup, &format!("{}.tar", many.tablespace)));
        archive.rewrite_backup_info(&many.backup, |info| {
            let forgets = |line: &str| {
                if line.starts_with("tablespaces=") { "tablespaces=None".to_owned() } else { line.to_owned() }
            };
            info.lines().map(forgets).collect::<Vec<_>>().join("\n")
        });
    });
    trial.drill().is_inconclusive(&[("sandbox.unusable", &many.backup)]);
}

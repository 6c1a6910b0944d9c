//! The base backups have all their data, and no `backup.info`, or one that is none: a backup that was killed, a clean-up
//! that began with it. barman sees no backup there.
//!
//! Caught by `archive::inventory::Backup::defect`.

use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

#[track_caller]
fn no_backup(sabotage: impl Fn(&ArchiveCopy, &str)) {
    let backups = &Prepared::get().backups;
    let trial = Trial::of_prepared(|archive| {
        for backup in backups {
            sabotage(archive, &archive.backup_key(backup, "backup.info"));
        }
    });
    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("backup.none", "")]);
        let none = judged.finding("backup.none", "failed");
        let observed = none["observed"].as_str().unwrap();
        assert!(backups.iter().all(|backup| observed.contains(backup.as_str())), "{judged}");
        assert!(judged.report().get("restore").is_none(), "{judged}");
    }
}

#[test]
fn backups_without_their_backup_info_fail_check_and_drill() {
    no_backup(|archive, key| archive.delete(key));
}

#[test]
fn backups_with_an_empty_backup_info_fail_check_and_drill() {
    no_backup(|archive, key| archive.truncate(key, 0));
}

#[test]
fn backups_with_a_page_of_an_error_for_backup_info_fail_check_and_drill() {
    no_backup(|archive, key| archive.replace(key, b"<html><title>503 Service Unavailable</title></html>\n"));
}

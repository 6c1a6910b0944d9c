//! Base backups of which the upload failed after PostgreSQL had ended them: status FAILED, with an end time. CloudNativePG
//! goes by the end time and would start from the newest of them.
//!
//! Caught by `archive::inventory::Backup::defect`.

use serde_json::json;

use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

fn fail(archive: &ArchiveCopy, backup: &str) {
    archive.rewrite_backup_info(backup, |info| {
        assert!(info.contains("\nend_time=2"), "{info}");
        info.replace("status=DONE", "status=FAILED").replace("error=None", "error=failure uploading data (EOF)")
    });
}

#[test]
fn an_archive_of_failed_backups_fails_check_and_drill() {
    let backups = &Prepared::get().backups;
    let trial = Trial::of_prepared(|archive| backups.iter().for_each(|backup| fail(archive, backup)));
    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("backup.none", "")]);
        let none = judged.finding("backup.none", "failed");
        let observed = none["observed"].as_str().unwrap();
        assert!(observed.contains("FAILED") && observed.contains("failure uploading data"), "{judged}");
        assert!(judged.report().get("restore").is_none(), "{judged}");
    }
}

#[test]
fn a_drill_that_is_told_to_start_from_a_failed_backup_is_inconclusive() {
    let backup = &Prepared::get().backups[1];
    let trial = Trial::of_prepared(|archive| fail(archive, backup));
    let judged = trial.set("/sources/0/backup", json!({"id": backup})).drill();
    judged.is_inconclusive(&[("target.outside_window", backup)]);
}

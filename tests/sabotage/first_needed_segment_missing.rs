//! The segment in which the selected base backup begins is gone: its checkpoint record lies there, so it never becomes
//! consistent. The listing alone shows it.
//!
//! Caught by `check::wal::for_backups`, and for the way beyond the backup by `check::wal::way_gap`.

use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

/// `begin_wal` of a backup's `backup.info`.
fn begin_of(archive: &ArchiveCopy, backup: &str) -> String {
    let info = String::from_utf8(archive.bytes(&archive.backup_key(backup, "backup.info"))).unwrap();
    info.lines().find_map(|line| line.strip_prefix("begin_wal=")).unwrap().to_owned()
}

#[test]
fn the_newest_backup_without_its_first_segment_fails() {
    let prepared = Prepared::get();
    let backup = &prepared.backups[1];
    let mut missing = String::new();
    let trial = Trial::of_prepared(|archive| {
        missing = begin_of(archive, backup);
        archive.delete_segment(&missing);
    });

    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.gap", &missing), ("wal.missing_for_backup", backup)]);
        let needed = judged.finding("wal.missing_for_backup", "failed");
        assert!(needed["observed"].as_str().unwrap().contains(&missing), "{judged}");
    }
}

#[test]
fn the_only_backup_without_its_first_segment_fails() {
    let prepared = Prepared::get();
    let backup = &prepared.backups[0];
    let mut missing = String::new();
    let trial = Trial::of_prepared(|archive| {
        let newest = &prepared.backups[1];
        for object in ["backup.info", "data.tar.gz"] {
            archive.delete(&archive.backup_key(newest, object));
        }
        missing = begin_of(archive, backup);
        archive.delete_segment(&missing);
    });

    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.gap", &missing), ("wal.missing_for_backup", backup)]);
    }
}

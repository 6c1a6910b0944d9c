//! Nothing is left of the archive, or none of one half of it. A wrong name looks the same as an archive that is gone, so
//! nothing at all is INCONCLUSIVE; half an archive is the source's.
//!
//! Caught by `check::empty`, by `target::no_backup`, and without WAL by `check::wal::for_backups`.

use serde_json::json;

use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

fn delete(archive: &ArchiveCopy, part: &str) {
    for key in archive.keys().iter().filter(|key| key.contains(part)) {
        archive.delete(key);
    }
}

#[test]
fn an_archive_without_an_object_is_inconclusive() {
    let trial = Trial::of_prepared(|archive| delete(archive, "/"));
    for judged in [trial.check(), trial.drill()] {
        judged.is_inconclusive(&[("archive.empty", "pal-e-postgres")]);
        assert!(judged.report().get("restore").is_none(), "{judged}");
    }
}

#[test]
fn wal_without_a_base_backup_fails_check_and_drill() {
    let trial = Trial::of_prepared(|archive| delete(archive, "/base/"));
    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("backup.none", "")]);
    }
}

#[test]
fn base_backups_without_wal_fail_check_and_drill() {
    let older = &Prepared::get().backups[0];
    let trial = Trial::of_prepared(|archive| delete(archive, "/wals/"));
    // The backups are as young as the prepared archive.
    let trial = trial.set("/sources/0/freshness/maxWalAge", json!("1s"));
    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.missing_for_backup", older)]);
        assert!(judged.report().get("restore").is_none(), "{judged}");
    }
}

#[test]
fn one_base_backup_without_wal_is_inconclusive_because_it_may_still_come() {
    let [older, newest] = &Prepared::get().backups[..] else { panic!("two backups") };
    let trial = Trial::of_prepared(|archive| {
        delete(archive, "/wals/");
        delete(archive, older);
    });
    trial.drill().is_inconclusive(&[("wal.missing_for_backup", newest)]);
}

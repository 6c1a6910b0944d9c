//! Retention removes an old base backup and its WAL while the archive is listed: what one listing shows the next one
//! does not, and for a moment WAL is missing that a backup in the listing needs.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::prepared::SERVER;
use crate::support::process::eventually;
use crate::support::{ArchiveCopy, Operation, Outcome, Prepared, Walproof};
use crate::{assert_nothing_differs, drill};

/// Runs a command, and removes what only the older backup needs once the command has listed `prefix` so many times:
/// WAL first, or the backup first.
fn while_retention_runs(
    prefix: &str,
    looks: usize,
    wal_first: bool,
    backup: &str,
    command: impl Fn(&Walproof) -> Outcome + Sync,
) -> Outcome {
    let prepared = Prepared::get();
    let archive = ArchiveCopy::copy_of(prepared).aged(Duration::from_mins(1));
    let s3 = archive.serve();
    let walproof = Walproof::new(&s3, SERVER).baseline(&prepared.baseline()).set("/sources/0/backup", json!(backup));
    let [old, kept] = &prepared.backups[..] else { panic!("two backups: {:?}", prepared.backups) };
    let info = String::from_utf8(archive.bytes(&archive.backup_key(kept, "backup.info"))).unwrap();
    let needed = info.lines().find_map(|line| line.strip_prefix("begin_wal=")).unwrap().to_owned();
    let remove_backup = || {
        let of_backup = format!("/base/{old}/");
        archive.keys().iter().filter(|key| key.contains(&of_backup)).for_each(|key| archive.delete(key));
    };
    let remove_wal = || {
        prepared.segments.iter().filter(|name| **name < needed).for_each(|name| archive.delete_segment(name));
    };
    thread::scope(|scope| {
        let running = scope.spawn(|| command(&walproof));
        eventually("the archive is listed", Duration::from_mins(1), || {
            let listed =
                |(operation, key): &&(Operation, String)| *operation == Operation::List && key.contains(prefix);
            let count = s3.requests().iter().filter(listed).count();
            (count >= looks || running.is_finished()).then_some(())
        });
        if wal_first {
            remove_wal();
            remove_backup();
        } else {
            remove_backup();
            remove_wal();
        }
        running.join().unwrap()
    })
}

#[test]
fn a_check_never_blames_the_backups_for_what_retention_removes_meanwhile() {
    for (prefix, looks) in [("/base/", 1), ("/base/", 2), ("/wals/", 1), ("/wals/", 2)] {
        for wal_first in [true, false] {
            let outcome = while_retention_runs(prefix, looks, wal_first, "newest", |walproof| {
                walproof.run(&["check", "--output", "json"])
            });
            assert_ne!(outcome.report()["verdict"], "FAIL", "{prefix} {looks} {wal_first}\n{outcome}");
        }
    }
}

#[test]
fn a_drill_of_the_newest_backup_passes_while_the_older_one_is_removed() {
    for (prefix, looks) in [("/base/", 1), ("/wals/", 1), ("/wals/", 3)] {
        assert_nothing_differs(&while_retention_runs(prefix, looks, true, "newest", drill));
    }
}

#[test]
fn a_drill_whose_backup_is_removed_under_its_hands_is_not_the_backups_fault() {
    for (prefix, looks) in [("/base/", 1), ("/wals/", 1), ("/wals/", 3)] {
        let outcome = while_retention_runs(prefix, looks, false, "oldest", drill);
        assert!(matches!(outcome.exit_code, 0 | 2), "{outcome}");
    }
}

//! Retention removes an old base backup and its WAL while the archive is listed: what one listing shows the next one
//! does not, and for a moment WAL is missing that a backup in the listing needs.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::prepared::SERVER;
use crate::support::process::eventually;
use crate::support::{ArchiveCopy, Fault, Operation, Outcome, Prepared, Walproof};
use crate::{assert_nothing_differs, drill};

/// Runs a command, and removes the older backup with the WAL that only it needs between two requests: the backups are
/// listed already, and the WAL is about to be.
fn while_retention_runs(backup: &str, command: impl Fn(&Walproof) -> Outcome + Sync) -> Outcome {
    let prepared = Prepared::get();
    let archive = ArchiveCopy::copy_of(prepared).aged(Duration::from_mins(1));
    let s3 = archive.serve();
    let walproof = Walproof::new(&s3, SERVER).baseline(&prepared.baseline()).set("/sources/0/backup", json!(backup));
    let [old, kept] = &prepared.backups[..] else { panic!("two backups: {:?}", prepared.backups) };
    let info = String::from_utf8(archive.bytes(&archive.backup_key(kept, "backup.info"))).unwrap();
    let needed = info.lines().find_map(|line| line.strip_prefix("begin_wal=")).unwrap().to_owned();
    // The store asks for patience until all is removed.
    s3.fail_later(Operation::List, "/wals/", 0, Fault::Refuse("SlowDown"));
    thread::scope(|scope| {
        let running = scope.spawn(|| command(&walproof));
        eventually("the WAL is listed", Duration::from_mins(1), || {
            let listed =
                |(operation, key): &&(Operation, String)| *operation == Operation::List && key.ends_with("/wals/");
            s3.requests().iter().any(|request| listed(&request)).then_some(())
        });
        let of_backup = format!("/base/{old}/");
        archive.keys().iter().filter(|key| key.contains(&of_backup)).for_each(|key| archive.delete(key));
        prepared.segments.iter().filter(|name| **name < needed).for_each(|name| archive.delete_segment(name));
        s3.heal();
        running.join().unwrap()
    })
}

#[test]
fn a_check_looks_again_before_it_misses_the_wal_of_a_backup_that_retention_removes() {
    let outcome = while_retention_runs("newest", |walproof| walproof.run(&["check", "--output", "json"]));
    assert_eq!(outcome.report()["verdict"], "PASS", "{outcome}");
    assert!(outcome.codes("failed").is_empty(), "{outcome}");
}

#[test]
fn a_drill_of_the_newest_backup_passes_while_the_older_one_is_removed() {
    assert_nothing_differs(&while_retention_runs("newest", drill));
}

#[test]
fn a_drill_whose_backup_is_removed_under_its_hands_is_not_the_backups_fault() {
    let outcome = while_retention_runs("oldest", drill);
    assert!(matches!(outcome.exit_code, 0 | 2), "{outcome}");
}

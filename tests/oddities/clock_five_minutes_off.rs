//! The clocks of the object store, of the job that read the baseline, and of the drill are five minutes apart.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;

use crate::support::prepared::SERVER;
use crate::support::{ArchiveCopy, Prepared, Walproof};
use crate::{assert_nothing_differs, drill, read_document};

/// A little less, for the time until it is looked at.
const OFF: Duration = Duration::from_secs(290);

/// The prepared archive as a store whose clock is ahead has it.
fn from_the_future() -> ArchiveCopy {
    let archive = ArchiveCopy::copy_of(Prepared::get()).aged(Duration::ZERO);
    for key in archive.keys() {
        archive.set_modified(&key, archive.modified(&key) + OFF);
    }
    let newest = archive.wal_keys().iter().map(|key| archive.modified(key)).max();
    assert!(newest > Some(SystemTime::now() + OFF / 2));
    archive
}

/// The prepared baseline as a job read it whose clock is off.
fn baseline_of(directory: &TempDir, off: SignedDuration) -> PathBuf {
    let mut document = read_document(&Prepared::get().baseline());
    let at: Timestamp = document["captured_at"].as_str().unwrap().parse().unwrap();
    document["captured_at"] = json!((at + off).to_string());
    let path = directory.path().join("baseline.json");
    fs::write(&path, document.to_string()).unwrap();
    path
}

#[test]
fn a_store_that_is_ahead_is_no_trouble_and_neither_is_a_baseline_from_before_or_after() {
    let archive = from_the_future();
    let s3 = archive.serve();
    let check = Walproof::new(&s3, SERVER).run(&["check", "--output", "json"]);
    assert_eq!(check.report()["verdict"], "PASS", "{check}");

    let directory = tempfile::tempdir().unwrap();
    let off = SignedDuration::try_from(OFF).unwrap();
    for off in [off, -off] {
        let document = baseline_of(&directory, off);
        assert_nothing_differs(&drill(&Walproof::new(&s3, SERVER).baseline(&document)));
    }
}

#[test]
fn a_store_that_is_behind_is_no_trouble() {
    let archive = ArchiveCopy::copy_of(Prepared::get()).aged(OFF);
    let s3 = archive.serve();

    let check = Walproof::new(&s3, SERVER).run(&["check", "--output", "json"]);

    assert_eq!(check.report()["verdict"], "PASS", "{check}");
    assert_nothing_differs(&drill(&Walproof::new(&s3, SERVER).baseline(&Prepared::get().baseline())));
}

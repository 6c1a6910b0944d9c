//! What lies in the archive under the right names and is not what it should be.

use std::path::Path;

use serde_json::json;
use tar::{EntryType, Header};

use crate::support::Prepared;
use crate::{Trial, assert_fails, assert_passes, assert_says, data, newest_backup};

#[test]
fn a_truncated_backup_info_leaves_the_older_backup() {
    let trial = Trial::with(|archive| {
        let key = archive.backup_key(newest_backup(), "backup.info");
        archive.truncate(&key, archive.bytes(&key).len() / 2);
    });
    let outcome = trial.drill();
    assert_passes(&outcome);
    assert_eq!(outcome.report()["restore"]["backup"], json!(Prepared::get().backups[0]), "{outcome}");
    let note = outcome.finding("backup.not_restorable", "failed");
    assert_says(&note, "blame", "unknown");
    assert_says(&note, "summary", newest_backup());
    assert_says(&note, "summary", "backup.info");
}

#[test]
fn a_backup_info_full_of_garbage_is_no_backup() {
    let trial = Trial::with(|archive| {
        for (backup, garbage) in Prepared::get().backups.iter().zip([&b"\xff\xfe\x00garbage"[..], b"status=DONE"]) {
            archive.replace(&archive.backup_key(backup, "backup.info"), garbage);
        }
    });
    for outcome in [trial.check(), trial.drill()] {
        let none = assert_fails(&outcome, "backup.none", "backups");
        for backup in &Prepared::get().backups {
            assert_says(&none, "observed", backup);
        }
    }
}

#[test]
fn a_corrupt_gzip_fails_the_backup_wherever_the_flaw_lies() {
    // In the middle of the data, and in the checksum behind them, which barman never looks at.
    for from_the_end in [None, Some(6)] {
        let trial = Trial::with(|archive| {
            let mut bytes = archive.bytes(&data(archive));
            let length = bytes.len();
            bytes[from_the_end.map_or(length / 2, |distance| length - distance)] ^= 0x55;
            archive.replace(&data(archive), &bytes);
        });
        let damaged = assert_fails(&trial.drill(), "backup.damaged", "backups");
        assert_says(&damaged, "summary", "data.tar.gz");
        assert_says(&damaged, "object", newest_backup());
    }
}

/// A tar member with any name and type, as no honest program writes it.
fn member(name: &str, kind: EntryType) -> Vec<u8> {
    let content = b"escaped";
    let mut header = Header::new_gnu();
    let fields = header.as_gnu_mut().unwrap();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    let is_file = kind == EntryType::Regular;
    header.set_size(if is_file { content.len() as u64 } else { 0 });
    if !is_file {
        // /dev/null
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    }
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    if is_file {
        bytes.extend_from_slice(content);
        bytes.resize(1024, 0);
    }
    bytes
}

#[test]
fn a_tar_that_leaves_its_directory_is_refused_before_anything_is_written_there() {
    let outside = tempfile::tempdir().unwrap();
    let absolute = outside.path().join("escaped").display().to_string();
    let members = [
        ("../../walproof-escaped", EntryType::Regular),
        (absolute.as_str(), EntryType::Regular),
        ("base/null", EntryType::Char),
    ];
    for (name, kind) in members {
        let trial = Trial::with(|archive| {
            archive.rewrite(&data(archive), |tar| {
                tar.splice(0..0, member(name, kind));
            });
        });
        let refused = assert_fails(&trial.drill(), "backup.unsafe_member", "backups");
        assert_says(&refused, "summary", name);
        assert!(!Path::new(&absolute).exists() && !trial.walproof.sandboxes().join("walproof-escaped").exists());
    }
}

//! `backup.info` says what is not so: where the base backup begins and ends, on which timeline, of which system. The
//! choice of backup and WAL goes by it.
//!
//! Caught by `archive::backup_info::BackupInfo::labels_agree` where its own `backup_label` contradicts it; an end that is
//! too late by `target::choose`, one that is too early by PostgreSQL, whose word `sandbox::direct::diagnose` knows; another
//! system by `archive::wal::verify_first_page`.

use serde_json::json;

use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

/// Leaves only the newest backup, with one value of its `backup.info` replaced.
fn lie(archive: &ArchiveCopy, key: &str, value: &str) {
    let [older, newest] = &Prepared::get().backups[..] else { panic!("two backups") };
    for object in ["backup.info", "data.tar.gz"] {
        archive.delete(&archive.backup_key(older, object));
    }
    let mut replaced = 0;
    archive.rewrite_backup_info(newest, |info| {
        let mut edit = |line: &str| {
            if line.starts_with(&format!("{key}=")) {
                replaced += 1;
                return format!("{key}={value}");
            }
            line.to_owned()
        };
        info.lines().map(&mut edit).collect::<Vec<_>>().join("\n")
    });
    assert_eq!(replaced, 1, "{key}");
}

fn trial(key: &str, value: &str) -> Trial {
    Trial::of_prepared(|archive| lie(archive, key, value))
}

#[test]
fn a_begin_that_its_own_backup_label_contradicts_fails_check_and_drill() {
    let prepared = Prepared::get();
    let backup = &prepared.backups[1];
    for (key, value) in [("begin_xlog", "'0/1000028'"), ("begin_wal", &prepared.segments[0]), ("timeline", "2")] {
        let value = value.trim_matches('\'');
        let trial = trial(key, value);
        for judged in [trial.check(), trial.drill()] {
            judged.fails(&[("backup.none", ""), ("backup.not_restorable", backup)]);
            let defect = judged.finding("backup.not_restorable", "failed");
            assert!(defect["observed"].as_str().unwrap().contains("backup_label says"), "{judged}");
        }
    }
}

#[test]
fn an_end_behind_the_baseline_is_inconclusive() {
    let trial = trial("end_xlog", "0/FF000028");
    trial.drill().is_inconclusive(&[("target.outside_window", "")]);
}

#[test]
fn an_end_before_the_true_one_is_found_out_by_a_target_between_them() {
    let prepared = Prepared::get();
    let mut begin = String::new();
    let trial = Trial::of_prepared(|archive| {
        let info = String::from_utf8(archive.bytes(&archive.backup_key(&prepared.backups[1], "backup.info"))).unwrap();
        begin = info.lines().find_map(|line| line.strip_prefix("begin_xlog=")).unwrap().to_owned();
        lie(archive, "end_xlog", &begin);
    });
    let judged = trial.set("/sources/0/target", json!({"lsn": begin})).drill();
    judged.is_inconclusive(&[("server.up", "")]);
    let up = judged.finding("server.up", "failed");
    assert!(up["summary"].as_str().unwrap().contains("later than backup.info says"), "{judged}");
}

#[test]
fn another_systems_identifier_fails_check_and_drill() {
    let trial = trial("systemid", "7000000000000000001");
    let check = trial.check();
    assert!(check.codes("failed").contains(&"wal.segment_invalid".to_owned()), "{check}");
    let drill = trial.drill();
    assert_eq!(drill.report()["verdict"], "FAIL", "{drill}");
}

//! What `backup.info` files of several barman versions and of damaged archives come to.

use super::*;

const ID: &str = "20261121T012331";

/// As barman 3.19.1 wrote it.
const REAL: &str = r"backup_label='START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\nCHECKPOINT LOCATION: 0/3000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-21 01:23:31 UTC\nLABEL: Barman backup cloud 20261121T012331\nSTART TIMELINE: 1\n'
backup_name=backup-20260901000000
begin_offset=40
begin_time=2026-11-21 01:23:31.548814+00:00
begin_wal=000000010000000000000003
begin_xlog=0/3000028
children_backup_ids=None
cluster_size=31067849
compression=None
config_file=/var/lib/postgresql/data/pgdata/postgresql.conf
copy_stats={'total_time': 5.81975, 'number_of_workers': 2, 'analysis_time': 0}
data_checksums=on
deduplicated_size=None
encryption=None
end_offset=256
end_time=2026-11-21 01:23:36.066172+00:00
end_wal=000000010000000000000003
end_xlog=0/3000100
error=None
hba_file=/var/lib/postgresql/data/pgdata/pg_hba.conf
ident_file=/var/lib/postgresql/data/pgdata/pg_ident.conf
included_files=None
mode=None
parent_backup_id=None
pgdata=/var/lib/postgresql/data/pgdata
server_name=cloud
size=None
status=DONE
summarize_wal=None
systemid=7710429258705097786
tablespaces=[('mytbs', 16393, '/var/lib/postgresql/tablespaces/mytbs/data')]
timeline=1
version=150018
xlog_segment_size=16777216
";

fn parse(text: &str) -> Result<BackupInfo, InfoDefect> {
    BackupInfo::parse(ID, text)
}

fn real_but(old: &str, new: &str) -> Result<BackupInfo, InfoDefect> {
    assert!(REAL.contains(old), "{old:?} is not in the file");
    parse(&REAL.replace(old, new))
}

#[test]
fn a_real_file_is_read_whole() {
    let info = parse(REAL).unwrap();
    assert_eq!(info.status, Status::Done);
    assert_eq!(info.begin_time.unwrap().to_string(), "2026-11-21T01:23:31.548814Z");
    assert_eq!(info.end_time.unwrap().to_string(), "2026-11-21T01:23:36.066172Z");
    assert!(!info.times_without_zone);
    assert_eq!(info.begin_wal.as_deref(), Some("000000010000000000000003"));
    assert_eq!((info.begin_lsn, info.end_lsn), (Some(Lsn(0x300_0028)), Some(Lsn(0x300_0100))));
    assert_eq!(info.timeline, Some(Timeline(1)));
    assert_eq!(info.system_identifier, Some(7_710_429_258_705_097_786));
    assert_eq!((info.version, info.major()), (Some(150_018), Some(15)));
    assert_eq!(info.segment_size, SegmentSize::DEFAULT);
    assert_eq!(info.cluster_size, Some(31_067_849));
    let location = "/var/lib/postgresql/tablespaces/mytbs/data".to_owned();
    assert_eq!(info.tablespaces, [Tablespace { name: "mytbs".to_owned(), oid: 16393, location }]);
    assert_eq!(info.data_checksums, Some(true));
    assert_eq!(info.backup_name.as_deref(), Some("backup-20260901000000"));
    assert_eq!((info.parent_backup_id, info.error, info.is_snapshot), (None, None, false));
    assert_eq!(info.unknown_keys, [""; 0]);
}

#[test]
fn the_label_of_a_real_file_agrees_with_its_other_keys() {
    parse(REAL).unwrap().labels_agree().unwrap();
}

#[test]
fn a_label_that_disagrees_is_named_with_both_sides() {
    let message = |old, new| real_but(old, new).unwrap().labels_agree().unwrap_err().to_string();
    assert_eq!(
        message("begin_xlog=0/3000028", "begin_xlog=0/4000028"),
        "begin_xlog is 0/4000028, but its backup_label says 0/3000028"
    );
    assert_eq!(
        message("begin_wal=000000010000000000000003", "begin_wal=000000010000000000000004"),
        "begin_wal is 000000010000000000000004, but its backup_label says 000000010000000000000003"
    );
    assert_eq!(message("\ntimeline=1", "\ntimeline=2"), "timeline is 2, but its backup_label says 1");
    assert_eq!(message("\ntimeline=1", "\ntimeline=None"), "timeline is missing");
    assert_eq!(message("START WAL", "STOP WAL"), "its backup_label cannot be read");
}

#[test]
fn a_backup_without_a_label_has_nothing_that_agrees() {
    let info = parse("status=DONE\nbackup_label=None\n").unwrap();
    assert_eq!(info.labels_agree(), Err(InfoDefect::Missing("backup_label")));
}

#[test]
fn an_unknown_key_is_listed_and_not_refused() {
    let info = real_but("status=DONE", "shiny_new=1\nstatus=DONE\nanother=[broken").unwrap();
    assert_eq!(info.unknown_keys, ["another", "shiny_new"]);
    assert_eq!(info.status, Status::Done);
}

#[test]
fn an_older_file_without_newer_keys_is_read() {
    let info = parse("# a comment\n\nbegin_time=2019-03-01 04:05:06\nstatus = DONE\nversion=90624\n").unwrap();
    assert_eq!(info.major(), Some(9));
    assert_eq!(info.segment_size, SegmentSize::DEFAULT);
    assert_eq!((info.cluster_size, info.data_checksums), (None, None));
    assert_eq!(info.begin_time.unwrap().to_string(), "2019-03-01T04:05:06Z");
    assert!(info.times_without_zone);
}

#[test]
fn a_time_with_another_zone_or_without_a_fraction_is_the_same_instant() {
    let info =
        parse("status=DONE\nbegin_time=2026-11-21 03:23:31+02:00\nend_time=2026-11-21 01:23:31+00:00\n").unwrap();
    assert_eq!(info.begin_time, info.end_time);
    assert!(!info.times_without_zone);
}

#[test]
fn a_failed_backup_says_why() {
    let text = "backup_label=None\nbegin_wal=000000010000000000000003\nend_time=None\nend_wal=None\n\
        error=failure uploading data (An error occurred\n  while reading: a=b)\nstatus=FAILED\n";
    let info = parse(text).unwrap();
    assert_eq!(info.status, Status::Failed);
    assert_eq!(info.error.as_deref(), Some("failure uploading data (An error occurred\n  while reading: a=b)"));
    assert_eq!((info.end_time, info.end_wal, info.backup_label), (None, None, None));
}

#[test]
fn snapshots_and_incremental_backups_are_told_from_plain_ones() {
    assert!(parse("status=DONE\nsnapshots_info={'provider': 'gcp'}\n").unwrap().is_snapshot);
    assert!(!parse("status=DONE\nsnapshots_info=None\n").unwrap().is_snapshot);
    let info = parse("status=DONE\nparent_backup_id=20261120T012331\n").unwrap();
    assert_eq!(info.parent_backup_id.as_deref(), Some("20261120T012331"));
}

#[test]
fn every_status_is_read_and_said_as_barman_does() {
    for text in ["EMPTY", "STARTED", "FAILED", "WAITING_FOR_WALS", "DONE", "SYNCING", "NEWER"] {
        assert_eq!(parse(&format!("status={text}\n")).unwrap().status.to_string(), text);
    }
}

#[test]
fn a_damaged_file_is_a_defect_that_names_the_place() {
    assert_eq!(parse(""), Err(InfoDefect::Missing("status")));
    assert_eq!(parse("status=None\n"), Err(InfoDefect::Missing("status")));
    assert_eq!(parse("status=DONE\n<html>\n").unwrap_err().to_string(), "line 2 is not key=value: \"<html>\"");
    for (old, new, key) in [
        ("end_xlog=0/3000100", "end_xlog=0", "end_xlog"),
        ("end_wal=000000010000000000000003", "end_wal=../../etc/passwd", "end_wal"),
        ("systemid=771", "systemid=-771", "systemid"),
        ("segment_size=16777216", "segment_size=1677", "xlog_segment_size"),
        ("('mytbs', 16393,", "('mytbs', '16393',", "tablespaces"),
        ("end_time=2026-11-21", "end_time=yesterday", "end_time"),
    ] {
        assert!(matches!(real_but(old, new), Err(InfoDefect::BadValue { key: found, .. }) if found == key), "{key}");
    }
    assert!(matches!(real_but("data')]", "data')"), Err(InfoDefect::BadLiteral { key: "tablespaces", .. })));
}

#[test]
fn a_file_cut_anywhere_never_passes_for_a_done_one_with_other_facts() {
    let whole = parse(REAL).unwrap();
    for length in 0..REAL.find("status=DONE").unwrap() + "status=DON".len() {
        assert!(parse(&REAL[..length]).map_or(true, |info| info.status != whole.status), "cut at {length}");
    }
}

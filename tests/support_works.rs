//! The harness itself, on real input: if these fail, no other failure means anything.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

#[path = "support_works/kubernetes.rs"]
mod kubernetes;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use support::postgres::Stop;
use support::prepared::{SERVER, create_databases, write_rows};
use support::process::{eventually, run, run_successfully};
use support::{ArchiveCopy, Barman, Fault, Operation, Postgres, Prepared, S3};

/// A directory that PostgreSQL's user may write to.
fn shared_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    directory
}

#[test]
fn a_backup_and_its_wal_reach_the_store_and_barman_reads_them_back() {
    let prepared = Prepared::without_baseline();
    let archive = ArchiveCopy::copy_of(prepared);
    let s3 = archive.serve();
    let barman = Barman::new(&s3);
    let directory = shared_directory();

    assert_eq!(archive.backups(), prepared.backups);
    assert!(archive.segments().len() >= 8, "{:?}", archive.segments());
    assert!(!prepared.segments_between(&prepared.backups[1]).is_empty(), "{prepared:?}");

    for segment in archive.segments() {
        let restored = directory.path().join(&segment);
        barman.restore_wal(SERVER, &segment, &restored);
        let bytes = std::fs::read(&restored).unwrap();
        assert_eq!(bytes.len(), 16 << 20, "{segment}");
        assert_eq!(bytes[24..32], prepared.system_identifier.to_le_bytes(), "{segment}");
    }
    barman.restore(SERVER, &prepared.backups[1], &directory.path().join("restored"));
    assert!(directory.path().join("restored/global/pg_control").exists());
}

#[test]
fn what_is_rewritten_keeps_its_age_and_everything_else() {
    let archive = ArchiveCopy::copy_of(Prepared::without_baseline()).aged(Duration::from_mins(1));
    let backup = &archive.backups()[0];
    let tar = archive.backup_key(backup, "data.tar.gz");
    let members = |bytes: &[u8]| {
        let mut listed = tar::Archive::new(bytes);
        let members = listed.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), entry.header().size().unwrap())
        });
        members.collect::<Vec<_>>()
    };
    let before = members(&support::archive::gunzip(&archive.bytes(&tar)));
    let modified = archive.modified(&tar);

    archive.rewrite_backup_tar(backup, "data.tar.gz", |path, bytes| match path {
        "./PG_VERSION" => Some(b"9.6\n".to_vec()),
        "backup_label" => None,
        _ => Some(bytes),
    });

    let after = members(&support::archive::gunzip(&archive.bytes(&tar)));
    let expected: Vec<_> = before
        .into_iter()
        .filter(|(path, _)| path != "backup_label")
        .map(|(path, size)| if path == "./PG_VERSION" { (path, 4) } else { (path, size) })
        .collect();
    assert_eq!(after, expected);
    assert_eq!(archive.modified(&tar), modified);

    let segment = archive.segments()[2].clone();
    archive.rewrite_segment(&segment, |bytes| bytes[0] ^= 1);
    let s3 = archive.serve();
    let directory = shared_directory();
    Barman::new(&s3).restore_wal(SERVER, &segment, &directory.path().join("segment"));
    let whole = ArchiveCopy::copy_of(Prepared::without_baseline());
    let original = support::archive::gunzip(&whole.bytes(&whole.wal_key(&segment)));
    assert_eq!(std::fs::read(directory.path().join("segment")).unwrap()[0], original[0] ^ 1);
}

#[test]
fn a_store_fails_as_told_and_then_no_more() {
    let archive = ArchiveCopy::copy_of(Prepared::without_baseline());
    let s3 = archive.serve();
    let barman = Barman::new(&s3);
    let directory = shared_directory();
    let segment = &archive.segments()[0];
    let fetch = || {
        let mut command = barman.command("barman-cloud-wal-restore");
        command.args([&format!("s3://{}", support::s3::BUCKET), SERVER, segment]);
        run(command.arg(directory.path().join("segment")), Duration::from_mins(1)).exit_code
    };

    s3.fail(Operation::Get, segment, Fault::Refuse("AccessDenied"), usize::MAX);
    assert_eq!(fetch(), 4, "barman's code for every error of the store");
    s3.heal();
    s3.fail(Operation::List, "", Fault::Refuse("AccessDenied"), 1);
    assert_eq!(fetch(), 4);
    s3.fail(Operation::Get, segment, Fault::CutAfter(1000), 1);
    assert_ne!(fetch(), 0);
    s3.forget_requests();
    assert_eq!(fetch(), 0);
    assert_eq!((s3.count(Operation::List), s3.count(Operation::Get)), (1, 1), "{:?}", s3.requests());

    archive.delete_segment(segment);
    assert_eq!(fetch(), 1, "barman's code for an absent file");
}

#[test]
fn a_promoted_standby_archives_on_a_timeline_of_its_own() {
    let s3 = S3::temporary();
    let barman = Barman::new(&s3);
    let command = barman.archive_command("failover", &[]);
    let mut primary = Postgres::builder().archive_command(command).wal_segment_megabytes(1).start();
    create_databases(&primary);
    let standby = primary.standby();
    write_rows(&primary);
    standby.wait_until_caught_up_with(&primary);
    primary.stop(Stop::Immediate);

    standby.promote();
    write_rows(&standby);
    assert!(standby.archive_wal().starts_with("00000002"));

    let archive = ArchiveCopy::copy(s3.root(), "failover");
    assert!(archive.wal_keys().contains(&"failover/wals/00000002.history".to_owned()), "{:?}", archive.wal_keys());
    assert_eq!(archive.bytes(&archive.wal_key(&archive.segments()[0])).len(), 1 << 20);
}

#[test]
fn a_server_can_be_stopped_and_started_and_reached_by_tcp() {
    let mut postgres = Postgres::builder().tcp().without_data_checksums().setting("work_mem", "2MB").start();
    let connection = postgres.connection();
    assert_eq!(connection.host, "127.0.0.1");
    postgres.sql("postgres", "CREATE TABLE kept AS SELECT 7 AS number");
    postgres.stop(Stop::Fast);
    postgres.start();
    assert_eq!(postgres.sql("postgres", "SELECT number FROM kept; SHOW work_mem; SHOW data_checksums"), "7\n2MB\noff");
    assert!(postgres.try_sql("postgres", "SELECT 1/0").is_err_and(|error| error.contains("division by zero")));
}

#[test]
fn a_killed_harness_takes_its_server_along() {
    // The test runs itself as the harness that is killed.
    const ROLE: &str = "WALPROOF_TEST_ROLE";
    if std::env::var_os(ROLE).is_some() {
        let postgres = Postgres::builder().start();
        std::fs::write(std::env::var_os(ROLE).unwrap(), postgres.socket_directory().to_str().unwrap()).unwrap();
        loop {
            std::thread::park();
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let told = directory.path().join("told");
    let mut harness = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_harness_takes_its_server_along"])
        .env(ROLE, &told)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let server = eventually("the server is up", Duration::from_mins(1), || {
        std::fs::read_to_string(&told).ok().filter(|path| !path.is_empty())
    });
    let postmaster = std::fs::read_to_string(format!("{server}/data/postmaster.pid")).unwrap();
    let postmaster = postmaster.lines().next().unwrap().to_owned();
    harness.kill().unwrap();
    harness.wait().unwrap();
    eventually("server and directory are gone", Duration::from_secs(30), || {
        let alive = run(Command::new("kill").args(["-0", &postmaster]), Duration::from_secs(5)).exit_code == 0;
        (!alive && !std::path::Path::new(&server).exists()).then_some(())
    });
}

#[test]
fn setup_has_nothing_to_do_twice() {
    let setup = support::repository().join("scripts/setup");
    let start = std::time::Instant::now();
    assert_eq!(run_successfully(&mut Command::new(setup), Duration::from_secs(5)), "");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

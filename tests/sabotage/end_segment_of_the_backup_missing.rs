//! The segment in which the base backup ends is gone: WAL was switched while it was taken, so it begins in another. It
//! never becomes consistent, whatever else is there.
//!
//! Caught by `check::wal::for_backups`, and for the way beyond the backup by `check::wal::way_gap`.

use std::thread;
use std::time::Duration;

use crate::support::prepared::{SERVER, create_databases, write_rows};
use crate::support::process::eventually;
use crate::support::{ArchiveCopy, Barman, Postgres, S3};
use crate::trial::{AGE, Trial};

/// A base backup that begins and ends in different segments.
fn back_up_over_a_switch(barman: &Barman, postgres: &Postgres) -> String {
    thread::scope(|scope| {
        let backup = scope.spawn(|| barman.backup(postgres, SERVER, &["--gzip"]));
        let begun = "SELECT count(*) FROM pg_stat_activity WHERE query ~* 'pg_(backup_start|start_backup)'
            AND state LIKE 'idle%' AND pid <> pg_backend_pid()";
        eventually("the base backup has begun", Duration::from_mins(1), || {
            (postgres.sql("postgres", begun) != "0").then_some(())
        });
        write_rows(postgres);
        postgres.switch_wal();
        write_rows(postgres);
        backup.join().unwrap()
    })
}

#[test]
fn the_only_backup_without_its_last_segment_fails() {
    let s3 = S3::temporary();
    let barman = Barman::new(&s3);
    let postgres = Postgres::builder().archive_command(barman.archive_command(SERVER, &["--gzip"])).start();
    create_databases(&postgres);
    let backup = back_up_over_a_switch(&barman, &postgres);
    write_rows(&postgres);
    let baseline = tempfile::tempdir().unwrap();
    let document = baseline.path().join("baseline.json");
    let walproof = crate::support::Walproof::new(&s3, SERVER).connection(&postgres);
    let outcome = walproof.run(&["baseline", "--output-file", document.to_str().unwrap()]);
    assert_eq!(outcome.exit_code, 0, "{outcome}");
    postgres.archive_wal();

    let archive = ArchiveCopy::copy(s3.root(), SERVER).aged(AGE);
    let info = String::from_utf8(archive.bytes(&archive.backup_key(&backup, "backup.info"))).unwrap();
    let of = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let (begin, end) = (of("begin_wal="), of("end_wal="));
    assert_ne!(begin, end, "{info}");
    archive.delete_segment(end);
    let trial = Trial::of_archive(archive, &document);

    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.gap", end), ("wal.missing_for_backup", &backup)]);
        let needed = judged.finding("wal.missing_for_backup", "failed");
        assert!(needed["observed"].as_str().unwrap().contains(end), "{judged}");
    }
}

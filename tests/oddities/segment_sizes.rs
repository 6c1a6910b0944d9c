//! Segments of 1, 16 and 64 MB, each where the names roll over: the last eight digits count only as far as 4 GB of WAL
//! have segments, and then begin again.

use crate::support::postgres::Stop;
use crate::support::prepared::SERVER;
use crate::support::process::{as_postgres_user, run_successfully};
use crate::support::{ArchiveCopy, Postgres};
use crate::{Source, assert_nothing_differs};

/// Begins in the last but one segment before the names roll over, and ends a few behind.
fn rolls_over(megabytes: u32) {
    let mut source = Source::without_backup(Postgres::builder().wal_segment_megabytes(megabytes));
    source.postgres.stop(Stop::Fast);
    let begin = format!("0000000100000000{:08X}", 4096 / megabytes - 2);
    let mut reset = as_postgres_user(source.postgres.programs().join("pg_resetwal"));
    reset.args(["-l", &begin, "-D"]).arg(source.postgres.data_directory());
    run_successfully(&mut reset, std::time::Duration::from_mins(1));
    source.postgres.start();
    source.barman().backup(&source.postgres, SERVER, &[]);
    for _ in 0..3 {
        source.write();
        source.postgres.archive_wal();
    }
    let document = source.baseline_now("rolled.json");

    let outcome = source.archive_and_drill_with(&document);

    let segments = ArchiveCopy::copy(source.s3.root(), SERVER).segments();
    assert!(segments.iter().any(|name| name.starts_with("0000000100000001")), "{segments:?}");
    assert!(segments.iter().any(|name| name.starts_with("0000000100000000")), "{segments:?}");
    assert_nothing_differs(&outcome);
    let check = source.walproof().connection(&source.postgres).run(&["check", "--output", "json"]);
    assert_eq!(check.report()["verdict"], "PASS", "{check}");
}

#[test]
fn segments_of_1_mb_roll_over() {
    rolls_over(1);
}

#[test]
fn segments_of_16_mb_roll_over() {
    rolls_over(16);
}

#[test]
fn segments_of_64_mb_roll_over() {
    rolls_over(64);
}

//! Rows were updated, the segment that says so was never archived, and since then the source is idle. The copy ends
//! where an idle source's archive always ends, every count and the oldest and newest times are equal, nothing was
//! replayed beyond the baseline; only the sums differ.
//!
//! Caught by `probe::certificate::missing`: a transaction that the baseline saw finished has no number on the copy yet.

use crate::support::{Barman, Postgres, S3};
use crate::trial::Trial;

const SERVER: &str = "idle";

#[test]
fn an_update_that_never_reached_the_archive_is_never_a_pass() {
    let s3 = S3::temporary();
    let barman = Barman::new(&s3);
    let postgres = Postgres::builder().archive_command(barman.archive_command(SERVER, &["--gzip"])).start();
    postgres.sql("postgres", "CREATE TABLE accounts (id bigint, amount bigint, created_at timestamptz)");
    postgres.sql("postgres", "INSERT INTO accounts SELECT n, 50, '2026-01-01' FROM generate_series(1, 1000) n");
    barman.backup(&postgres, SERVER, &["--gzip"]);
    // Each of these commits becomes part of what the archive has.
    postgres.sql("postgres", "INSERT INTO accounts VALUES (1001, 50, '2026-01-01')");
    postgres.archive_wal();
    postgres.sql("postgres", "UPDATE accounts SET amount = 100");
    let trial = Trial::of_source(s3, SERVER, &postgres);

    let judged = trial.drill();
    judged.is_inconclusive(&[("recovery.transactions_missing", ""), ("table.row_count", "")]);
    let missing = judged.finding("recovery.transactions_missing", "failed");
    assert_eq!(missing["blame"], "source", "{judged}");
    for unsuspecting in ["recovery.stop", "server.identity", "wal.gap"] {
        judged.finding(unsuspecting, "passed");
    }

    // Once the segment is archived, the same source passes.
    postgres.archive_wal();
    trial.drill().passes();
}

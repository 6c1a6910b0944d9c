//! A transaction was prepared and never ended. Its locks are in the copy too, where they keep out what needs a stronger
//! one.

use crate::support::{Barman, Postgres, S3, Walproof};
use crate::{SERVER, assert_passes, finding};

#[test]
fn the_locks_of_a_prepared_transaction_hold_up_nothing() {
    let s3 = S3::temporary();
    let barman = Barman::new(&s3);
    let postgres = Postgres::builder()
        .archive_command(barman.archive_command(SERVER, &["--gzip"]))
        .setting("max_prepared_transactions", "5")
        .start();
    postgres.sql("postgres", "CREATE TABLE notes (id bigint PRIMARY KEY); INSERT INTO notes VALUES (1)");
    postgres.sql("postgres", "BEGIN; INSERT INTO notes VALUES (2); PREPARE TRANSACTION 'orphan'");
    barman.backup(&postgres, SERVER, &[]);
    postgres.archive_wal();

    let outcome = crate::drill(&Walproof::new(&s3, SERVER).connection(&postgres));

    assert_passes(&outcome);
    let note = finding(&outcome, "integrity.index", "note");
    let expected = "1 index was read without comparing the inner pages with their parents: no time or no lock for it";
    assert_eq!(note["summary"], expected);
}

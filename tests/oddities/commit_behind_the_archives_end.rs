//! A segment ends within a transaction, whose commit is the first thing in the next one. The source is idle from then
//! on, so that segment is not archived: on the copy the transaction never committed. That is not lost, only not yet
//! there.

use crate::{Source, assert_inconclusive, drill, finding};

#[test]
fn a_commit_that_is_not_archived_yet_is_no_lost_row() {
    let source = Source::start();
    source.write();
    source.postgres.archive_wal();
    // Neither is missing: the source did not commit it either.
    source.postgres.sql("postgres", "BEGIN; INSERT INTO notes (author, body) VALUES (1, 'rolled back'); ROLLBACK");
    let within = "BEGIN; INSERT INTO notes (author, body) VALUES (1, 'late'); SELECT pg_switch_wal(); COMMIT";
    source.postgres.sql("postgres", within);
    source.postgres.wait_until_archived();

    let outcome = drill(&source.walproof().connection(&source.postgres));

    assert_inconclusive(&outcome);
    let missing = finding(&outcome, "recovery.transactions_missing", "failed");
    assert_eq!(missing["blame"], "source", "{outcome}");
    assert!(missing["observed"].as_str().unwrap().contains("before the commit of transaction"), "{outcome}");
    finding(&outcome, "table.row_count", "not_checked");
}

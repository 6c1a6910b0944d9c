//! Transactions that were prepared and wait for their second phase, some for ever: they are open in the source, and come
//! back open, with their locks, in the copy.

use serde_json::json;

use crate::support::Postgres;
use crate::{Source, assert_inconclusive, assert_nothing_differs, finding, read_document, rows_in};

#[test]
fn prepared_transactions_are_open_in_the_copy_as_in_the_source() {
    let source = Source::without_backup(Postgres::builder().setting("max_prepared_transactions", "10"));
    let postgres = &source.postgres;
    let sql = "CREATE TABLE ledger (id int PRIMARY KEY, amount int, created_at timestamptz DEFAULT now());
        INSERT INTO ledger SELECT n, n FROM generate_series(1, 100) n;
        BEGIN; INSERT INTO ledger SELECT n, n FROM generate_series(1001, 1010) n; PREPARE TRANSACTION 'before the backup'";
    postgres.sql("postgres", sql);
    source.barman().backup(postgres, crate::support::prepared::SERVER, &[]);
    let sql = "BEGIN; UPDATE ledger SET amount = 0 WHERE id <= 50; CREATE INDEX ON notes (body);
            PREPARE TRANSACTION 'before the baseline';
        BEGIN; DELETE FROM ledger WHERE id > 90; PREPARE TRANSACTION 'given up'; ROLLBACK PREPARED 'given up'";
    postgres.sql("postgres", sql);

    let open = source.baseline_now("open.json");
    postgres.sql("postgres", "COMMIT PREPARED 'before the backup'");
    let half_open = source.baseline_now("half-open.json");
    // Its lock keeps everybody out for as long as it waits.
    postgres.sql("postgres", "BEGIN; TRUNCATE empty_table; PREPARE TRANSACTION 'locks'");
    let walproof = source.walproof().connection(postgres).set("/limits/lock", json!("200ms"));
    let locked = source.baseline(&walproof, "locked.json");
    postgres.sql("postgres", "ROLLBACK PREPARED 'locks'; COMMIT PREPARED 'before the baseline'");
    source.write();
    postgres.archive_wal();

    for (document, rows) in [(open, 100), (half_open, 110)] {
        assert_eq!(rows_in(&read_document(&document), "postgres", ("public", "ledger")), Some(rows));
        assert_nothing_differs(&source.drill_with(&document));
    }
    let outcome = source.drill_with(&locked);
    assert_inconclusive(&outcome);
    let report = outcome.report();
    let mut not_read = report["findings"].as_array().unwrap().iter();
    assert!(
        not_read.any(|it| it["code"] == "baseline.table_not_read" && it["object"] == "postgres: public.empty_table")
    );
    finding(&outcome, "table.row_count", "passed");
}

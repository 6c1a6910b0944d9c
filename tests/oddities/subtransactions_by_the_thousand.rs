//! Savepoints by the thousand in transactions that are open during the baseline. Snapshots name transactions, not their
//! parts, and every part has a number of its own.

use crate::{Session, Source, assert_inconclusive, assert_nothing_differs, drill, finding, read_document, rows_in};

const TABLE: &str = "CREATE TABLE parts (id bigserial PRIMARY KEY, number int, created_at timestamptz DEFAULT now())";

/// A row in each of so many subtransactions, of which every third is rolled back if `some_abort`.
fn insert(parts: u32, some_abort: bool) -> String {
    let every_third = if some_abort { "IF n % 3 = 0 THEN RAISE 'back'; END IF;" } else { "" };
    format!(
        "BEGIN; DO $$ BEGIN FOR n IN 1..{parts} LOOP
            BEGIN INSERT INTO parts (number) VALUES (n); {every_third} EXCEPTION WHEN raise_exception THEN NULL; END;
        END LOOP; END $$"
    )
}

#[test]
fn rows_of_open_subtransactions_count_only_once_they_commit() {
    let source = Source::start();
    source.postgres.sql("postgres", TABLE);
    let mut many = Session::open(&source.postgres);
    many.run(&insert(3000, true));
    let mut other = Session::open(&source.postgres);
    other.run("BEGIN; INSERT INTO parts (number) VALUES (0)");

    let open = source.baseline_now("open.json");
    many.run("COMMIT");
    let half_open = source.baseline_now("half-open.json");
    other.run("COMMIT");
    source.write();
    source.postgres.archive_wal();

    for (document, rows) in [(open, 0), (half_open, 2000)] {
        assert_eq!(rows_in(&read_document(&document), "postgres", ("public", "parts")), Some(rows));
        assert_nothing_differs(&source.drill_with(&document));
    }
}

#[test]
fn too_many_open_subtransactions_leave_no_baseline_and_no_verdict() {
    let source = Source::start();
    source.postgres.sql("postgres", TABLE);
    let mut many = Session::open(&source.postgres);
    many.run(&insert(11_000, false));
    let mut other = Session::open(&source.postgres);
    other.run("BEGIN; INSERT INTO parts (number) VALUES (0)");
    source.postgres.archive_wal();

    let outcome = drill(&source.walproof().connection(&source.postgres));

    assert_inconclusive(&outcome);
    assert_eq!(finding(&outcome, "baseline.not_captured", "failed")["blame"], "source", "{outcome}");
}

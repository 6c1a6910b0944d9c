//! An unlogged table is empty after any restore, by design.

use crate::{Source, assert_passes, finding};

#[test]
fn an_unlogged_table_is_left_out_and_noted() {
    let source = Source::start();
    let sql = "CREATE UNLOGGED TABLE scratch (id serial PRIMARY KEY, created_at timestamptz DEFAULT now());
        INSERT INTO scratch SELECT FROM generate_series(1, 1000)";
    source.postgres.sql("postgres", sql);
    let document = source.baseline(&source.walproof().connection(&source.postgres), "unlogged.json");
    source.write();
    source.postgres.archive_wal();

    let outcome = source.drill_with(&document);

    assert_passes(&outcome);
    let left_out = finding(&outcome, "baseline.table_not_read", "note");
    assert_eq!(left_out["object"], "postgres: public.scratch");
    assert!(left_out["summary"].as_str().unwrap().contains("unlogged: empty after any restore"), "{outcome}");
    let tables = outcome.report()["restore"]["tables"].clone();
    assert!(tables.as_array().unwrap().iter().all(|table| table["table"] != "public.scratch"), "{outcome}");
}

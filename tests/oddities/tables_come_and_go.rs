//! Tables that are dropped, created, renamed or swapped while the baseline is read, or between it and the point that is
//! restored to.

use serde_json::json;

use crate::{Source, assert_inconclusive, assert_nothing_differs, drill, read_document, rows_in};

const TABLES: &str = "CREATE TABLE b_dropped AS SELECT generate_series(1, 10) AS id;
    CREATE TABLE c_renamed AS SELECT generate_series(1, 20) AS id;
    CREATE TABLE d_current AS SELECT generate_series(1, 30) AS id;
    CREATE TABLE d_former AS SELECT generate_series(1, 40) AS id;
    CREATE TABLE e_moved AS SELECT generate_series(1, 50) AS id; CREATE SCHEMA elsewhere;
    CREATE TABLE f_emptied AS SELECT generate_series(1, 60) AS id;";

const CHANGES: &str = "DROP TABLE b_dropped; CREATE TABLE b_created AS SELECT generate_series(1, 70) AS id;
    ALTER TABLE c_renamed RENAME TO c_other;
    ALTER TABLE d_current RENAME TO d_temporary; ALTER TABLE d_former RENAME TO d_current;
    ALTER TABLE d_temporary RENAME TO d_former; ALTER TABLE e_moved SET SCHEMA elsewhere; TRUNCATE f_emptied;";

#[test]
fn a_table_that_goes_while_the_baseline_is_read_is_not_missed_in_the_copy() {
    let source = Source::start();
    source.postgres.sql("postgres", TABLES);

    let document = source.baseline_while("during.json", CHANGES);
    let outcome = source.archive_and_drill_with(&document);

    let document = read_document(&document);
    let rows = |schema, table| rows_in(&document, "postgres", (schema, table));
    assert_eq!(rows("public", "b_dropped"), None);
    assert_eq!(rows("public", "b_created"), Some(70));
    assert_eq!(rows("public", "c_other"), Some(20));
    assert_eq!((rows("public", "d_current"), rows("public", "d_former")), (Some(40), Some(30)));
    assert_eq!((rows("elsewhere", "e_moved"), rows("public", "f_emptied")), (Some(50), Some(0)));
    assert_nothing_differs(&outcome);
}

#[test]
fn a_table_that_goes_after_the_baseline_is_there_at_its_lsn_and_unknown_at_the_end_of_the_archive() {
    let source = Source::start();
    source.postgres.sql("postgres", TABLES);
    let document = source.baseline_now("before.json");
    source.postgres.sql("postgres", CHANGES);

    assert_nothing_differs(&source.archive_and_drill_with(&document));

    let to_the_end = source.walproof().baseline(&document).set("/sources/0/target", json!({"latest": {}}));
    let outcome = drill(&to_the_end);
    assert_inconclusive(&outcome);
    let report = outcome.report();
    let findings = report["findings"].as_array().unwrap().iter();
    let undecided: Vec<&str> = findings
        .filter(|finding| finding["code"] == "table.row_count" && finding["outcome"] == "not_checked")
        .filter_map(|finding| finding["object"].as_str())
        .collect();
    assert_eq!(undecided, ["postgres: public.b_dropped", "postgres: public.f_emptied"], "{outcome}");
}

//! Indexes of other kinds than B-tree, one whose building failed, and one by a function that is called IMMUTABLE and is
//! not: the source has them so.

use serde_json::json;

use crate::{Source, assert_passes, finding};

#[test]
fn indexes_that_cannot_be_judged_blame_nobody() {
    let source = Source::start();
    let sql = "CREATE INDEX notes_words ON notes USING gin (to_tsvector('simple', body));
        CREATE INDEX notes_range ON notes USING brin (updated_at);
        CREATE INDEX never_built ON authors (name);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'never_built'::regclass;
        CREATE TABLE rates (rate int); INSERT INTO rates VALUES (1);
        CREATE FUNCTION priced(id bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT id * rate FROM public.rates';
        CREATE INDEX authors_priced ON authors (priced(id));
        UPDATE rates SET rate = 2";
    source.postgres.sql("postgres", sql);
    let document = source.baseline(&source.walproof().connection(&source.postgres), "indexes.json");
    source.postgres.archive_wal();

    let outcome = source.drill_with(&document);

    assert_passes(&outcome);
    let report = outcome.report();
    let notes: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["code"] == "integrity.index" && finding["outcome"] == "note")
        .map(|finding| finding["summary"].as_str().unwrap())
        .collect();
    let expected = [
        "1 index of kind brin cannot be examined by amcheck",
        "1 index of kind gin cannot be examined by amcheck",
        "1 index is not in use, so not examined",
    ];
    assert_eq!(notes, expected, "{outcome}");
    let changed = finding(&outcome, "integrity.index", "failed");
    assert_eq!((&changed["object"], &changed["blame"]), (&json!("postgres: public.authors_priced"), &json!("unknown")));
}

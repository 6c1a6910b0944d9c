//! Queries of a user's own, written in every odd way. What the source answers otherwise than expected is no fault of the
//! backups.

use serde_json::{Value, json};

use crate::{Source, assert_inconclusive, assert_passes, finding};

fn query(name: &str, sql: &str, expect: &Value) -> Value {
    json!({"name": name, "database": "postgres", "sql": sql, "expect": expect})
}

#[test]
fn oddly_written_queries_are_answered_as_on_the_source() {
    let source = Source::start();
    source.postgres.sql("postgres", "CREATE TABLE q (q int, walproof_answer text, \"to json\" timestamptz)");
    source.postgres.sql("postgres", "INSERT INTO q VALUES (7, 'it''s', '2026-01-02 03:04:05+01'), (NULL, NULL, NULL)");
    let same = json!({"sameAsBaseline": {}});
    let queries = json!([
        query("with a comment at its end", "SELECT q FROM q -- of q", &same),
        query("with semicolons", "TABLE q ; ;", &same),
        query("with columns of one name", "SELECT q, q FROM q", &same),
        query("without a row", "SELECT FROM q WHERE false", &same),
        query("of several parts", "WITH w AS (SELECT 1 AS n) SELECT n FROM w UNION ALL VALUES (2)", &same),
        query("a number", "SELECT 41.50 + 1", &json!({"equals": "42.50"})),
        query("a truth", "SELECT bool_or(q = 7) FROM q", &json!({"equals": "true"})),
        query("a moment", "SELECT max(updated_at) FROM notes", &json!({"maxAge": "1h"})),
        query("a local moment", "SELECT now()::timestamp", &json!({"maxAge": "1h"})),
        query("nearly", "SELECT count(*) FROM notes", &json!({"withinPercent": 0})),
    ]);
    let walproof = || source.walproof().set("/sources/0/queries", queries.clone());
    let document = source.baseline(&walproof().connection(&source.postgres), "asked.json");
    let kept = std::fs::read_to_string(&document).unwrap();
    assert!(!kept.contains("it's"), "the baseline holds a row's content");
    source.write();
    source.postgres.archive_wal();

    let outcome = crate::drill(&walproof().baseline(&document));
    assert_passes(&outcome);
    assert_eq!(finding(&outcome, "query.answer", "passed")["summary"], "10 queries", "{outcome}");
}

#[test]
fn an_answer_that_the_source_itself_gets_wrong_is_inconclusive() {
    let source = Source::start();
    let queries = json!([
        query("wrong", "SELECT count(*) FROM notes", &json!({"equals": "0"})),
        query("old", "SELECT timestamptz '2020-01-01'", &json!({"maxAge": "1h"})),
        query("mistyped", "SELECT FROM no_such_table", &json!({"sameAsBaseline": {}})),
        query("right", "SELECT 1", &json!({"equals": "1"})),
    ]);
    let walproof = || source.walproof().set("/sources/0/queries", queries.clone());
    let document = source.baseline(&walproof().connection(&source.postgres), "wrong.json");
    source.write();
    source.postgres.archive_wal();

    let outcome = crate::drill(&walproof().baseline(&document));
    assert_inconclusive(&outcome);
    let report = outcome.report();
    let wrong: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["code"] == "query.answer").collect();
    let said: Vec<_> = wrong.iter().map(|finding| (finding["object"].as_str().unwrap(), &finding["blame"])).collect();
    let source = json!("source");
    assert_eq!(said, [("wrong", &source), ("old", &source), ("mistyped", &source)], "{outcome}");
}

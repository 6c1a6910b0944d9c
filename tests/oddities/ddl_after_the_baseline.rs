//! Tables, roles and grants change, and a migration is applied, right after the baseline was read. At the baseline's LSN
//! the copy has none of it; at the archive's end it has all of it, and only what was dropped cannot be told from a loss.

use serde_json::json;

use crate::{Source, assert_passes, drill};

#[test]
fn a_schema_that_changed_after_the_baseline_is_told_from_one_that_was_lost() {
    let source = Source::start();
    let sql = "CREATE TABLE schema_migrations (version text PRIMARY KEY); INSERT INTO schema_migrations VALUES ('1');
        CREATE VIEW authors_of_notes AS SELECT name FROM authors; CREATE ROLE reader; CREATE ROLE writer";
    source.postgres.sql("postgres", sql);
    let document = source.baseline(&source.walproof().connection(&source.postgres), "baseline.json");
    let sql = "ALTER TABLE notes ALTER author SET NOT NULL, ADD COLUMN title text DEFAULT 'none';
        ALTER TABLE authors RENAME TO writers; CREATE INDEX ON notes (updated_at);
        CREATE ROLE newcomer LOGIN; ALTER ROLE reader LOGIN; GRANT reader TO newcomer; GRANT SELECT ON notes TO reader;
        ALTER ROLE writer SET statement_timeout = '1s'; ALTER DATABASE postgres CONNECTION LIMIT 90;
        CREATE EXTENSION citext; INSERT INTO schema_migrations VALUES ('2')";
    source.postgres.sql("postgres", sql);
    source.postgres.archive_wal();
    assert_passes(&source.drill_with(&document));

    let latest = source.walproof().baseline(&document).set("/sources/0/target", json!({"latest": {}}));
    let outcome = drill(&latest);
    let findings = outcome.report()["findings"].clone();
    let notes = findings.as_array().unwrap().iter().filter(|it| it["outcome"] == "note");
    let notes: Vec<&str> = notes.filter_map(|note| note["summary"].as_str()).collect();
    for said in [
        "transactions beyond the baseline have written 2 roles of the server",
        "transactions beyond the baseline have written membership newcomer in reader",
        "transactions beyond the baseline have written extension citext of postgres",
    ] {
        assert!(notes.iter().any(|note| note.starts_with(said)), "{said}\n{outcome}");
    }
}

//! Columns come and labels are renamed behind the baseline, and the copy has that too. Not one row was written, but each
//! reads differently now.

use serde_json::json;

use crate::{Source, assert_passes, drill, finding};

#[test]
fn rows_that_read_differently_since_the_baseline_are_not_called_changed() {
    let source = Source::start();
    source.postgres.sql(
        "postgres",
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE moods (mood mood); INSERT INTO moods VALUES ('good');
         CREATE TABLE columns (id int); INSERT INTO columns SELECT generate_series(1, 10)",
    );
    let walproof = source.walproof().connection(&source.postgres);
    let document = source.baseline(&walproof, "baseline.json");
    source.postgres.sql(
        "postgres",
        "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'; ALTER TABLE columns ADD COLUMN more int DEFAULT 7",
    );
    source.postgres.archive_wal();

    let outcome = drill(&source.walproof().baseline(&document).set("/sources/0/target", json!({"latest": {}})));
    assert_passes(&outcome);
    let not_compared = finding(&outcome, "table.content", "not_checked")["observed"].to_string();
    for table in ["public.moods", "public.columns"] {
        assert!(not_compared.contains(&format!("{table} (its columns or their types")), "{outcome}");
    }
    finding(&outcome, "table.content", "passed");
}

//! Row-level security hides rows from the baseline's role: a count that is too small must neither pass nor fail.

use serde_json::json;

use crate::support::Walproof;
use crate::{Source, assert_inconclusive, assert_passes, finding};

#[test]
fn a_table_whose_rows_are_hidden_is_not_checked_until_the_role_may_see_them() {
    let source = Source::start();
    let sql = "CREATE ROLE reader LOGIN; GRANT pg_monitor, pg_read_all_data TO reader;
        CREATE TABLE secrets (owner text, body text); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON secrets USING (owner = current_user);
        INSERT INTO secrets SELECT CASE n % 2 WHEN 0 THEN 'reader' ELSE 'other' END, 'x' FROM generate_series(1, 100) n";
    source.postgres.sql("postgres", sql);
    let as_user = |user: &str| -> Walproof {
        source.walproof().connection(&source.postgres).set("/sources/0/connection/user", json!(user))
    };
    let hidden = source.baseline(&as_user("reader"), "hidden.json");
    source.postgres.sql("postgres", "ALTER ROLE reader BYPASSRLS");
    let bypassing = source.baseline(&as_user("reader"), "bypassing.json");
    let superuser = source.baseline(&as_user("postgres"), "superuser.json");
    source.write();
    source.postgres.archive_wal();

    let outcome = source.drill_with(&hidden);
    assert_inconclusive(&outcome);
    let not_read = finding(&outcome, "baseline.table_not_read", "not_checked");
    assert_eq!(not_read["object"], "postgres: public.secrets");
    assert_eq!(not_read["hint"], "as a superuser: ALTER ROLE \"reader\" BYPASSRLS;");
    assert!(outcome.codes("failed").is_empty(), "{outcome}");
    finding(&outcome, "table.row_count", "passed");

    for document in [bypassing, superuser] {
        let outcome = source.drill_with(&document);
        assert_passes(&outcome);
        let tables = outcome.report()["restore"]["tables"].clone();
        let secrets = tables.as_array().unwrap().iter().find(|table| table["table"] == "public.secrets");
        assert_eq!(secrets.unwrap()["rows_observed"], 100, "{outcome}");
    }
}

//! A commit is in WAL, waits for a synchronous standby, and no snapshot shows it yet. Its rows were updated by a
//! subtransaction, which a snapshot does not list: the copy has as many rows as the baseline, none of them by a
//! transaction that the snapshot calls in progress, and they hold other values.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::process::eventually;
use crate::{Source, assert_passes, drill, finding};

#[test]
fn rows_of_a_subtransaction_that_committed_at_that_moment_are_not_called_changed() {
    let source = Source::start();
    let postgres = &source.postgres;
    postgres.sql(
        "postgres",
        "CREATE TABLE balances (id int, balance int); INSERT INTO balances SELECT n, 50 FROM generate_series(1, 100) n;
         CREATE TABLE others (id int);
         ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()",
    );
    let walproof = source.walproof().connection(postgres);
    let waits = || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        (postgres.sql("postgres", sql) == "1").then_some(())
    };
    let document = thread::scope(|scope| {
        scope.spawn(|| {
            let update = "BEGIN; SELECT pg_current_xact_id(); SAVEPOINT inner_part; UPDATE balances SET balance = 100;
                COMMIT";
            postgres.sql("postgres", update);
        });
        eventually("the commit waits", Duration::from_secs(30), waits);
        // A later transaction has finished, so the snapshot's end lies behind the subtransaction.
        postgres.sql("postgres", "SET synchronous_commit = local; INSERT INTO others VALUES (1)");
        let document = source.baseline(&walproof, "baseline.json");
        postgres.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()");
        document
    });
    source.write();
    postgres.archive_wal();

    let outcome = drill(&source.walproof().baseline(&document));
    assert_passes(&outcome);
    assert!(outcome.codes("note").contains(&"baseline.inexact".to_owned()), "{outcome}");
    let not_compared = finding(&outcome, "table.content", "not_checked")["observed"].to_string();
    assert!(not_compared.contains("public.balances (it has rows that were written after the baseline)"), "{outcome}");
    let tables = outcome.report()["restore"]["tables"].clone();
    let balances = tables.as_array().unwrap().iter().find(|table| table["table"] == "public.balances").unwrap();
    assert_eq!(balances["rows_observed"], json!(100), "{outcome}");
}

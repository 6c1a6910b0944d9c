//! TRUNCATE is not MVCC-safe: under an older snapshot the table looks empty afterwards. A baseline that read it then
//! would make a whole backup look as if it had rows too many.

use std::thread;
use std::time::Duration;

use crate::support::Postgres;
use crate::support::process::eventually;
use crate::{Source, assert_inconclusive, assert_passes, finding};

/// Whether sessions have, or wait for, this lock on the table that is counted first.
fn has_lock(postgres: &Postgres, mode: &str, granted: bool) -> bool {
    let sql = format!("SELECT EXISTS ({})", locks(mode, granted));
    postgres.sql("postgres", &sql) == "t"
}

fn locks(mode: &str, granted: bool) -> String {
    format!("SELECT FROM pg_locks WHERE relation = 'a_first'::regclass AND mode = '{mode}' AND granted = {granted}")
}

fn wait_for_lock(mode: &str) -> String {
    format!(
        "DO $$ BEGIN FOR i IN 1..3000 LOOP
             IF EXISTS ({}) THEN RETURN; END IF; PERFORM pg_sleep(0.005);
         END LOOP; RAISE 'nobody waits'; END $$;",
        locks(mode, false)
    )
}

const TRUNCATE: &str = "TRUNCATE b_later; INSERT INTO b_later SELECT n, now() FROM generate_series(1, 1000) n; COMMIT;";

/// Blocks the count of the table that comes first, and truncates and fills the one that comes later meanwhile. `last`
/// must wait until then, so that a second session can take its place at once.
fn truncate_during_a_round(postgres: &Postgres, last: &str) {
    let lock = "BEGIN; LOCK TABLE a_first IN ACCESS EXCLUSIVE MODE;";
    let counting = wait_for_lock("AccessShareLock");
    postgres.sql("postgres", &format!("{lock} {counting} {last} {TRUNCATE}"));
}

fn source_with_two_tables() -> Source {
    let source = Source::start();
    // The smallest is counted first, and of equal ones the first by name.
    let sql = "CREATE TABLE a_first (id int); CREATE TABLE b_later (id int, created_at timestamptz);
        INSERT INTO a_first SELECT generate_series(1, 10);
        INSERT INTO b_later SELECT n, now() FROM generate_series(1, 1000) n";
    source.postgres.sql("postgres", sql);
    source
}

#[test]
fn a_table_truncated_while_it_was_read_is_read_again_or_not_checked() {
    let source = source_with_two_tables();
    let walproof = source.walproof().connection(&source.postgres);
    let is_locked = || has_lock(&source.postgres, "AccessExclusiveLock", true).then_some(());

    let once = thread::scope(|scope| {
        scope.spawn(|| truncate_during_a_round(&source.postgres, ""));
        eventually("the first table is locked", Duration::from_secs(30), is_locked);
        source.baseline(&walproof, "once.json")
    });
    let always = thread::scope(|scope| {
        // The second session queues behind the first count and so has the lock when the second round comes.
        scope.spawn(|| truncate_during_a_round(&source.postgres, &wait_for_lock("AccessExclusiveLock")));
        eventually("the first table is locked", Duration::from_secs(30), is_locked);
        scope.spawn(|| {
            let queue = wait_for_lock("AccessShareLock");
            source.postgres.sql("postgres", &queue);
            truncate_during_a_round(&source.postgres, "");
        });
        source.baseline(&walproof, "always.json")
    });
    source.write();
    source.postgres.archive_wal();

    let outcome = source.drill_with(&once);
    assert_passes(&outcome);
    let tables = outcome.report()["restore"]["tables"].clone();
    let later = tables.as_array().unwrap().iter().find(|table| table["table"] == "public.b_later");
    assert_eq!(later.unwrap()["rows_observed"], 1000, "{outcome}");

    let outcome = source.drill_with(&always);
    assert_inconclusive(&outcome);
    let not_read = finding(&outcome, "baseline.table_not_read", "not_checked");
    assert_eq!(not_read["object"], "postgres: public.b_later");
    assert!(not_read["summary"].as_str().unwrap().contains("TRUNCATE"), "{outcome}");
}

#[test]
fn a_source_that_truncates_all_the_time_never_fails() {
    let source = source_with_two_tables();
    let walproof = source.walproof().connection(&source.postgres);
    let documents: Vec<_> = thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let postgres = &source.postgres;
        scope.spawn(move || {
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                postgres.sql("postgres", &format!("BEGIN; {TRUNCATE}").repeat(20));
            }
        });
        let documents = (0..2).map(|number| source.baseline(&walproof, &format!("{number}.json"))).collect();
        drop(stop);
        documents
    });
    source.write();
    source.postgres.archive_wal();

    for document in documents {
        let outcome = source.drill_with(&document);
        assert!(matches!(outcome.exit_code, 0 | 2), "{outcome}");
    }
}

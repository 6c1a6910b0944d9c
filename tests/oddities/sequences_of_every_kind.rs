//! Sequences move without a transaction and know no snapshot. Whatever they do, they are only behind when they are.

use std::sync::mpsc::{TryRecvError, channel};
use std::thread;

use serde_json::Value;

use crate::support::Outcome;
use crate::{Source, assert_passes, finding};

fn notes(outcome: &Outcome) -> Vec<Value> {
    let report = outcome.report();
    let findings = report["findings"].as_array().unwrap();
    let notes = findings.iter().filter(|it| it["code"] == "sequence.behind" && it["outcome"] == "note");
    notes.cloned().collect()
}

#[test]
fn sequences_that_run_ahead_count_down_or_begin_again_pass() {
    let source = Source::start();
    let sql = r#"CREATE SEQUENCE cached CACHE 50; SELECT nextval('cached') FROM generate_series(1, 3);
        CREATE SEQUENCE downwards INCREMENT -3; SELECT nextval('downwards') FROM generate_series(1, 50);
        CREATE SEQUENCE round MAXVALUE 3 CYCLE; SELECT nextval('round') FROM generate_series(1, 5);
        CREATE SEQUENCE never_used;
        CREATE SEQUENCE set_back; SELECT setval('set_back', 1000);
        CREATE SEQUENCE "of ""strange"" name ç"; SELECT nextval('"of ""strange"" name ç"');
        CREATE TABLE counted (id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
        INSERT INTO counted SELECT FROM generate_series(1, 40);
        CREATE TABLE sinking (id int PRIMARY KEY DEFAULT nextval('downwards'));
        ALTER SEQUENCE downwards OWNED BY sinking.id; INSERT INTO sinking SELECT FROM generate_series(1, 5);
        CREATE TABLE imported (id serial PRIMARY KEY); INSERT INTO imported SELECT FROM generate_series(1, 2);
        INSERT INTO imported VALUES (1000)"#;
    source.postgres.sql("postgres", sql);
    let document = source.baseline(&source.walproof().connection(&source.postgres), "sequences.json");
    source.postgres.sql("postgres", "SELECT nextval('cached') FROM generate_series(1, 500)");
    source.postgres.sql("postgres", "SELECT setval('set_back', 1); DROP SEQUENCE never_used");
    source.write();
    source.postgres.archive_wal();

    let outcome = source.drill_with(&document);

    assert_passes(&outcome);
    finding(&outcome, "sequence.behind", "passed");
    let observed: Vec<Value> = notes(&outcome).iter().map(|note| note["observed"].clone()).collect();
    assert_eq!(observed, ["public.round", "public.imported_id_seq"], "{outcome}");
    // What the baseline says of those two is so only because it looked at the columns.
    let baseline: Value = serde_json::from_slice(&std::fs::read(&document).unwrap()).unwrap();
    let sequences = baseline["databases"][0]["sequences"].as_array().unwrap();
    let is_behind = |name: &str| {
        let sequence = sequences.iter().find(|sequence| sequence["name"] == name);
        sequence.unwrap()["feeds"]["is_behind"].clone()
    };
    assert_eq!((is_behind("imported_id_seq"), is_behind("counted_id_seq")), (true.into(), false.into()));
    assert_eq!(is_behind("downwards"), false, "{outcome}");
    assert_eq!(baseline["databases"][0]["is_settled"], true);
}

#[test]
fn a_sequence_that_is_set_back_and_forth_all_the_time_never_fails() {
    let source = Source::start();
    source.postgres.sql("postgres", "CREATE SEQUENCE jumping");
    let walproof = source.walproof().connection(&source.postgres);
    let documents: Vec<_> = thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let postgres = &source.postgres;
        scope.spawn(move || {
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                let jump = "SELECT setval('jumping', 1000); BEGIN; SELECT setval('jumping', 1); ROLLBACK;";
                postgres.sql("postgres", &jump.repeat(50));
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

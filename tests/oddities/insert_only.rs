//! A table that only ever grows, and grows all the time: rows of transactions that commit between the baseline's
//! snapshot and its LSN are in the copy, and rows behind it are not.

use std::sync::mpsc::{TryRecvError, channel};
use std::thread;

use crate::{Source, assert_nothing_differs, read_document, rows_in};

#[test]
fn a_source_that_inserts_all_the_time_passes() {
    let source = Source::start();
    let sql =
        "CREATE TABLE events (id bigserial PRIMARY KEY, body text, created_at timestamptz DEFAULT clock_timestamp())";
    source.postgres.sql("postgres", sql);
    let postgres = &source.postgres;
    let insert = "INSERT INTO events (body) VALUES (repeat('x', 200));".repeat(200);

    let documents: Vec<_> = thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let insert = &insert;
        scope.spawn(move || {
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                postgres.sql("postgres", insert);
            }
        });
        crate::support::process::eventually("rows come", std::time::Duration::from_mins(1), || {
            (postgres.sql("postgres", "SELECT count(*) > 100 FROM events") == "t").then_some(())
        });
        let documents = (0..2).map(|number| source.baseline_now(&format!("{number}.json"))).collect();
        drop(stop);
        documents
    });
    source.write();
    source.postgres.archive_wal();

    for document in documents {
        assert!(rows_in(&read_document(&document), "postgres", ("public", "events")) > Some(100));
        assert_nothing_differs(&source.drill_with(&document));
    }
}

//! The baseline is read from a standby, to spare the primary. A standby does not know which transactions run, and its
//! LSN is how far it has replayed.

use std::sync::mpsc::{TryRecvError, channel};
use std::thread;

use crate::{Source, assert_nothing_differs, drill, read_document, write};

#[test]
fn a_quiet_standby_gives_an_exact_baseline() {
    let source = Source::start();
    let standby = source.postgres.standby();
    source.write();
    standby.wait_until_caught_up_with(&source.postgres);

    let document = source.baseline(&source.walproof().connection(&standby), "standby.json");
    let outcome = source.archive_and_drill_with(&document);

    let document = read_document(&document);
    assert_eq!((&document["server"]["in_recovery"], &document["exact"]), (&true.into(), &true.into()));
    assert_nothing_differs(&outcome);
}

#[test]
fn a_standby_of_a_primary_that_writes_all_the_time_is_never_held_against_the_backups() {
    let source = Source::start();
    let standby = source.postgres.standby();
    let documents: Vec<_> = thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let postgres = &source.postgres;
        scope.spawn(move || {
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                write(postgres);
            }
        });
        let walproof = source.walproof().connection(&standby);
        let documents = (0..2).map(|number| source.baseline(&walproof, &format!("{number}.json"))).collect();
        drop(stop);
        documents
    });
    source.postgres.archive_wal();

    for document in documents {
        let outcome = drill(&source.walproof().baseline(&document));
        assert!(matches!(outcome.exit_code, 0 | 2), "{outcome}");
        assert!(outcome.codes("failed").is_empty(), "{outcome}");
    }
}

//! The source fails over between the baseline and the archiving of its LSN. The LSN then lies on a branch that was left,
//! or, when the standby had received it, on the new timeline too.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::Operation;
use crate::support::postgres::Stop;
use crate::support::process::eventually;
use crate::{Source, assert_inconclusive, assert_passes, drill, finding, write};

#[test]
fn a_baseline_on_a_branch_that_was_left_is_void_and_read_again_from_the_new_primary() {
    let mut source = Source::start();
    source.postgres.archive_wal();
    let mut standby = source.postgres.standby();
    standby.wait_until_caught_up_with(&source.postgres);
    standby.stop(Stop::Fast);
    source.postgres.wait_until_archived();
    // What the standby never receives and the archive never gets.
    source.write();
    let lost = source.baseline(&source.walproof().connection(&source.postgres), "lost.json");

    // As a service does, a name leads to the primary, whoever that is.
    let service = tempfile::tempdir().unwrap();
    let primary = service.path().join("primary");
    symlink(source.postgres.socket_directory(), &primary).unwrap();
    let walproof = source
        .walproof()
        .connection(&source.postgres)
        .set("/sources/0/connection/host", json!(primary))
        .set("/limits/archiveWait", json!("90s"));
    let awaited = source.postgres.sql("postgres", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())");

    let outcome = thread::scope(|scope| {
        let drilling = scope.spawn(|| drill(&walproof));
        eventually("the drill waits for the segment", Duration::from_mins(1), || {
            assert!(!drilling.is_finished(), "the drill ended before the fail-over");
            let waits =
                |(operation, prefix): &(Operation, String)| *operation == Operation::List && prefix.ends_with(&awaited);
            source.s3.requests().iter().any(waits).then_some(())
        });
        source.postgres.stop(Stop::Immediate);
        fs::remove_file(&primary).unwrap();
        symlink(standby.socket_directory(), &primary).unwrap();
        standby.start();
        standby.promote();
        while !drilling.is_finished() {
            write(&standby);
            standby.archive_wal();
        }
        drilling.join().unwrap()
    });
    assert_passes(&outcome);
    let void = finding(&outcome, "baseline.void", "note");
    assert!(void["observed"].as_str().unwrap().starts_with("timeline 2 forked off timeline 1"), "{outcome}");
    assert_eq!(outcome.report()["restore"]["baseline"]["timeline"], 2, "{outcome}");

    // Without a connection nobody can read another.
    let outcome = source.drill_with(&lost);
    assert_inconclusive(&outcome);
    let void = finding(&outcome, "baseline.void", "failed");
    assert_eq!(void["blame"], "baseline");
    assert!(void["hint"].is_string(), "{outcome}");
}

#[test]
fn a_baseline_before_the_fork_is_reached_on_the_new_timeline() {
    let mut source = Source::start();
    source.postgres.archive_wal();
    let standby = source.postgres.standby();
    source.write();
    let document = source.baseline(&source.walproof().connection(&source.postgres), "received.json");
    // A commit sends everything before it along.
    source.write();
    standby.wait_until_caught_up_with(&source.postgres);
    // Copying the primary ended a segment; only the last one is to be on its way when the primary goes.
    source.postgres.wait_until_archived();
    source.postgres.stop(Stop::Immediate);
    standby.promote();
    write(&standby);
    standby.archive_wal();

    let outcome = source.drill_with(&document);

    assert_passes(&outcome);
    assert_eq!(outcome.report()["restore"]["baseline"]["timeline"], 1, "{outcome}");
    let stopped = outcome.report()["restore"]["stopped"].clone();
    assert!(stopped.as_str().unwrap().ends_with("of timeline 2"), "{outcome}");
}

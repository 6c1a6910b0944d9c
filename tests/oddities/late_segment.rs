//! Archiving takes its time, and several segments under way overtake one another: what is missing at first may be there
//! a moment later.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::prepared::SERVER;
use crate::support::process::eventually;
use crate::support::{ArchiveCopy, Operation, Outcome, Prepared, Walproof};
use crate::{assert_passes, drill, finding};

/// Drills while `late` is missing, and brings it back when the drill has listed a prefix that ends so `looks` times.
fn drill_with_late(late: &str, gone: &[String], looked_for: &str, looks: usize) -> Outcome {
    let prepared = Prepared::get();
    let archive = ArchiveCopy::copy_of(prepared).aged(Duration::from_mins(1));
    let key = archive.wal_key(late);
    archive.rename(&key, "under-way/late");
    for segment in gone {
        archive.delete_segment(segment);
    }
    let s3 = archive.serve();
    let walproof = Walproof::new(&s3, SERVER)
        .baseline(&prepared.baseline())
        .set("/sources/0/backup", json!("newest"))
        .set("/limits/archiveWait", json!("60s"));
    thread::scope(|scope| {
        scope.spawn(|| {
            eventually("the drill looks for the late segment", Duration::from_mins(1), || {
                let requests = s3.requests();
                let asked = |(operation, prefix): &&(Operation, String)| {
                    *operation == Operation::List && prefix.ends_with(looked_for)
                };
                (requests.iter().filter(asked).count() >= looks).then_some(())
            });
            archive.rename("under-way/late", &key);
        });
        drill(&walproof)
    })
}

#[test]
fn the_baselines_segment_may_arrive_after_the_drill_began() {
    let prepared = Prepared::get();
    let later: Vec<String> =
        prepared.segments.iter().filter(|segment| **segment > prepared.baseline_segment).cloned().collect();

    let outcome = drill_with_late(&prepared.baseline_segment, &later, &prepared.baseline_segment, 1);

    assert_passes(&outcome);
    assert!(finding(&outcome, "recovery.stop", "passed")["summary"].as_str().unwrap().contains("before LSN"));
}

#[test]
fn a_segment_may_arrive_after_its_successors() {
    let prepared = Prepared::get();
    let overtaken = prepared.segments_between(&prepared.backups[1]).pop().expect("the way is long enough");

    // The gate lists all WAL twice, the choice of the way a third time; from then on it waits.
    let outcome = drill_with_late(&overtaken, &[], "/wals/", 3);

    assert_passes(&outcome);
}

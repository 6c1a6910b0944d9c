//! A segment of timeline 2 lies under the name that it would have on timeline 1: a script that "repaired" a gap with
//! what a promoted copy had written. System, place and size are right, and up to the fork the content is.
//!
//! Caught by `archive::wal::verify_first_page`; the segment of the fork itself, which begins with pages of timeline 1,
//! by PostgreSQL, whose word `sandbox::direct::diagnose` knows.

use crate::archives::TwoTimelines;
use crate::support::ArchiveCopy;

/// Leaves timeline 1 alone with the content that timeline 2 has of one of its segments.
fn foreign(archive: &ArchiveCopy, segment: &str) {
    let of_timeline_2 = archive.bytes(&archive.wal_key(&segment.replacen("00000001", "00000002", 1)));
    let key = archive.wal_key(segment);
    let modified = archive.modified(&key);
    TwoTimelines::delete_timeline_2(archive);
    archive.replace(&key, &of_timeline_2);
    archive.set_modified(&key, modified);
}

#[test]
fn a_segment_behind_the_fork_fails_check_and_drill_by_name() {
    let two = TwoTimelines::get();
    let mut segment = String::new();
    let trial = two.trial(1, |archive| {
        segment = archive.segments().into_iter().find(|name| *name > two.fork).unwrap();
        foreign(archive, &segment);
    });

    trial.check().fails(&[("wal.segment_invalid", &segment)]);
    let drill = trial.drill();
    drill.fails(&[("wal.segment_damaged", &segment), ("wal.segment_invalid", &segment)]);
    let damaged = drill.finding("wal.segment_damaged", "failed");
    assert!(damaged["observed"].as_str().unwrap().contains("timeline 2"), "{drill}");
}

#[test]
fn the_segment_of_the_fork_fails_the_drill() {
    let two = TwoTimelines::get();
    let judged = two.trial(1, |archive| foreign(archive, &two.fork)).drill();
    judged.fails(&[("server.up", "")]);
    let up = judged.finding("server.up", "failed");
    assert!(up["observed"].as_str().unwrap().contains("unexpected timeline ID 2"), "{judged}");
}

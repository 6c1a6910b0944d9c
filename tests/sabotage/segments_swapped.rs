//! Two neighbours lie under each other's names. Every name is there, and each object is a whole segment of the source.
//!
//! Caught by `archive::wal::verify_first_page`, which compares the place in the WAL with the name: by `check` in its
//! sample, by the drill for each segment it serves.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn two_segments_that_changed_places_fail_check_and_drill_by_name() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let [first, second] = &between[..2] else { panic!("two segments: {between:?}") };
    let trial = Trial::of_prepared(|archive| {
        let keys = [archive.wal_key(first), archive.wal_key(second)];
        archive.rename(&keys[0], "aside");
        archive.rename(&keys[1], &keys[0]);
        archive.rename("aside", &keys[1]);
    });

    let both = [("wal.segment_invalid", first.as_str()), ("wal.segment_invalid", second)];
    trial.check().fails(&both);
    let drill = trial.drill();
    drill.fails(&[&[("wal.segment_damaged", first.as_str())], &both[..]].concat());
    let damaged = drill.finding("wal.segment_damaged", "failed");
    assert!(damaged["observed"].as_str().unwrap().contains(second.as_str()), "{drill}");
}

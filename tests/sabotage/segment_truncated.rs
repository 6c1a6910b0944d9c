//! The object of a segment ends in its middle, as an upload that was cut off or a full disk leaves it. Its name is
//! listed and its first bytes are right.
//!
//! Caught by `sandbox::direct::fetch`, which decompresses each segment to its end before it is served.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_segment_cut_in_the_middle_fails_the_drill_by_name() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let cut = &between[between.len() / 2];
    let trial = Trial::of_prepared(|archive| {
        let key = archive.wal_key(cut);
        archive.truncate(&key, archive.bytes(&key).len() / 2);
    });

    let judged = trial.drill();
    judged.fails(&[("wal.segment_damaged", cut)]);
    let damaged = judged.finding("wal.segment_damaged", "failed");
    assert!(damaged["observed"].as_str().unwrap().contains("cannot be decompressed"), "{judged}");
}

//! One bit of the stored object differs, as a bad disk under the object store leaves it. The length is right, and so
//! are the first bytes; what comes out of it is not what went in.
//!
//! Caught by `sandbox::direct::fetch`, which decompresses each segment to its end, where gzip's checksum stands.

use crate::support::Prepared;
use crate::trial::Trial;

#[track_caller]
fn flipped_at(place: impl FnOnce(usize) -> usize) {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let flipped = &between[between.len() / 2];
    let trial = Trial::of_prepared(|archive| {
        let key = archive.wal_key(flipped);
        let (modified, mut bytes) = (archive.modified(&key), archive.bytes(&key));
        let place = place(bytes.len());
        bytes[place] ^= 0x10;
        archive.replace(&key, &bytes);
        archive.set_modified(&key, modified);
    });

    let judged = trial.drill();
    judged.fails(&[("wal.segment_damaged", flipped)]);
    let damaged = judged.finding("wal.segment_damaged", "failed");
    assert!(damaged["observed"].as_str().unwrap().contains("cannot be decompressed"), "{judged}");
}

#[test]
fn a_bit_flipped_in_the_middle_of_a_segments_object_fails_the_drill_by_name() {
    flipped_at(|length| length / 2);
}

#[test]
fn a_bit_flipped_in_its_checksum_fails_the_drill_too() {
    flipped_at(|length| length - 6);
}

//! One bit of a WAL record differs from what the source wrote, and the object around it is sound: compressed again, of
//! the right length, with the right page headers. Only PostgreSQL's own checksum of the record knows. Told to go as far
//! as it can, PostgreSQL takes the damage for the end of WAL, promotes, and says so only in its log.
//!
//! Caught by `sandbox::direct::diagnose::ended_early`, and with the target `latest` by `probe::recovery::judge`: both
//! read from the log where WAL could not be read any more.

use serde_json::{Value, json};

use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

const PAGE: usize = 8192;
/// The long header of a segment's first page, and the short one of the others.
const HEADERS: [usize; 2] = [40, 24];
/// A record's own header, `XLogRecord`.
const RECORD_HEADER: usize = 24;

/// Flips one bit in the data of a record in the middle of what a segment holds.
fn flip_a_bit(archive: &ArchiveCopy, segment: &str) {
    archive.rewrite_segment(segment, |wal| {
        let used = wal.iter().rposition(|&byte| byte != 0).unwrap() / PAGE;
        let first_record = |page: usize| {
            let start = page * PAGE;
            let continued = u32::from_le_bytes(wal[start + 16..start + 20].try_into().unwrap()) as usize;
            let record = start + HEADERS[page.min(1)] + continued.next_multiple_of(8);
            (record + 2 * RECORD_HEADER < start + PAGE).then_some(record)
        };
        let record = (used / 2..used).find_map(first_record).expect("a record begins in some page");
        wal[record + RECORD_HEADER + 4] ^= 0x04;
    });
}

fn middle() -> String {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    between[between.len() / 2].clone()
}

#[track_caller]
fn fails_by_name(flipped: &str, target: Value) {
    let trial = Trial::of_prepared(|archive| flip_a_bit(archive, flipped));
    let judged = trial.set("/sources/0/target", target).drill();
    judged.fails(&[("recovery.stop", flipped)]);
    let stop = judged.finding("recovery.stop", "failed");
    assert!(stop["observed"].as_str().unwrap().contains("incorrect resource manager data checksum"), "{judged}");
}

#[test]
fn a_flipped_bit_on_the_way_to_the_baseline_fails_the_drill_by_the_segments_name() {
    fails_by_name(&middle(), json!({"baseline": {}}));
}

#[test]
fn a_flipped_bit_in_the_middle_fails_a_drill_to_the_latest() {
    fails_by_name(&middle(), json!({"latest": {}}));
}

#[test]
fn a_flipped_bit_in_the_archives_last_segment_fails_a_drill_to_the_latest() {
    fails_by_name(Prepared::get().segments.last().unwrap(), json!({"latest": {}}));
}

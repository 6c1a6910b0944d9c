//! A segment that is longer or shorter than a segment, and otherwise well: written by a tool that pads or cuts, or
//! uploaded while PostgreSQL still made the file. The first page is right.
//!
//! Caught by `sandbox::direct::fetch::decode`, which counts; when it is not compressed by `check::wal::objects` as well,
//! from the listing alone.

use crate::support::archive::gunzip;
use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

fn middle() -> String {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    between[between.len() / 2].clone()
}

/// Stores a segment without compression, changed.
fn store_uncompressed(archive: &ArchiveCopy, segment: &str, edit: impl FnOnce(&mut Vec<u8>)) {
    let compressed = archive.wal_key(segment);
    let (modified, mut content) = (archive.modified(&compressed), gunzip(&archive.bytes(&compressed)));
    edit(&mut content);
    archive.delete(&compressed);
    let key = compressed.strip_suffix(".gz").unwrap();
    archive.replace(key, &content);
    archive.set_modified(key, modified);
}

#[track_caller]
fn fails_uncompressed(edit: impl FnOnce(&mut Vec<u8>)) {
    let wrong = middle();
    let trial = Trial::of_prepared(|archive| store_uncompressed(archive, &wrong, edit));

    let check = trial.check();
    check.fails(&[("wal.wrong_size", "")]);
    let size = check.finding("wal.wrong_size", "failed");
    assert!(size["observed"].as_str().unwrap().contains(&wrong), "{check}");
    trial.drill().fails(&[("wal.segment_damaged", &wrong), ("wal.wrong_size", "")]);
}

#[test]
fn a_segment_that_is_stored_without_compression_and_whole_is_no_sabotage() {
    let trial = Trial::of_prepared(|archive| store_uncompressed(archive, &middle(), |_| ()));
    trial.drill().passes();
}

#[test]
fn a_segment_with_garbage_behind_its_end_fails_check_and_drill() {
    fails_uncompressed(|content| content.extend(b"garbage".repeat(100)));
}

#[test]
fn a_segment_that_lacks_its_last_page_fails_check_and_drill() {
    fails_uncompressed(|content| content.truncate(content.len() - 8192));
}

#[test]
fn a_compressed_segment_of_the_wrong_size_fails_the_drill() {
    let wrong = middle();
    let edits: [fn(&mut Vec<u8>); 2] = [|content| content.push(0), |content| content.truncate(content.len() - 8192)];
    for edit in edits {
        let judged = Trial::of_prepared(|archive| archive.rewrite_segment(&wrong, edit)).drill();
        judged.fails(&[("wal.segment_damaged", &wrong)]);
        let damaged = judged.finding("wal.segment_damaged", "failed");
        assert!(damaged["observed"].as_str().unwrap().contains("16777216"), "{judged}");
    }
}

//! The object is named `.gz` and is nothing like it: a page of an error, another tool's encryption, random bytes.
//!
//! Caught by `archive::compression::open`: by `check` in its sample, by the drill for each segment it serves.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn what_is_no_gzip_under_the_name_of_one_fails_check_and_drill_by_name() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let garbage = &between[between.len() / 2];
    let trial = Trial::of_prepared(|archive| {
        let key = archive.wal_key(garbage);
        let modified = archive.modified(&key);
        archive.replace(&key, &b"<html><title>503 Service Unavailable</title></html>\n".repeat(50));
        archive.set_modified(&key, modified);
    });

    trial.check().fails(&[("wal.segment_invalid", garbage)]);
    let drill = trial.drill();
    drill.fails(&[("wal.segment_damaged", garbage), ("wal.segment_invalid", garbage)]);
    let damaged = drill.finding("wal.segment_damaged", "failed");
    assert!(damaged["observed"].as_str().unwrap().contains("named .gz"), "{drill}");
}

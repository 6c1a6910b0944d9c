//! A segment was overwritten by one of the same name from another cluster: two servers archive to one place, the
//! classic of a copied configuration. It is a whole and valid segment.
//!
//! Caught by `archive::wal::verify_first_page`: by `check` in its sample, by the drill for each segment it serves.

use std::fs;

use crate::support::archive::gzip;
use crate::support::{Postgres, Prepared};
use crate::trial::Trial;

/// The segment of this name from a cluster of its own.
fn segment_of_another_cluster(name: &str) -> Vec<u8> {
    let other = Postgres::builder().start();
    other.sql("postgres", "CREATE TABLE filler (number bigint)");
    while other.sql("postgres", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())").as_str() <= name {
        other.sql("postgres", "INSERT INTO filler SELECT generate_series(1, 1000)");
        other.switch_wal();
    }
    fs::read(other.data_directory().join("pg_wal").join(name)).unwrap()
}

#[test]
fn a_segment_of_another_cluster_fails_check_and_drill_by_name() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let foreign = &between[between.len() / 2];
    let trial = Trial::of_prepared(|archive| {
        let key = archive.wal_key(foreign);
        let modified = archive.modified(&key);
        archive.replace(&key, &gzip(&segment_of_another_cluster(foreign)));
        archive.set_modified(&key, modified);
    });

    let check = trial.check();
    check.fails(&[("wal.segment_invalid", foreign)]);
    let drill = trial.drill();
    drill.fails(&[("wal.segment_damaged", foreign), ("wal.segment_invalid", foreign)]);
    let damaged = drill.finding("wal.segment_damaged", "failed");
    let own = prepared.system_identifier.to_string();
    assert!(damaged["observed"].as_str().unwrap().contains(&own), "{drill}");
}

//! Instead of a segment there is its `.partial`: what the old primary had of its last segment when another server was
//! promoted. Recovery never asks for it.
//!
//! Caught by `archive::wal_listing::WalListing::add`, for which it is no segment, so that it is a gap.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_partial_in_the_place_of_a_segment_fails_check_and_drill_by_name() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let missing = &between[between.len() / 2];
    let trial = Trial::of_prepared(|archive| {
        let key = archive.wal_key(missing);
        archive.rename(&key, &key.replace(".gz", ".partial.gz"));
    });

    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.gap", missing)]);
        assert!(judged.report().get("restore").is_none(), "{judged}");
    }
}

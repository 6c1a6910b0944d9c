//! The object of a segment is there and holds nothing: an upload that failed at once, a disk that was full. A listing
//! by name alone does not see it.
//!
//! Caught by `archive::wal_listing::WalListing::add_segment`, for which it does not exist, so that it is a gap.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn an_empty_segment_fails_check_and_drill_by_name() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let empty = &between[between.len() / 2];
    let trial = Trial::of_prepared(|archive| archive.truncate(&archive.wal_key(empty), 0));

    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.gap", empty)]);
        let zero = judged.finding("wal.zero_length", "failed");
        assert!(zero["observed"].as_str().unwrap().contains(empty.as_str()), "{judged}");
        assert!(judged.report().get("restore").is_none(), "{judged}");
    }
}

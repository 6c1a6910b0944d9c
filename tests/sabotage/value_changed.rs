//! The last letter of one value is another one, and the page's checksum is right. The table has no column of time, and
//! its count is right.
//!
//! Caught by `probe::content::judge`, which compares the fingerprint of the rows with the baseline's.

use crate::trial::Trial;

#[test]
fn a_value_that_is_not_the_sources_fails_the_drill_by_the_tables_name() {
    let trial = Trial::of_pages("vault", "documents", |pages| {
        // A body ends its row; hexadecimal digits differ from one another in their last bit.
        let row = pages.live_rows(b"a")[20];
        *pages.item_mut(row).last_mut().unwrap() ^= 1;
    });

    let judged = trial.drill();
    judged.fails(&[("table.content", "vault: public.documents")]);
    let changed = judged.finding("table.content", "failed");
    for side in ["expected", "observed"] {
        assert!(changed[side].as_str().unwrap().starts_with("48 rows, fingerprint "), "{judged}");
    }
    assert_ne!(changed["expected"], changed["observed"], "{judged}");
    judged.finding("table.row_count", "passed");
}

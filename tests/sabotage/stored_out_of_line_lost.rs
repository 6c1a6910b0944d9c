//! A part of a long value is gone. The row itself is there, and is counted.
//!
//! Caught by `probe::tables::is_damage`, which knows what PostgreSQL says when it meets such a value, in the scan that
//! makes the fingerprint.

use crate::trial::Trial;

#[test]
fn a_long_value_that_cannot_be_read_whole_fails_the_drill() {
    let trial = Trial::of_pages("vault", "toast of documents", |pages| {
        let part = pages.live_rows(b"a")[20];
        pages.lose(part);
    });

    let judged = trial.drill();
    judged.fails(&[("table.content", "vault: public.documents")]);
    let observed = judged.finding("table.content", "failed")["observed"].to_string();
    assert!(observed.contains("missing chunk") || observed.contains("unexpected chunk"), "{judged}");
    judged.finding("table.row_count", "passed");
}

//! One row is gone from a table that was vacuumed and has no column of time. Its primary key still has the entry, and
//! the visibility map says that nobody need look at the table: to count by the index alone finds all rows.
//!
//! Caught by `probe::tables::read`, whose question an index cannot answer.

use crate::trial::Trial;

#[test]
fn a_lost_row_that_the_index_still_has_fails_the_drill() {
    // The 20th document.
    let trial = Trial::of_pages("vault", "documents", |pages| {
        let row = pages.live_row(&20_i64.to_le_bytes());
        pages.lose(row);
    });

    let judged = trial.drill();
    judged.fails(&[("table.row_count", "vault: public.documents")]);
    let lost = judged.finding("table.row_count", "failed");
    assert_eq!(lost["summary"], "table public.documents of vault has lost 1 row", "{judged}");
}

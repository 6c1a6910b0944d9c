//! A byte is another one in a part of a long value, which PostgreSQL keeps in a table of its own beside the row.
//!
//! Caught by `probe::content::judge`: whoever makes a fingerprint reads the whole value. A count does not.

use crate::trial::Trial;

#[test]
fn a_long_value_that_differs_in_one_byte_fails_the_drill() {
    let trial = Trial::of_pages("vault", "toast of documents", |pages| {
        let part = pages.live_rows(b"a")[20];
        let last = pages.item(part).len() - 100;
        pages.item_mut(part)[last] ^= 1;
    });

    let judged = trial.drill();
    judged.fails(&[("table.content", "vault: public.documents")]);
    judged.finding("table.row_count", "passed");
}

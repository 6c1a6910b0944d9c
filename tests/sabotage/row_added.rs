//! A table has one row too many: a line pointer of the base backup points to a row that another one points to.
//!
//! Caught by `probe::tables::judge`, which compares each count with the baseline's, both ways.

use crate::trial::Trial;

#[test]
fn a_row_that_the_source_never_had_fails_the_drill() {
    let trial = Trial::of_pages("vault", "accounts", |pages| pages.repeat(pages.live_row(b"account 250")));

    let judged = trial.drill();
    judged.fails(&[
        ("integrity.index", "vault: public.accounts_name_idx"),
        ("integrity.index", "vault: public.accounts_pkey"),
        ("table.row_count", "vault: public.accounts"),
    ]);
    let added = judged.finding("table.row_count", "failed");
    assert_eq!(added["summary"], "table public.accounts of vault has 1 row too many", "{judged}");
}

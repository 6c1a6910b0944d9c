//! A page with live rows is all zeros in the base backup, as a lost write leaves it. PostgreSQL takes it for one that was
//! never used, whose checksum is not verified: the rows vanish without a word.
//!
//! Caught by `probe::tables::judge`, which compares each count with the baseline's.

use crate::trial::Trial;

#[test]
fn a_zeroed_page_fails_the_drill_though_postgresql_reads_it() {
    let mut lost = 0;
    let trial = Trial::of_pages("vault", "accounts", |pages| {
        lost = pages.live_rows(b"account ").iter().filter(|row| row.page == 2).count();
        pages.zero(2);
    });
    assert!(lost > 0, "the page holds rows");

    let judged = trial.drill();
    judged.fails(&[("table.row_count", "vault: public.accounts")]);
    let vanished = judged.finding("table.row_count", "failed");
    assert_eq!(vanished["summary"], format!("table public.accounts of vault has lost {lost} rows"), "{judged}");
}

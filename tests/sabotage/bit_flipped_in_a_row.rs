//! One bit of a live row is another one, and the page's checksum is not. Nothing but reading the page shows it: the
//! server comes up, and a base backup's tar has no checksum of its own for it.
//!
//! Caught by `probe::tables::read`, which reads every page of a table, and by `judge`, which takes PostgreSQL's
//! complaint of damage for a loss.

use crate::trial::Trial;

#[test]
fn a_flipped_bit_under_a_checksum_fails_the_drill_by_the_tables_name() {
    let trial = Trial::of_pages("vault", "accounts", |pages| {
        let row = pages.live_row(b"account 250");
        *pages.item_mut(row).last_mut().unwrap() ^= 1;
        pages.leave_checksums();
    });

    let judged = trial.drill();
    judged.fails(&[
        ("integrity.checksums", ""),
        ("integrity.table", "vault: public.accounts"),
        ("table.row_count", "vault: public.accounts"),
    ]);
    let damaged = judged.finding("table.row_count", "failed");
    assert_eq!(damaged["summary"], "table public.accounts of vault cannot be read whole", "{judged}");
}

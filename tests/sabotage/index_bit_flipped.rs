//! One bit of an index is wrong, as a disk does it: the page's checksum no longer holds. A count never reads this page.
//!
//! Caught by `probe::integrity::amcheck::Amcheck::index`, which reads every page; that it was a checksum is told by
//! `probe::integrity::checksums::judge`.

use crate::trial::Trial;

#[test]
fn a_flipped_bit_in_an_index_fails_the_drill() {
    let trial = Trial::of_pages("vault", "accounts_name_idx", |pages| {
        pages.leave_checksums();
        pages.page_mut(1)[5000] ^= 1;
    });

    let judged = trial.drill();
    judged.fails(&[("integrity.checksums", ""), ("integrity.index", "vault: public.accounts_name_idx")]);
    let observed = judged.finding("integrity.checksums", "failed")["observed"].clone();
    assert_eq!(observed, "in vault", "{judged}");
}

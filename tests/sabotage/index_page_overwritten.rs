//! A page of an index holds something else behind its header, and the checksum is right. Nothing that a drill reads needs
//! the index.
//!
//! Caught by `probe::integrity::amcheck::Amcheck::index`.

use crate::trial::Trial;

#[test]
fn an_index_page_full_of_garbage_fails_the_drill_by_the_indexs_name() {
    let trial = Trial::of_pages("vault", "accounts_name_idx", |pages| pages.page_mut(1)[24..4096].fill(0x5a));

    trial.drill().fails(&[("integrity.index", "vault: public.accounts_name_idx")]);
}

//! Two entries of an index have changed places, and the page's checksum is right: what a server with another version of a
//! collation leaves behind.
//!
//! Caught by `probe::integrity::amcheck::Amcheck::index`; that the copy sorts as the source did is told by
//! `probe::integrity::collations`.

use crate::support::page::Item;
use crate::trial::Trial;

#[test]
fn an_index_out_of_order_fails_the_drill_by_the_indexs_name() {
    let trial = Trial::of_pages("vault", "accounts_name_idx", |pages| {
        let Item { page, pointer } = pages.items(b"account 250")[0];
        pages.swap(Item { page, pointer }, Item { page, pointer: pointer + 1 });
    });

    let judged = trial.drill();
    judged.fails(&[("integrity.index", "vault: public.accounts_name_idx")]);
    judged.finding("integrity.collation", "passed");
}

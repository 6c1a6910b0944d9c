//! An entry of an index is marked as one whose row is gone, and the page's checksum is right. The row is in its table:
//! every count is equal, and only who searches by name does not find it.
//!
//! Caught by `probe::integrity::amcheck::Amcheck::index`, which looks up every row of the table in the index.

use crate::trial::Trial;

#[test]
fn an_index_without_one_of_its_rows_fails_the_drill_by_the_indexs_name() {
    let trial = Trial::of_pages("vault", "accounts_name_idx", |pages| {
        let entries = pages.items(b"account 250");
        assert_eq!(entries.len(), 1, "no page begins with it");
        pages.mark_dead(entries[0]);
    });

    let judged = trial.drill();
    judged.fails(&[("integrity.index", "vault: public.accounts_name_idx")]);
    let observed = judged.finding("integrity.index", "failed")["observed"].clone();
    assert!(observed.as_str().unwrap().contains("lacks matching index tuple"), "{judged}");
    assert!(!judged.to_string().contains("account 250"), "no content of a row is shown\n{judged}");
}

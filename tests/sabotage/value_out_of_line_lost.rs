//! A long text is stored in pieces outside of its row, and one piece is gone. Every row is there to be counted; who reads
//! this one gets an error.
//!
//! Caught by `probe::integrity::amcheck::Amcheck::table`, by `check_toast`, and by `probe::tables::is_damage`, which knows
//! what PostgreSQL says to the scan that makes the fingerprint.

use crate::support::page::Item;
use crate::trial::Trial;

#[test]
fn a_lost_piece_of_a_long_value_fails_the_drill_by_the_tables_name() {
    let trial = Trial::of_pages("vault", "toast of documents", |pages| pages.lose(Item { page: 1, pointer: 1 }));

    let judged = trial.drill();
    let documents = "vault: public.documents";
    judged.fails(&[("integrity.table", documents), ("table.content", documents)]);
    judged.finding("table.row_count", "passed");
}

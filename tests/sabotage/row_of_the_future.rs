//! A row says that a transaction wrote it which has not begun yet. Its page is marked as visible to all, so every count
//! still has the row; it vanishes with the first change of another row on the page.
//!
//! Caught by `probe::integrity::amcheck::Amcheck::table`.

use crate::trial::Trial;

/// `t_infomask` in a row's header, and its flags that the writing transaction's end is known.
const INFOMASK: std::ops::Range<usize> = 20..22;
const XMIN_IS_KNOWN: u16 = 0x0300;

#[test]
fn a_row_that_will_vanish_fails_the_drill_by_the_tables_name() {
    let trial = Trial::of_pages("vault", "accounts", |pages| {
        let row = pages.live_row(b"account 250");
        let header = pages.item_mut(row);
        header[..4].copy_from_slice(&0x3fff_ffff_u32.to_le_bytes());
        let flags = u16::from_le_bytes(header[INFOMASK].try_into().unwrap());
        header[INFOMASK].copy_from_slice(&(flags & !XMIN_IS_KNOWN).to_le_bytes());
    });

    let judged = trial.drill();
    judged.fails(&[("integrity.table", "vault: public.accounts")]);
    judged.finding("table.row_count", "passed");
}

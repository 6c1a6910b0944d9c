//! A balance in the middle of the table is another one: count, smallest, largest, oldest and newest agree, and every
//! other row is as it was.
//!
//! Caught by `probe::content::judge`, which compares the fingerprint of the rows with the baseline's.

use crate::trial::Trial;

#[test]
fn a_balance_that_is_not_the_sources_fails_the_drill() {
    let trial = Trial::of_pages("vault", "accounts", |pages| {
        let (balance, other) = (balance(256, 25), balance(556, 25));
        let row = pages.live_row(&[b"account 25".as_slice(), &balance].concat());
        pages.replace(row, &balance, &other);
    });

    let judged = trial.drill();
    judged.fails(&[("table.content", "vault: public.accounts")]);
    for unsuspecting in ["table.row_count", "table.timestamps"] {
        judged.finding(unsuspecting, "passed");
    }
}

/// A `numeric(12, 2)` below 10,000 on disk: one byte with the length of all, a short header with the scale, and two
/// digits to base 10,000.
pub fn balance(whole: u16, hundredths: u16) -> [u8; 7] {
    let (header, whole, fraction) = (0x8100_u16.to_le_bytes(), whole.to_le_bytes(), (hundredths * 100).to_le_bytes());
    [7 << 1 | 1, header[0], header[1], whole[0], whole[1], fraction[0], fraction[1]]
}

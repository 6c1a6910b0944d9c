//! Two rows have each other's value: every column has the values that it had, and every sum over a column is equal.
//!
//! Caught by `probe::content::judge`: a fingerprint is made of whole rows (`fingerprint::OF_ROWS`).

use crate::balance_changed::balance;
use crate::trial::Trial;

#[test]
fn two_rows_that_exchanged_a_value_fail_the_drill() {
    let trial = Trial::of_pages("vault", "accounts", |pages| {
        let (one, other) = (pages.live_row(b"account 123"), pages.live_row(b"account 321"));
        let (poor, rich) = (balance(1260, 75), balance(3290, 25));
        pages.replace(one, &poor, &rich);
        pages.replace(other, &rich, &poor);
    });

    let judged = trial.drill();
    judged.fails(&[("table.content", "vault: public.accounts")]);
    for unsuspecting in ["table.row_count", "table.timestamps"] {
        judged.finding(unsuspecting, "passed");
    }
}

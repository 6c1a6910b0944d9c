//! Rows are gone from one table of the base backup: three of them, or all.
//!
//! Caught by `probe::tables::judge`, which compares each count with the baseline's.

use crate::trial::Trial;

#[test]
fn rows_deleted_from_one_table_fail_the_drill_by_its_name() {
    let trial = Trial::of_pages("vault", "accounts", |pages| {
        for name in ["account 100", "account 200", "account 300"] {
            pages.lose(pages.live_row(name.as_bytes()));
        }
    });

    let judged = trial.drill();
    judged.fails(&[("table.row_count", "vault: public.accounts")]);
    let lost = judged.finding("table.row_count", "failed");
    assert_eq!(lost["summary"], "table public.accounts of vault has lost 3 rows", "{judged}");
}

#[test]
fn a_table_that_came_back_empty_fails_the_drill_by_its_counts_and_its_times() {
    let trial = Trial::of_pages("vault", "accounts", |pages| {
        for row in pages.live_rows(b"account ") {
            pages.lose(row);
        }
    });

    let judged = trial.drill();
    let accounts = "vault: public.accounts";
    judged.fails(&[("table.row_count", accounts), ("table.timestamps", accounts)]);
    assert_eq!(judged.finding("table.row_count", "failed")["observed"], "0 rows", "{judged}");
}

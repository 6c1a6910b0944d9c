//! One row is gone from a heap page of the base backup, and the page's checksum is right: a page that was written
//! back late, a repaired disk. No WAL touches the page afterwards, so nothing heals it, and PostgreSQL cannot know.
//!
//! Caught by `probe::tables::judge`, which compares each count with the baseline's.

use crate::support::page::Item;
use crate::trial::{Trial, table};

#[test]
fn a_row_lost_from_the_base_backup_fails_the_drill_by_the_tables_name() {
    // Orders are only ever appended, so the first page lies in the newest base backup as it will stay. Its 50th row is
    // neither the oldest row of the table nor the newest, so that no bound of a timestamp gives it away.
    let trial = Trial::of_pages("shop", "orders", |pages| pages.lose(Item { page: 0, pointer: 49 }));

    let judged = trial.drill();
    judged.fails(&[("table.row_count", "shop: public.orders")]);
    let rows = table("shop", "orders")["rows"].as_u64().unwrap();
    let orders = judged.report()["restore"]["tables"][0].clone();
    let counts = (orders["rows_expected"].as_u64(), orders["rows_observed"].as_u64());
    assert_eq!(counts, (Some(rows), Some(rows - 1)), "{judged}");
}

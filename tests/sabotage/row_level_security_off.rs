//! Row-level security of a table is off: one byte of `pg_class`. Every tenant then sees every other's rows.
//!
//! Caught by `probe::catalog::differences` on owners and grants.

use crate::support::page::body;
use crate::trial::Trial;

/// `relrowsecurity` in a row of `pg_class` of PostgreSQL 15.
const ROW_SECURITY: usize = 123;

#[test]
fn row_level_security_that_is_off_fails_the_drill_by_the_tables_name() {
    let trial = Trial::of_pages("vault", "pg_class", |pages| {
        let table = pages.live_row(b"tenants\0");
        let flag = &mut body(pages.item_mut(table))[ROW_SECURITY];
        assert_eq!(*flag, 1);
        *flag = 0;
    });

    let judged = trial.drill();
    judged.fails(&[("role.privileges", "vault: owner and grants of table public.tenants")]);
    let expected = judged.finding("role.privileges", "failed")["expected"].to_string();
    assert!(expected.contains("row-level security"), "{judged}");
}

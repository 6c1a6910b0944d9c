//! The role that owns an application's data came back without LOGIN: one byte of `pg_authid`. All rows are there, and
//! the application cannot connect.
//!
//! Caught by `probe::catalog::differences` on the roles that all databases share.

use crate::support::page::body;
use crate::trial::Trial;

/// `rolcanlogin` in a row of `pg_authid`: behind oid, name and four other flags.
const CAN_LOGIN: usize = 4 + 64 + 4;

#[test]
fn a_role_that_may_no_longer_log_in_fails_the_drill_by_its_name() {
    let trial = Trial::of_pages("vault", "pg_authid", |pages| {
        let role = pages.live_row(b"app_owner\0");
        let flag = &mut body(pages.item_mut(role))[CAN_LOGIN];
        assert_eq!(*flag, 1);
        *flag = 0;
    });

    let judged = trial.drill();
    judged.fails(&[("role.definition", "the server: role app_owner")]);
    let finding = judged.finding("role.definition", "failed");
    assert_eq!(finding["expected"], "app_owner: login connection limit 50", "{judged}");
    assert_eq!(finding["observed"], "app_owner: nologin connection limit 50", "{judged}");
}

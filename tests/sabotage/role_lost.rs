//! A role is gone from the base backup's catalog. Its grants still name its number; nobody can be it any more.
//!
//! Caught by `probe::objects::judge`, which wants every role of the baseline, with its OID.

use crate::trial::Trial;

#[test]
fn a_lost_role_fails_the_drill() {
    let trial = Trial::of_pages("vault", "pg_authid", |pages| pages.lose(pages.live_row(b"auditor\0")));

    let judged = trial.drill();
    judged.fails(&[
        // The role's number is all that is left of its name.
        ("role.definition", "the server: membership app_owner in 1"),
        ("role.definition", "the server: membership app_owner in auditor"),
        ("role.definition", "the server: role auditor"),
        ("role.privileges", "vault: default privilege on tables of app_owner in schema public"),
        ("role.privileges", "vault: owner and grants of table public.accounts"),
        ("role.privileges", "vault: policy public.tenants.own_tenant"),
        ("server.objects", ""),
    ]);
    assert_eq!(judged.finding("server.objects", "failed")["observed"], "role auditor is missing", "{judged}");
}

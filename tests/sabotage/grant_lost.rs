//! A table's access control list no longer lets the auditor read: one bit of `pg_class`. No superuser misses the grant.
//!
//! Caught by `probe::catalog::differences` on owners and grants.

use crate::support::page::body;
use crate::trial::Trial;

/// `ACL_SELECT` and `ACL_REFERENCES` in an entry of an access control list, behind grantee and grantor.
const SELECT: u32 = 1 << 1;
const REFERENCES: u32 = 1 << 5;

#[test]
fn a_grant_that_is_not_the_sources_fails_the_drill_by_the_tables_name() {
    let (auditor, owner) = (role("auditor"), role("app_owner"));
    let entry = |privileges: u32| [auditor, owner, privileges].map(u32::to_le_bytes).concat();
    let trial = Trial::of_pages("vault", "pg_class", |pages| {
        let table = pages.live_row(&entry(SELECT));
        assert!(body(pages.item_mut(table))[4..].starts_with(b"accounts\0"));
        pages.replace(table, &entry(SELECT), &entry(REFERENCES));
    });

    let judged = trial.drill();
    judged.fails(&[("role.privileges", "vault: owner and grants of table public.accounts")]);
    let observed = judged.finding("role.privileges", "failed")["observed"].to_string();
    assert!(observed.contains("auditor may REFERENCES by app_owner"), "{judged}");
}

/// A role's OID, from the baseline document.
fn role(name: &str) -> u32 {
    let document = crate::trial::baseline();
    let roles = document["server"]["roles"].as_array().unwrap().clone();
    let oid = roles.iter().find(|role| role["name"] == name).unwrap()["oid"].as_u64().unwrap();
    u32::try_from(oid).unwrap()
}

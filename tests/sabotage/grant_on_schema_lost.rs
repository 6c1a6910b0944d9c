//! The right to use a schema is gone from `pg_namespace`, and the checksum of its page is right. A superuser sees every
//! row; the application, whose role owns the tables, gets "permission denied".
//!
//! Caught by `probe::access::judge`, which compares what each owner reaches with the baseline's.

use crate::support::{Prepared, page};
use crate::trial::Trial;

/// The role to which the schema `public` belongs, and the privilege to use a schema, as `aclitem` holds them.
const PG_DATABASE_OWNER: u32 = 6171;
const USAGE: u32 = 1 << 8;
const CREATE: u32 = 1 << 9;

fn item(grantee: u32, privileges: u32) -> Vec<u8> {
    [grantee, PG_DATABASE_OWNER, privileges].iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn an_owner_who_may_not_use_its_schema_fails_the_drill_by_the_roles_name() {
    let prepared = Prepared::get();
    let trial = Trial::of_prepared(|archive| {
        page::edit(archive, &prepared.backups[1], prepared.file("vault", "pg_namespace"), |pages| {
            let public = pages.live_row(b"public\0");
            pages.replace(public, &item(PG_DATABASE_OWNER, USAGE | CREATE), &item(PG_DATABASE_OWNER, CREATE));
            pages.replace(public, &item(0, USAGE), &item(0, 0));
        });
    });

    let judged = trial.drill();
    judged.fails(&[
        ("role.privileges", "vault: owner and grants of schema public"),
        ("server.role_access", "vault: app_owner"),
    ]);
    judged.finding("table.row_count", "passed");
}

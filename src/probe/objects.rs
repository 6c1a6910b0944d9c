//! Are the roles and databases the source's own? A physical restore keeps their OIDs; the operator makes what is missing
//! anew, under the same names with other OIDs.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::not_asked;
use crate::finding::{Blame, Code, Finding};
use crate::report::text::count;
use crate::source::baseline::Baseline;

/// How many a finding names.
const NAMED: usize = 5;

/// What the restored server has: OIDs by name.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    pub roles: BTreeMap<String, u32>,
    pub databases: BTreeMap<String, u32>,
}

/// Reads and judges. `is_at_baseline` says that recovery stopped at the baseline's own LSN: only then must the copy hold
/// everything that the baseline shows; at another place a role may have come or gone.
pub async fn probe(client: &Client, baseline: &Baseline, is_at_baseline: bool) -> Finding {
    let list = async |sql: &str| -> Result<BTreeMap<String, u32>, tokio_postgres::Error> {
        Ok(client.query(sql, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    };
    let roles = list("SELECT rolname::text, oid FROM pg_roles").await;
    let databases = list("SELECT datname::text, oid FROM pg_database").await;
    match (roles, databases) {
        (Ok(roles), Ok(databases)) => judge(baseline, &Objects { roles, databases }, is_at_baseline),
        (Err(error), _) | (_, Err(error)) => not_asked(Code::ServerObjects, &error),
    }
}

pub fn judge(baseline: &Baseline, restored: &Objects, is_at_baseline: bool) -> Finding {
    let roles = baseline.server.roles.iter().map(|role| ("role", &role.name, role.oid, &restored.roles));
    let databases = baseline.databases.iter().map(|found| ("database", &found.name, found.oid, &restored.databases));
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (kind, name, oid, there) in roles.chain(databases) {
        compared += 1;
        match there.get(name) {
            Some(found) if *found == oid => {}
            Some(found) => wrong.push(format!("{kind} {name} was made anew (OID {found} instead of {oid})")),
            None => wrong.push(format!("{kind} {name} is missing")),
        }
    }
    if wrong.is_empty() {
        let summary =
            format!("{} are the source's own, by OID", count(compared, "role or database", "roles and databases"));
        return Finding::passed(Code::ServerObjects, summary);
    }
    let more = wrong.len().saturating_sub(NAMED);
    wrong.truncate(NAMED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let observed = wrong.join("; ") + &more;
    if !is_at_baseline {
        let summary = "roles or databases differ from the baseline's, at whose LSN recovery did not stop";
        return Finding::note(Code::ServerObjects, summary)
            .observed(observed)
            .hint("the target `baseline` compares exactly");
    }
    Finding::failed(Code::ServerObjects, Blame::Backups, "roles or databases of the source are not in the backup")
        .expected("every role and database of the baseline, with its OID")
        .observed(observed)
        .hint("the backup is not what the source held: make a new base backup, keep this one for analysis")
}

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

/// What a server has: OIDs by name.
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
        (Ok(roles), Ok(databases)) => judge(&Objects::of(baseline), &Objects { roles, databases }, is_at_baseline),
        (Err(error), _) | (_, Err(error)) => not_asked(Code::ServerObjects, &error),
    }
}

impl Objects {
    fn of(baseline: &Baseline) -> Self {
        Self {
            roles: baseline.server.roles.iter().map(|role| (role.name.clone(), role.oid)).collect(),
            databases: baseline.databases.iter().map(|found| (found.name.clone(), found.oid)).collect(),
        }
    }
}

pub fn judge(expected: &Objects, restored: &Objects, is_at_baseline: bool) -> Finding {
    let kinds = [("role", &expected.roles, &restored.roles), ("database", &expected.databases, &restored.databases)];
    let mut wrong = Vec::new();
    for (kind, expected, restored) in kinds {
        for (name, oid) in expected {
            match restored.get(name) {
                Some(found) if found == oid => {}
                Some(found) => wrong.push(format!("{kind} {name} was made anew (OID {found} instead of {oid})")),
                None => wrong.push(format!("{kind} {name} is missing")),
            }
        }
    }
    let compared = expected.roles.len() + expected.databases.len();
    if wrong.is_empty() {
        let summary = format!(
            "{} are the source's own, by OID",
            count(compared as u64, "role or database", "roles and databases")
        );
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    fn objects(roles: &[(&str, u32)], databases: &[(&str, u32)]) -> Objects {
        let named = |all: &[(&str, u32)]| all.iter().map(|(name, oid)| ((*name).to_owned(), *oid)).collect();
        Objects { roles: named(roles), databases: named(databases) }
    }

    #[test]
    fn the_same_oids_pass_whatever_the_operator_added() {
        let expected = objects(&[("postgres", 10), ("shop", 16_384)], &[("shop", 16_385)]);
        let restored =
            objects(&[("postgres", 10), ("shop", 16_384), ("streaming_replica", 17_000)], &[("shop", 16_385)]);
        assert_eq!(judge(&expected, &restored, true).outcome, Outcome::Passed);
    }

    #[test]
    fn what_is_missing_or_was_made_anew_is_the_backups_fault() {
        let expected = objects(&[("shop", 16_384)], &[("shop", 16_385)]);
        for restored in [
            objects(&[("shop", 17_001)], &[("shop", 16_385)]),
            objects(&[("shop", 16_384)], &[("shop", 17_002)]),
            objects(&[], &[("shop", 16_385)]),
            objects(&[("shop", 16_384)], &[]),
        ] {
            assert!(judge(&expected, &restored, true).blames_backups(), "{restored:?}");
        }
    }

    #[test]
    fn at_another_place_than_the_baselines_a_difference_says_nothing() {
        let (expected, restored) = (objects(&[("nightly", 16_384)], &[]), objects(&[], &[]));
        assert_eq!(judge(&expected, &restored, false).outcome, Outcome::Note);
    }
}

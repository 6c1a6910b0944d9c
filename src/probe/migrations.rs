//! Has the database had the migrations that the source's had?

use std::collections::BTreeSet;

use super::{Compared, Found};
use crate::finding::{Blame, Code, Finding};
use crate::postgres::{reason, rows};
use crate::source::migrations::{self, Applied, MigrationsBaseline};

/// How many versions a finding names.
const NAMED: usize = 10;
/// How many versions of a table are read.
const READ: usize = 100_000;

/// Compares one database.
pub async fn probe(compared: &Compared<'_>) -> Found {
    let mut found = Found::default();
    let database = &compared.database.name;
    for reason in &compared.database.migrations_not_read {
        found.findings.push(Finding::not_checked(Code::SchemaMigrations, reason).of(database));
    }
    for expected in &compared.database.migrations {
        let question = migrations::versions(&expected.schema, &expected.table, &expected.columns, READ);
        let observed = match rows(compared.client, &question).await {
            Ok(rows) => migrations::applied(&rows).ok_or_else(|| "an unexpected answer".to_owned()),
            Err(error) if error.code().is_some_and(|code| matches!(code.code(), "42P01" | "3F000" | "42703")) => {
                // Without the table or a column of it no migration is known; the schema tells the rest.
                Ok(Applied { number: 0, digest: String::new(), versions: Vec::new() })
            }
            Err(error) => Err(reason(&error)),
        };
        found.compared += expected.applied;
        found.findings.extend(judge(database, expected, observed, compared.certificate.committed));
    }
    found
}

/// Judges one version table.
fn judge(
    database: &str,
    expected: &MigrationsBaseline,
    observed: Result<Applied, String>,
    committed: u64,
) -> Option<Finding> {
    let table = format!("{}.{}", expected.schema, expected.table);
    let object = format!("{database}: {table}");
    let observed = match observed {
        Ok(observed) => observed,
        Err(reason) => {
            let summary = format!("the migrations in {table} could not be read: {reason}");
            return Some(Finding::not_checked(Code::SchemaMigrations, summary).of(object));
        }
    };
    if observed.number == expected.applied && observed.digest == expected.digest {
        return None;
    }
    let had: BTreeSet<&str> = expected.versions.iter().map(String::as_str).collect();
    let has: BTreeSet<&str> = observed.versions.iter().map(String::as_str).collect();
    let missing: Vec<&str> = had.difference(&has).copied().collect();
    // Of the ones before those that the baseline names nothing is known.
    let is_named =
        |version: &&str| had.len() as u64 == expected.applied || had.first().is_some_and(|first| version > first);
    let additional: Vec<&str> = has.difference(&had).copied().filter(is_named).collect();
    let (what, names) = match (missing.as_slice(), additional.as_slice()) {
        ([], []) => ("an older migration differs", String::new()),
        ([_], _) => ("a migration is missing", named(&missing)),
        ([_, ..], _) => ("migrations are missing", named(&missing)),
        ([], _) => ("there are migrations that the source did not have", named(&additional)),
    };
    let separator = if names.is_empty() { "" } else { ": " };
    let summary = format!("{what} in {table} of {database}{separator}{names}");
    let finding = if committed == 0 {
        Finding::failed(Code::SchemaMigrations, Blame::Backups, summary)
            .hint("the backup is not what the source held: make a new base backup, keep this one for analysis")
    } else {
        let summary = format!("{summary}; {committed} transactions beyond the baseline may explain it");
        Finding::not_checked(Code::SchemaMigrations, summary)
            .hint("run the drill again; a baseline at a quieter time is exact")
    };
    let text = |number: u64, last: Option<&String>| match last {
        Some(last) => format!("{number} migrations, the last {last}"),
        None => format!("{number} migrations"),
    };
    Some(
        finding
            .of(object)
            .expected(text(expected.applied, expected.versions.last()))
            .observed(text(observed.number, observed.versions.last())),
    )
}

fn named(versions: &[&str]) -> String {
    let more = versions.len().saturating_sub(NAMED);
    let names = versions[..versions.len() - more].join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    fn expected(versions: &[&str]) -> MigrationsBaseline {
        let Applied { number, digest, versions } = applied(versions);
        let (schema, table, columns) =
            ("public".to_owned(), "schema_migrations".to_owned(), vec!["version".to_owned()]);
        MigrationsBaseline { schema, table, oid: 16_400, columns, applied: number, digest, versions }
    }

    fn applied(versions: &[&str]) -> Applied {
        let versions: Vec<String> = versions.iter().map(|&version| version.to_owned()).collect();
        Applied { number: versions.len() as u64, digest: versions.join(","), versions }
    }

    #[test]
    fn the_same_migrations_are_nothing_to_speak_of() {
        assert_eq!(judge("shop", &expected(&["1", "2"]), Ok(applied(&["1", "2"])), 0), None);
        assert_eq!(judge("shop", &expected(&["1", "2"]), Ok(applied(&["1", "2"])), 3), None);
    }

    #[test]
    fn a_missing_migration_is_named_and_the_backups_fault() {
        let finding = judge("shop", &expected(&["1", "2"]), Ok(applied(&["1"])), 0).unwrap();
        assert!(finding.blames_backups());
        assert_eq!(finding.summary, "a migration is missing in public.schema_migrations of shop: 2");
    }

    #[test]
    fn one_too_many_is_the_backups_fault_as_well() {
        let finding = judge("shop", &expected(&["1"]), Ok(applied(&["1", "2"])), 0).unwrap();
        assert!(finding.blames_backups());
    }

    #[test]
    fn a_difference_among_those_that_are_not_named_is_seen() {
        let expected = MigrationsBaseline { applied: 3, ..expected(&["2", "3"]) };
        let observed = Applied { digest: "other".to_owned(), ..applied(&["1", "2", "3"]) };
        let finding = judge("shop", &expected, Ok(observed), 0).unwrap();
        assert_eq!(finding.summary, "an older migration differs in public.schema_migrations of shop");
    }

    #[test]
    fn transactions_beyond_the_baseline_may_explain_a_difference() {
        let finding = judge("shop", &expected(&["1", "2"]), Ok(applied(&["1"])), 1).unwrap();
        assert_eq!(finding.outcome, Outcome::NotChecked);
    }

    #[test]
    fn what_could_not_be_read_is_not_checked() {
        let finding = judge("shop", &expected(&["1"]), Err("locked".to_owned()), 0).unwrap();
        assert_eq!(finding.outcome, Outcome::NotChecked);
    }
}

//! Collations: the version that put the indexes in order, by the source's own record, and the one of the programs that
//! run the copy. Text that sorts otherwise is not found by an index.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use super::Programs;
use crate::finding::{Blame, Code, Finding};
use crate::probe::Found;

/// The collation `default`, which stands for the database's.
const DEFAULT: u32 = 100;
/// `pg_database` has the version of a database's collation since PostgreSQL 15.
const DATABASE_VERSION_SINCE: i32 = 150_000;
const NAMED: usize = 5;

/// How the recorded version of a collation and the one in use compare; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Equal, or one that never changes, such as C.
    Same,
    /// None was recorded.
    Unknown,
    Different,
}

/// The collations that columns and indexes of one database use.
#[derive(Debug, Clone, Default)]
pub struct Collations {
    by_oid: BTreeMap<u32, Used>,
}

#[derive(Debug, Clone)]
struct Used {
    name: String,
    version: Version,
    /// `recorded 2.36, here 2.41`.
    text: String,
}

pub async fn read(client: &Client) -> Result<Collations, Error> {
    let version_number: i32 = client.query_one("SELECT current_setting('server_version_num')::int", &[]).await?.get(0);
    let of_database = if version_number >= DATABASE_VERSION_SINCE {
        "datcollversion, pg_database_collation_actual_version(oid)"
    } else {
        "NULL::text, CASE WHEN datcollate IN ('C', 'POSIX') OR datcollate LIKE 'C.%' THEN NULL ELSE '?' END"
    };
    let question = format!(
        "SELECT {DEFAULT}::oid, 'the default of ' || datname, {of_database}
         FROM pg_database WHERE datname = current_database()
         UNION ALL
         SELECT oid, collname, collversion, pg_collation_actual_version(oid) FROM pg_collation
         WHERE oid <> {DEFAULT} AND oid IN (SELECT attcollation FROM pg_attribute)"
    );
    let rows = client.query(&question, &[]).await?;
    let used = |row: &tokio_postgres::Row| {
        let (recorded, here): (Option<String>, Option<String>) = (row.get(2), row.get(3));
        let text = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
        let text = format!("recorded {}, here {}", text(&recorded), text(&here));
        (row.get(0), Used { name: row.get(1), version: compare(recorded.as_deref(), here.as_deref()), text })
    };
    Ok(Collations { by_oid: rows.iter().map(used).collect() })
}

fn compare(recorded: Option<&str>, here: Option<&str>) -> Version {
    match (recorded, here) {
        (recorded, here) if recorded == here => Version::Same,
        (None, _) => Version::Unknown,
        _ => Version::Different,
    }
}

impl Collations {
    /// One that no column uses is unknown.
    pub fn version(&self, oid: u32) -> Version {
        self.by_oid.get(&oid).map_or(Version::Unknown, |used| used.version)
    }

    pub fn judge(&self, database: &str, programs: Programs) -> Found {
        let of_version = |version| self.by_oid.values().filter(move |used| used.version == version);
        let mut found = Found { compared: of_version(Version::Same).count() as u64, findings: Vec::new() };
        let names = |version| {
            let named = of_version(version).take(NAMED).map(|used| format!("{}: {}", used.name, used.text));
            let more = of_version(version).count().saturating_sub(NAMED);
            let more = (more > 0).then(|| format!("and {more} more"));
            named.chain(more).collect::<Vec<_>>().join("; ")
        };
        if of_version(Version::Different).next().is_some() {
            let finding = if programs == Programs::OfSource {
                let summary = format!("collations of {database} changed their version on the source too");
                Finding::note(Code::IntegrityCollation, summary)
                    .hint("on the source: REINDEX what they order, then ALTER COLLATION (DATABASE) … REFRESH VERSION")
            } else {
                let summary = format!("the sandbox's PostgreSQL sorts {database} by other versions of its collations");
                Finding::failed(Code::IntegrityCollation, Blame::Environment, summary)
                    .expected("the versions that the source recorded")
                    .hint("restore with the source's own image; a real restore with this one would need a REINDEX")
            };
            found.findings.push(finding.of(database).observed(names(Version::Different)));
        }
        if of_version(Version::Unknown).next().is_some() {
            let summary = format!("collations of {database} have no recorded version, so they cannot be compared");
            let finding = Finding::note(Code::IntegrityCollation, summary).of(database);
            found.findings.push(finding.observed(names(Version::Unknown)));
        }
        found
    }

    #[cfg(test)]
    pub fn of<const N: usize>(versions: [(u32, Version); N]) -> Self {
        let used = |(oid, version)| (oid, Used { name: format!("collation {oid}"), version, text: String::new() });
        Self { by_oid: versions.into_iter().map(used).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    #[test]
    fn a_version_that_was_never_recorded_is_not_a_difference() {
        assert_eq!(compare(Some("2.36"), Some("2.36")), Version::Same);
        assert_eq!(compare(None, None), Version::Same);
        assert_eq!(compare(None, Some("2.36")), Version::Unknown);
        assert_eq!(compare(Some("2.36"), Some("2.41")), Version::Different);
        assert_eq!(compare(Some("153.14"), None), Version::Different);
    }

    #[test]
    fn a_mismatch_of_the_sources_own_image_is_a_note() {
        let collations = Collations::of([(DEFAULT, Version::Different), (12_345, Version::Same)]);
        let own = collations.judge("shop", Programs::OfSource);
        assert_eq!((own.compared, own.findings[0].outcome), (1, Outcome::Note));
        for programs in [Programs::OfOtherImage, Programs::OfThisMachine] {
            assert_eq!(collations.judge("shop", programs).findings[0].blame, Some(Blame::Environment));
        }
    }
}

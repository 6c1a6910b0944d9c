//! The facts of a catalog beside the baseline's: what is missing, what differs, what is there beyond. What the copy's own
//! transactions wrote is told apart by the xmin of the catalogs' rows.

mod tell;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use super::Found;
use super::certificate::Certificate;
use crate::finding::Code;
use crate::postgres::{reason, rows};
use crate::source::catalog::{COPY, Catalog, Digest, MOST, Question, Section};

/// What the operator drops where its `Cluster` has no parameters for it.
const DROPPED_BY_OPERATOR: [&str; 3] = ["pg_failover_slots", "pg_stat_statements", "pgaudit"];

/// Kinds whose names begin those of what belongs to them. One that is missing is always told.
const OWNERS: [&str; 8] =
    ["schema", "table", "partitioned table", "view", "materialized view", "foreign table", "composite type", "type"];

/// Who wrote what a fact was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A transaction that the baseline's snapshot shows.
    Source,
    /// One between the snapshot and the stop.
    Beyond,
    /// One of the copy's own.
    Copy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub definition: String,
    pub writer: Writer,
}

/// What the restored server answered.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    pub objects: Answers,
    pub privileges: Answers,
}

#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// By kind and name.
    pub facts: BTreeMap<&'static str, BTreeMap<String, Fact>>,
    /// Of kinds of which the baseline has a digest, with the number of objects that only the copy has.
    pub digests: BTreeMap<&'static str, (Digest, u64)>,
    /// Why a kind was not read.
    pub not_read: BTreeMap<&'static str, String>,
}

/// Asks the restored server for what the baseline holds.
pub async fn read(
    client: &Client,
    questions: &[Question],
    expected: Option<&Catalog>,
    certificate: &Certificate,
) -> Restored {
    let mut restored = Restored::default();
    let writer = writer(certificate);
    for question in questions {
        let (section, expected) = if question.is_privilege {
            (&mut restored.privileges, expected.map(|expected| &expected.privileges))
        } else {
            (&mut restored.objects, expected.map(|expected| &expected.objects))
        };
        let is_digest = expected.is_some_and(|expected| expected.digests.contains_key(question.kind));
        let sql = if is_digest { question.digest(&writer) } else { question.sql(&writer) };
        let rows = match rows(client, &sql).await {
            Ok(rows) if rows.len() <= MOST => rows,
            Ok(_) => {
                section.not_read.insert(question.kind, format!("there are more than {MOST}"));
                continue;
            }
            Err(error) => {
                section.not_read.insert(question.kind, reason(&error));
                continue;
            }
        };
        if is_digest {
            if let Some(digest) = Digest::of(&rows) {
                section.digests.insert(question.kind, digest);
            } else {
                section.not_read.insert(question.kind, "the server gave an unexpected answer".to_owned());
            }
            continue;
        }
        let facts = rows.iter().map(|row| {
            let text = |index| row.get(index).unwrap_or_default().to_owned();
            let writer = match row.get(2) {
                Some(COPY) => Writer::Copy,
                Some("beyond") => Writer::Beyond,
                _ => Writer::Source,
            };
            (text(0), Fact { definition: text(1), writer })
        });
        section.facts.insert(question.kind, facts.collect());
    }
    restored
}

/// SQL that says who wrote the rows with the xmins `written`. From the certificate's bound on all is the copy's own. The
/// copy's next transaction bounds it from above: xmin has 32 bits, and an old row's could else pass for a new one's.
fn writer(certificate: &Certificate) -> String {
    let bound = certificate.to;
    let own = format!(
        "(xmin::text::int8 - {} + 4294967296) % 4294967296 < pg_snapshot_xmax(pg_current_snapshot())::text::int8 - {bound}",
        bound & 0xFFFF_FFFF
    );
    let beyond = if certificate.is_exact() { "false".to_owned() } else { certificate.wrote_row() };
    format!(
        "CASE WHEN EXISTS (SELECT FROM unnest(written) AS one (xmin) WHERE {own}) THEN '{COPY}'
            WHEN EXISTS (SELECT FROM unnest(written) AS one (xmin) WHERE {beyond}) THEN 'beyond' ELSE '' END"
    )
}

/// How differences are judged and told.
#[derive(Debug, Clone, Copy)]
pub struct Judging<'a> {
    /// Whose objects they are: a database's name, or words.
    pub place: &'a str,
    /// How many transactions beyond the baseline may explain a difference.
    pub committed: u64,
    /// Whether the operator used the copy before us.
    pub by_operator: bool,
}

/// Compares what there is. What belongs to something that is itself missing or additional is not told again.
pub fn objects(code: Code, expected: &Catalog, restored: &Restored, judging: Judging) -> Found {
    judge(code, "", &expected.objects, &restored.objects, &OneSided::new(expected, restored), judging)
}

/// Compares owners, grants and policies, but for those of an object that is itself missing or additional, which
/// [`objects`] tells.
pub fn privileges(code: Code, expected: &Catalog, restored: &Restored, judging: Judging) -> Found {
    let one_sided = OneSided::new(expected, restored);
    judge(code, "owner and grants of ", &expected.privileges, &restored.privileges, &one_sided, judging)
}

/// Objects that are on one side only.
struct OneSided<'a> {
    /// By kind and name.
    objects: BTreeSet<(&'a str, &'a str)>,
    /// Those to which others belong.
    owners: BTreeSet<&'a str>,
}

impl<'a> OneSided<'a> {
    fn new(expected: &'a Catalog, restored: &'a Restored) -> Self {
        let mut objects = BTreeSet::new();
        for (&kind, observed) in &restored.objects.facts {
            let Some(expected) = expected.objects.facts.get(kind) else { continue };
            let missing = expected.keys().filter(|name| !observed.contains_key(*name));
            let additional = observed.keys().filter(|name| !expected.contains_key(*name));
            objects.extend(missing.chain(additional).map(|name| (kind, name.as_str())));
        }
        let owners = objects.iter().filter(|(kind, _)| OWNERS.contains(kind)).map(|&(_, name)| name).collect();
        Self { objects, owners }
    }

    /// True for what belongs to one of them: its name begins with that one's.
    fn owns(&self, name: &str) -> bool {
        name.match_indices('.').any(|(end, _)| self.owners.contains(&name[..end]))
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        self.objects.contains(&(kind, name))
    }
}

/// What differs of one kind: names and definitions, expected first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences<'a> {
    missing: Vec<(&'a str, &'a str)>,
    changed: Vec<(&'a str, &'a str, &'a str)>,
    additional: Vec<(&'a str, &'a str)>,
    /// Written by transactions beyond the baseline.
    explained: Vec<&'a str>,
    /// Changed by the copy, so that nobody knows what it was before.
    overwritten: Vec<(&'a str, &'a str, &'a str)>,
    dropped_by_operator: Vec<&'a str>,
}

fn judge(
    code: Code,
    prefix: &str,
    expected: &Section,
    observed: &Answers,
    one_sided: &OneSided,
    judging: Judging,
) -> Found {
    let mut found = Found::default();
    for (&kind, observed) in &observed.facts {
        if let Some(expected) = expected.facts.get(kind) {
            found.compared += expected.len() as u64;
            let differences = differences(kind, expected, observed, one_sided, !prefix.is_empty(), judging);
            found.findings.extend(tell::tell(code, prefix, kind, &differences, judging));
        } else {
            let reason = expected.not_read.get(kind).map_or("it was written by another walproof", String::as_str);
            found.findings.push(tell::not_read(code, prefix, kind, "the baseline does not hold", reason, judging));
        }
    }
    for (&kind, (digest, by_copy)) in &observed.digests {
        match expected.digests.get(kind) {
            Some(expected) if expected == digest => found.compared += expected.objects,
            Some(expected) => {
                found.findings.push(tell::digests(code, prefix, kind, (expected, digest, *by_copy), judging));
            }
            None => {}
        }
    }
    let not_read = observed.not_read.iter();
    found.findings.extend(
        not_read.map(|(kind, reason)| {
            tell::not_read(code, prefix, kind, "the restored server did not tell", reason, judging)
        }),
    );
    found
}

fn differences<'a>(
    kind: &str,
    expected: &'a BTreeMap<String, String>,
    observed: &'a BTreeMap<String, Fact>,
    one_sided: &OneSided,
    of_objects: bool,
    judging: Judging,
) -> Differences<'a> {
    let mut differences = Differences::default();
    let is_told = |name: &str| one_sided.owns(name) || of_objects && one_sided.has(kind, name);
    for (name, definition) in expected {
        match observed.get(name) {
            Some(fact) if fact.definition == *definition => {}
            Some(Fact { definition: found, writer: Writer::Copy }) => {
                differences.overwritten.push((name, definition, found));
            }
            Some(Fact { writer: Writer::Beyond, .. }) => differences.explained.push(name),
            Some(fact) => differences.changed.push((name, definition, &fact.definition)),
            None if is_told(name) => {}
            None if judging.by_operator && kind == "extension" && DROPPED_BY_OPERATOR.contains(&name.as_str()) => {
                differences.dropped_by_operator.push(name);
            }
            None => differences.missing.push((name, definition)),
        }
    }
    for (name, fact) in observed.iter().filter(|(name, _)| !expected.contains_key(*name)) {
        match fact.writer {
            Writer::Copy => {}
            _ if is_told(name) => {}
            Writer::Beyond => differences.explained.push(name),
            Writer::Source => differences.additional.push((name, &fact.definition)),
        }
    }
    differences
}

#[cfg(test)]
mod tests;

//! Is the restored server sound inside? Tables and B-tree indexes are read whole by `amcheck`, libraries are loaded, the
//! versions of collations compared, and PostgreSQL is asked whether a page failed its checksum meanwhile.
//!
//! No baseline is needed, so nothing here can tell what the source has too: hints say how to ask it.

pub mod amcheck;
pub mod checksums;
pub mod collations;
pub mod indexes;
pub mod libraries;
pub mod relations;
pub mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tokio_postgres::Client;

use super::{Found, not_asked};
use crate::finding::{Code, Finding};
use crate::report::text::{bytes, count};
use amcheck::{Amcheck, Examined};
use collations::Collations;
use libraries::Library;
use relations::{Kind, Relation};

/// So many damaged or undecided relations of a code are named; of the others there is the number.
const NAMED: usize = 20;

const HINT_TIME: &str = "give `limits.integrity` more time; the largest databases and relations come last";

/// Whose PostgreSQL runs the copy. It decides whom a missing library or another collation's version speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// The source's own image: what is wrong with it is wrong with production.
    OfSource,
    /// Another image than the source's, as configured.
    OfOtherImage,
    /// What this machine has.
    OfThisMachine,
}

/// What was found in all databases so far.
pub struct Integrity {
    programs: Programs,
    tables: Damages,
    indexes: Damages,
    collations: Found,
    libraries: Found,
    tried: BTreeSet<String>,
    /// Indexes of other access methods than B-tree, and tables of others than heap.
    other_kinds: BTreeMap<(Code, String), u64>,
    invalid: Vec<String>,
    without_parents: u64,
    bytes_read: u64,
    shared_is_done: bool,
}

/// What was found under one code, of which only the first findings are kept.
struct Damages {
    code: Code,
    found: Found,
    named: usize,
    unnamed: Option<Finding>,
    unnamed_count: u64,
}

/// Relations for which the time did not suffice, and the bytes of all.
#[derive(Default)]
struct Omitted {
    relations: u64,
    bytes: u64,
    of_relations: u64,
    of_bytes: u64,
}

impl Integrity {
    pub fn new(programs: Programs) -> Self {
        Self {
            programs,
            tables: Damages::new(Code::IntegrityTable),
            indexes: Damages::new(Code::IntegrityIndex),
            collations: Found::default(),
            libraries: Found::default(),
            tried: BTreeSet::new(),
            other_kinds: BTreeMap::new(),
            invalid: Vec::new(),
            without_parents: 0,
            bytes_read: 0,
            shared_is_done: false,
        }
    }

    /// A database that cannot be connected to.
    pub fn not_reached(&mut self, database: &str, reason: &str) {
        for damages in [&mut self.tables, &mut self.indexes] {
            let summary = format!("database {database} could not be asked: {reason}");
            damages.add(Finding::not_checked(damages.code, summary).of(database));
        }
    }

    /// Examines one database until the deadline: its system catalogs first, then its tables with their indexes, the
    /// smallest first. Returns the libraries that its functions need and that no former database needed. The connection
    /// is the probe's own from here on.
    pub async fn examine(&mut self, client: &Client, database: &str, deadline: Instant) -> Vec<Library> {
        let versions = match collations::read(client).await {
            Ok(collations) => {
                let found = collations.judge(database, self.programs);
                self.collations.compared += found.compared;
                self.collations.findings.extend(found.findings);
                collations
            }
            Err(error) => {
                self.collations.findings.push(not_asked(Code::IntegrityCollation, &error).of(database));
                Collations::default()
            }
        };
        let libraries = match libraries::needed(client).await {
            Ok(libraries) => libraries.into_iter().filter(|library| self.tried.insert(library.file.clone())).collect(),
            Err(error) => {
                self.libraries.findings.push(not_asked(Code::IntegrityLibrary, &error).of(database));
                Vec::new()
            }
        };
        if deadline <= Instant::now() {
            for damages in [&mut self.tables, &mut self.indexes] {
                let summary = format!("no time was left for database {database}");
                damages.add(Finding::not_checked(damages.code, summary).of(database).hint(HINT_TIME));
            }
            return libraries;
        }
        let amcheck = match Amcheck::install(client, deadline).await {
            Ok(amcheck) => amcheck,
            Err(error) => {
                for damages in [&mut self.tables, &mut self.indexes] {
                    damages.add(amcheck::not_installed(damages.code, database, &error));
                }
                return libraries;
            }
        };
        match relations::list(client, !self.shared_is_done).await {
            Ok(relations) => {
                self.shared_is_done = true;
                self.relations(&amcheck, database, &relations, &versions).await;
            }
            Err(error) => match amcheck::classify(&error) {
                Examined::Damaged(message) => {
                    self.tables.add(tables::damaged(database, "the system catalogs", message));
                }
                _ => self.tables.add(not_asked(Code::IntegrityTable, &error).of(database)),
            },
        }
        libraries
    }

    /// What loading one library came to.
    pub fn loaded(&mut self, library: &Library, database: &str, outcome: Result<(), tokio_postgres::Error>) {
        self.libraries.compared += 1;
        self.libraries.findings.extend(libraries::judge(library, database, self.programs, outcome));
    }

    /// A library that could not be tried.
    pub fn not_loaded(&mut self, library: &Library, database: &str, reason: &str) {
        let summary =
            format!("library {} was not loaded: database {database} could not be asked: {reason}", library.file);
        self.libraries.findings.push(Finding::not_checked(Code::IntegrityLibrary, summary).of(&library.file));
    }

    /// All findings, summed up. `client` is asked for the checksums, so everything must have been read before.
    pub async fn findings(mut self, client: &Client) -> Vec<Finding> {
        for ((code, kind), number) in &self.other_kinds {
            let (one, many) = if *code == Code::IntegrityTable { ("table", "tables") } else { ("index", "indexes") };
            let summary = format!("{} of kind {kind} cannot be examined by amcheck", count(*number, one, many));
            let damages = if *code == Code::IntegrityTable { &mut self.tables } else { &mut self.indexes };
            damages.found.findings.push(Finding::note(*code, summary));
        }
        if !self.invalid.is_empty() {
            let number = self.invalid.len() as u64;
            let summary = format!("{} not in use, so not examined", count(number, "index is", "indexes are"));
            let names = self.invalid.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            self.indexes.found.findings.push(
                Finding::note(Code::IntegrityIndex, summary)
                    .observed(names)
                    .hint("an index stays invalid when building it failed: rebuild or drop it on the source"),
            );
        }
        if self.without_parents > 0 {
            let summary = format!(
                "{} read without comparing the inner pages with their parents: no time or no lock for it",
                count(self.without_parents, "index was", "indexes were")
            );
            self.indexes.found.findings.push(Finding::note(Code::IntegrityIndex, summary));
        }
        let mut findings = self.tables.sum("table", "tables");
        findings.extend(self.indexes.sum("B-tree index", "B-tree indexes"));
        findings.push(checksums::probe(client, self.bytes_read).await);
        for (code, found, (one, many)) in [
            (Code::IntegrityLibrary, self.libraries, ("library", "libraries")),
            (Code::IntegrityCollation, self.collations, ("collation", "collations")),
        ] {
            findings.extend(Found::sum(code, vec![found], one, many));
        }
        findings
    }

    async fn relations(
        &mut self,
        amcheck: &Amcheck<'_>,
        database: &str,
        relations: &[Relation],
        versions: &Collations,
    ) {
        let (mut tables, mut indexes) = (Omitted::default(), Omitted::default());
        let mut unsound = BTreeSet::new();
        let mut sound = Vec::new();
        for relation in relations {
            let (damages, omitted) = match &relation.kind {
                Kind::Table => (&mut self.tables, &mut tables),
                Kind::BTree => (&mut self.indexes, &mut indexes),
                Kind::NotInUse => {
                    self.invalid.push(format!("{database}: {}", relation.name));
                    continue;
                }
                Kind::Other(code, kind) => {
                    *self.other_kinds.entry((*code, kind.clone())).or_default() += 1;
                    continue;
                }
            };
            // Reading a damaged table again for each of its indexes would only repeat the damage.
            let with_table = !unsound.contains(&relation.table);
            let examined = match relation.kind {
                Kind::Table => amcheck.table(relation).await,
                _ => amcheck.index(relation, with_table).await,
            };
            omitted.of_relations += 1;
            omitted.of_bytes += relation.bytes;
            match examined {
                Examined::Sound => {
                    damages.found.compared += 1;
                    self.bytes_read += relation.bytes;
                    if relation.kind == Kind::BTree {
                        sound.push(relation);
                    }
                }
                Examined::Damaged(message) if relation.kind == Kind::Table => {
                    unsound.insert(relation.table);
                    damages.add(tables::damaged(database, &relation.name, message));
                }
                Examined::Damaged(message) => {
                    damages.add(indexes::damaged(database, relation, message, versions, self.programs));
                }
                Examined::OutOfTime => {
                    omitted.relations += 1;
                    omitted.bytes += relation.bytes;
                }
                Examined::Undecided(reason) => {
                    let summary = format!("{} could not be examined: {reason}", relation.name);
                    let finding =
                        Finding::not_checked(damages.code, summary).of(format!("{database}: {}", relation.name));
                    damages.add(finding.hint(amcheck::HINT_UNDECIDED));
                }
            }
        }
        self.tables.found.findings.extend(tables.finding(Code::IntegrityTable, database, "tables"));
        self.indexes.found.findings.extend(indexes.finding(Code::IntegrityIndex, database, "B-tree indexes"));
        for index in sound {
            match amcheck.parents(index).await {
                Examined::Sound => {}
                Examined::Damaged(message) => {
                    self.indexes.add(indexes::damaged(database, index, message, versions, self.programs));
                }
                Examined::OutOfTime | Examined::Undecided(_) => self.without_parents += 1,
            }
        }
    }
}

impl Damages {
    fn new(code: Code) -> Self {
        Self { code, found: Found::default(), named: 0, unnamed: None, unnamed_count: 0 }
    }

    fn add(&mut self, finding: Finding) {
        self.named += 1;
        if self.named <= NAMED {
            return self.found.findings.push(finding);
        }
        self.unnamed_count += 1;
        // One that blames the backups must not be lost among those that do not.
        if self.unnamed.as_ref().is_none_or(|unnamed| finding.blames_backups() && !unnamed.blames_backups()) {
            self.unnamed = Some(finding);
        }
    }

    fn sum(mut self, one: &str, many: &str) -> Vec<Finding> {
        if let Some(unnamed) = self.unnamed {
            let others = self.unnamed_count - 1;
            let summary = match others {
                0 => unnamed.summary.clone(),
                _ => format!("{}, and {} more", unnamed.summary, count(others, one, many)),
            };
            self.found.findings.push(Finding { summary, ..unnamed });
        }
        Found::sum(self.code, vec![self.found], one, many)
    }
}

impl Omitted {
    fn finding(&self, code: Code, database: &str, many: &str) -> Option<Finding> {
        if self.relations == 0 {
            return None;
        }
        let percent = (self.bytes * 100).div_ceil(self.of_bytes.max(1));
        let summary =
            format!("{} of {} {many} of {database} did not fit into the time", self.relations, self.of_relations);
        let observed = format!("{} of {}, {percent} %", bytes(self.bytes), bytes(self.of_bytes));
        let finding = Finding::not_checked(code, summary).of(database).observed(observed);
        Some(finding.hint(HINT_TIME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Blame, Outcome};

    #[test]
    fn damage_that_is_not_named_still_fails() {
        let mut damages = Damages::new(Code::IntegrityIndex);
        for number in 0..NAMED {
            damages.add(Finding::failed(Code::IntegrityIndex, Blame::Unknown, format!("index {number}")));
        }
        damages.add(Finding::not_checked(Code::IntegrityIndex, "index a"));
        damages.add(Finding::failed(Code::IntegrityIndex, Blame::Backups, "index b"));
        let findings = damages.sum("B-tree index", "B-tree indexes");
        assert_eq!(findings.len(), NAMED + 1);
        let last = findings.last().unwrap();
        assert!(last.blames_backups(), "{last:?}");
        assert_eq!(last.summary, "index b, and 1 B-tree index more");
    }

    #[test]
    fn what_did_not_fit_is_not_checked_and_says_how_much() {
        let omitted = Omitted { relations: 1, bytes: 3 << 30, of_relations: 40, of_bytes: 4 << 30 };
        let finding = omitted.finding(Code::IntegrityTable, "shop", "tables").unwrap();
        assert_eq!(finding.outcome, Outcome::NotChecked);
        assert_eq!(finding.summary, "1 of 40 tables of shop did not fit into the time");
        assert_eq!(finding.observed.as_deref(), Some("3.0 GiB of 4.0 GiB, 75 %"));
        assert_eq!(Omitted::default().finding(Code::IntegrityTable, "shop", "tables"), None);
    }
}

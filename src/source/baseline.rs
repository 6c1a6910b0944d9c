//! The baseline document: facts read from the source in one read-only snapshot, with the LSN that belongs to it.
//! Fields are only ever added to it.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::access::RoleAccess;
use super::archiver::Archiver;
use super::catalog::Catalog;
use super::migrations::MigrationsBaseline;
use super::snapshot::Snapshot;
use crate::archive::wal::{Lsn, SegmentSize, Timeline};
use crate::error::{Error, Reason};
use crate::finding::Finding;
use crate::json;

/// The version of the document that this program writes, and the only one it reads.
pub const SCHEMA_VERSION: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    pub schema_version: u32,
    /// The source's name, as in the configuration.
    pub source: String,
    pub captured_at: Timestamp,
    pub duration_ms: u64,
    pub walproof_version: String,
    pub server: Server,
    /// Absent when the role may not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archiver: Option<Archiver>,
    /// The largest of the databases' LSNs. Recovery that stops before the first record at or behind it has everything
    /// that the snapshots show.
    pub lsn: Lsn,
    /// Taken after every LSN. Whatever committed before `lsn` is below its xmax.
    pub second_snapshot: Snapshot,
    /// The recent transactions below the second snapshot's end that the source had not committed.
    #[serde(default)]
    pub uncommitted: Vec<u64>,
    /// Nothing committed between any database's snapshot and `lsn`: the copy must be equal.
    pub exact: bool,
    /// How often snapshots were taken until they were exact.
    pub attempts: u32,
    pub databases: Vec<DatabaseBaseline>,
    pub not_read: Vec<NotRead>,
    pub notes: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// A decimal number. Text, because JSON's numbers are too short for it.
    pub system_identifier: String,
    /// As `server_version_num`: 150020 for 15.20.
    pub version_number: u32,
    pub version: String,
    pub timeline: Timeline,
    pub segment_size: SegmentSize,
    /// A standby was asked.
    pub in_recovery: bool,
    /// The name of the role that initdb made (its oid is 10).
    pub superuser: String,
    pub archive_mode: String,
    /// Zero when the server never ends a segment for its age.
    pub archive_timeout_seconds: u64,
    pub data_checksums: bool,
    /// Tablespaces besides PostgreSQL's own two.
    #[serde(default)]
    pub tablespaces: Vec<TablespaceBaseline>,
    /// Roles that were there before the snapshot and after the LSN.
    #[serde(default)]
    pub roles: Vec<RoleBaseline>,
    /// What all databases share, read under the snapshot of the first one. Absent when that one could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Catalog>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleBaseline {
    pub name: String,
    pub oid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablespaceBaseline {
    pub name: String,
    pub oid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseBaseline {
    pub name: String,
    pub oid: u32,
    pub snapshot: Snapshot,
    pub lsn: Lsn,
    /// Tables that were read, the smallest first.
    pub tables: Vec<TableBaseline>,
    /// Absent when only some tables were selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_objects: Option<LargeObjectsBaseline>,
    #[serde(default)]
    pub sequences: Vec<SequenceBaseline>,
    /// Its schema, owners and grants. Absent when the database could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Catalog>,
    /// The version tables of migration tools.
    #[serde(default)]
    pub migrations: Vec<MigrationsBaseline>,
    /// Why there are none of some table, or of all, in a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub migrations_not_read: Vec<String>,
    /// Of the login roles that own tables.
    #[serde(default)]
    pub access: Vec<RoleAccess>,
    /// No transaction ran from before `sequences` and `access` were read until after the LSN: the copy must have
    /// reached the same values, and its roles must reach the same tables.
    #[serde(default)]
    pub is_settled: bool,
    /// To the user's own queries, under the snapshot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<AnswerBaseline>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableBaseline {
    pub schema: String,
    pub name: String,
    pub oid: u32,
    /// The file that holds the table; a new one after each rewrite.
    pub filenode: u32,
    /// Without the rows of tables that inherit from it.
    pub rows: u64,
    pub timestamps: Vec<TimestampBaseline>,
    /// Absent in a document that was written before there were fingerprints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentBaseline>,
}

/// What the rows of a table hold, without saying what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentBaseline {
    Fingerprint {
        /// A decimal number; see [`crate::fingerprint::OF_ROWS`].
        sum: String,
        /// Of the table; another one means another text. See [`crate::fingerprint::Shape`].
        shape: String,
    },
    /// Why there is none.
    NotRead(String),
}

/// The large objects of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LargeObjectsBaseline {
    Fingerprint {
        objects: u64,
        /// Rows of `pg_largeobject`.
        pages: u64,
        /// A decimal number; see [`crate::fingerprint::OF_LARGE_OBJECTS`].
        sum: String,
    },
    /// Why there is none.
    NotRead { reason: String, hint: Option<String> },
}

/// The bounds of a date or timestamp column, infinity left out. Both are absent when there is no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampBaseline {
    pub column: String,
    /// As PostgreSQL writes it with `DateStyle` ISO and time zone UTC.
    pub min: Option<String>,
    pub max: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceBaseline {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// Negative when it counts down.
    pub increment: i64,
    /// It begins again at its end, so its values have no order.
    pub cycle: bool,
    /// What the copy must have reached: the lesser of the values before the snapshot and after the LSN. Absent when it
    /// was not used, or was restarted meanwhile.
    pub last_value: Option<i64>,
    /// Absent when it feeds none, or one whose last value cannot be read cheaply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feeds: Option<FedColumn>,
}

/// The column that a sequence feeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FedColumn {
    /// The table's OID.
    pub table: u32,
    /// `pg_attribute.attnum`.
    pub column: i16,
    /// The source's sequence has yet to hand out a value that the column holds.
    pub is_behind: bool,
}

/// What the source answered to one of the user's own queries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerBaseline {
    pub name: String,
    pub sql: String,
    pub rows: u64,
    /// The sum of the rows' hashes, in decimal.
    pub fingerprint: String,
    /// The answer, where it is one number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Whether it was as expected, where that does not depend on another server's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satisfied: Option<bool>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What was selected and is not in the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRead {
    pub database: String,
    /// `schema.table`; absent when it is about the whole database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    pub reason: String,
    /// One thing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// True when no restore could bring it back, so that its absence says nothing.
    pub by_design: bool,
}

/// The document of a source that could not be read: it carries the reason to the drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCaptured {
    pub schema_version: u32,
    pub source: String,
    pub not_captured: Finding,
}

impl NotCaptured {
    pub fn new(source: &str, not_captured: Finding) -> Self {
        Self { schema_version: SCHEMA_VERSION, source: source.to_owned(), not_captured }
    }

    /// The document as text.
    pub fn json(&self) -> String {
        json::text(self)
    }

    /// Some when the file is such a document.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }
}

impl Baseline {
    /// Reads a document and refuses one of another version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let doing = || Error::new(format!("read the baseline {}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| doing().because(error))?;
        let version: Version = serde_json::from_str(&text).map_err(|error| doing().because(error))?;
        if version.schema_version != SCHEMA_VERSION {
            let found = version.schema_version;
            return Err(doing()
                .because(Reason(format!("its schema_version is {found}; this walproof reads {SCHEMA_VERSION}")))
                .hint("write it with `walproof baseline` of this version"));
        }
        serde_json::from_str(&text).map_err(|error| doing().because(error))
    }

    /// The document as text.
    pub fn json(&self) -> String {
        json::text(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(schema_version: u32) -> String {
        format!(
            r#"{{"schema_version": {schema_version}, "source": "s", "captured_at": "2026-01-02T03:04:05Z",
            "duration_ms": 1, "walproof_version": "0.1.0", "lsn": "0/3000028", "second_snapshot": "731:731:",
            "server": {{"system_identifier": "7500000000000000000", "version_number": 150020, "version": "15.20",
            "timeline": 1, "segment_size": 16777216, "in_recovery": false, "superuser": "postgres",
            "archive_mode": "on", "archive_timeout_seconds": 300, "data_checksums": true}},
            "exact": true, "attempts": 1, "databases": [{{"name": "d", "oid": 5, "snapshot": "731:731:",
            "lsn": "0/3000028", "tables": []}}], "not_read": [], "notes": [], "of_a_later_version": 1}}"#
        )
    }

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("baseline.json");
        std::fs::write(&path, document(2)).unwrap();
        let baseline = Baseline::read(&path).unwrap();
        std::fs::write(&path, baseline.json()).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline);
        assert_eq!(baseline.databases[0].snapshot.xmax, 731);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_document_of_another_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("baseline.json");
        std::fs::write(&path, document(1)).unwrap();
        let error = Baseline::read(&path).unwrap_err().render();
        assert!(error.contains("its schema_version is 1; this walproof reads 2"), "{error}");
    }
}

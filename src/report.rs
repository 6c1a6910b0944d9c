//! The report: evidence and verdict, written down. One document for people (text) and programs (JSON); fields are only
//! ever added.

pub mod html;
pub mod listing;
pub mod markdown;
pub mod strip;
pub mod text;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::inventory::Inventory;
use crate::archive::wal::{Lsn, Segment, Timeline};
use crate::cli;
use crate::finding::{Code, Finding};
use crate::json;
use crate::probe::content::ContentSummary;
use crate::probe::tables::TableResult;
use crate::sandbox::operator::evidence::SandboxEvidence;
use crate::verdict::{Subject, Verdict};
use strip::{BackupSummary, MissingWal, ReadSegment, WalRun};

/// Raised when a field changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;
/// A source may have 20,000 tables; those that did not pass are all kept, of the others this many.
pub const TABLES_KEPT: usize = 500;

/// What one run of `check` or `drill` found. Durations are milliseconds, sizes bytes, times RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema_version: u32,
    pub walproof_version: String,
    pub command: Subject,
    /// `20261121t124500z-a1b2c3`: when it began, and six random digits.
    pub run_id: String,
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `s3://bucket/path/server`.
    pub archive: String,
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    #[schemars(with = "String")]
    pub finished_at: Timestamp,
    pub verdict: Verdict,
    /// The required codes that were not proven; empty when the verdict is PASS.
    #[serde(default)]
    pub undecided: Vec<Code>,
    pub findings: Vec<Finding>,
    /// Absent when the archive could not be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventorySummary>,
    /// Only of a drill that came so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
    /// What the operator's sandbox looked like before it was torn down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxEvidence>,
    /// What could not be removed, by name.
    #[serde(default)]
    pub left_behind: Vec<String>,
}

/// What the listing showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InventorySummary {
    pub backups: u64,
    pub restorable_backups: u64,
    pub segments: u64,
    pub wal_bytes: u64,
    pub timelines: Vec<Timeline>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_segment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub newest_segment_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub newest_backup_at: Option<Timestamp>,
    /// As the listing shows it: *listed* is not *proven*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_window: Option<Window>,
    /// Segments whose head was read and verified.
    pub segments_read: u64,
    /// Requests to the object store.
    pub requests: u64,
    /// The newest base backups, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup_list: Vec<BackupSummary>,
    /// The newest unbroken runs of WAL: timelines upwards, each in the order of its segments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wal_runs: Vec<WalRun>,
    /// What is missing on the way from the oldest restorable base backup to the archive's end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<MissingWal>,
    /// Segments whose head was read and is sound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<ReadSegment>,
}

/// The recovery window of the newest timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    #[schemars(with = "String")]
    pub from: Timestamp,
    #[schemars(with = "String")]
    pub to: Timestamp,
    pub timeline: Timeline,
    pub oldest_backup: String,
    pub last_segment: String,
    /// The missing segments that end the window before the archive's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_by: Option<String>,
}

/// What a drill restored and measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Restore {
    /// `direct`: walproof's own restore; `operator`: CloudNativePG's. Each proves its own path alone.
    pub sandbox: String,
    /// Where this restore was not the one that a person would do by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<String>,
    pub backup: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub backup_ended_at: Option<Timestamp>,
    pub target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineSummary>,
    /// Where recovery stopped, in PostgreSQL's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_lsn: Option<Lsn>,
    /// The commit time of the last replayed transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_commit_at: Option<Timestamp>,
    pub segments_replayed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_segment_replayed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_segment_replayed: Option<String>,
    pub bytes_unpacked: u64,
    pub phases: Vec<Phase>,
    /// From the first byte of the download to the first accepted connection, in this sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_time_ms: Option<u64>,
    /// From the newest moment proven restorable to the end of the run: what would be lost now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point_exposure_ms: Option<u64>,
    /// How many tables were compared in all; `tables` holds some of those that passed and all others.
    pub tables_compared: u64,
    pub tables: Vec<TableResult>,
    /// How many rows were compared value by value, and how many were not; absent where nothing could be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentSummary>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineSummary {
    #[schemars(with = "String")]
    pub captured_at: Timestamp,
    pub lsn: Lsn,
    pub timeline: Timeline,
    pub exact: bool,
    pub databases: u64,
    pub tables: u64,
    pub rows: u64,
}

/// One step of a drill and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    pub name: String,
    pub duration_ms: u64,
}

impl InventorySummary {
    pub fn of(inventory: &Inventory, segments_read: u64, requests: u64) -> Self {
        let size = inventory.wal.segment_size;
        let newest = inventory.wal.newest_timeline().and_then(|timeline| inventory.wal.newest(timeline));
        let newest_backup = inventory.restorable().next_back();
        let window = newest.and_then(|(segment, _)| inventory.recovery_window(segment.timeline));
        Self {
            backups: inventory.backups.len() as u64,
            restorable_backups: inventory.restorable().count() as u64,
            segments: inventory.wal.segments(),
            wal_bytes: inventory.wal.bytes(),
            timelines: inventory.wal.timelines.keys().copied().collect(),
            newest_segment: newest.map(|(segment, _): (Segment, _)| segment.name(size)),
            newest_segment_at: newest.map(|(_, at)| at),
            newest_backup_at: newest_backup.map(|backup| backup.end_time().unwrap_or(backup.newest_object)),
            recovery_window: window.map(|window| Window {
                from: window.from,
                to: window.to,
                timeline: window.timeline,
                oldest_backup: window.backup,
                last_segment: window.last_segment.name(size),
                broken_by: window.broken_by.map(|gap| gap.text(size)),
            }),
            segments_read,
            requests,
            backup_list: strip::backups(inventory),
            wal_runs: strip::runs(inventory),
            gaps: strip::missing(inventory),
            read: Vec::new(),
        }
    }

    /// Says where the heads lie that were read.
    #[must_use]
    pub fn with_read(self, inventory: &Inventory, segments: &[Segment]) -> Self {
        Self { read: strip::read(inventory, segments), ..self }
    }
}

impl Report {
    /// `namespace/name`, or the name of a source outside of Kubernetes.
    pub fn source_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.source),
            None => self.source.clone(),
        }
    }

    /// The exit code of docs/exit-codes.md.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Pass if !self.left_behind.is_empty() => cli::EXIT_LEFT_BEHIND,
            Verdict::Pass => cli::EXIT_OK,
            Verdict::Fail => cli::EXIT_NOT_DONE,
            Verdict::Inconclusive if self.findings.iter().any(|finding| finding.code == Code::RunFailed) => {
                cli::EXIT_BUG
            }
            Verdict::Inconclusive => cli::EXIT_INCONCLUSIVE,
        }
    }

    pub fn json(&self) -> String {
        json::text(self)
    }

    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Report).into()
    }
}

//! The history: one line for each former run of a source, the reports that somebody still needs, and what is not
//! delivered yet. It is a document of its own, kept by a [`store::Store`].

pub mod bounds;
pub mod changes;
pub mod config_map;
pub mod directory;
pub mod document;
#[cfg(test)]
pub mod fixture;
pub mod store;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::Report;
use crate::verdict::{Subject, Verdict};

pub const SCHEMA_VERSION: u32 = 1;

/// Everything that is known of the former runs of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub schema_version: u32,
    /// The source's name, as in the configuration.
    #[serde(default)]
    pub source: String,
    /// Oldest first, drills and checks together.
    pub runs: Vec<PastRun>,
    /// By run id: the newest finished report of each command, and each that is not delivered yet.
    pub reports: BTreeMap<String, Report>,
    pub drills: Count,
    pub checks: Count,
    /// Reports that were given up undelivered, because there was no room for more.
    #[serde(default)]
    pub lost_reports: u64,
    /// What could not be read and was set aside as it was, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Value>,
}

/// How many runs of one command there ever were, those included that the history no longer lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub runs: u64,
    pub passed: u64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastRun {
    pub run_id: String,
    pub command: Subject,
    pub started_at: Timestamp,
    /// Who runs it, as long as it runs: `pod/<namespace>/<name>/<uid>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// By then it has ended, or was killed.
    pub ends_by: Timestamp,
    /// Absent as long as it runs, and for ever where it was killed until the next run closes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    pub finished_at: Timestamp,
    pub verdict: Verdict,
    /// What was proven or what broke, in one sentence.
    pub headline: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_time_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point_exposure_ms: Option<u64>,
    /// Of the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// What was unpacked; absent where the operator restored, which does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_bytes: Option<u64>,
    /// Rows of the baseline's largest tables by `database.schema.table`; only of young runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, u64>,
    /// The comment that tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment_url: Option<String>,
    /// Until then a run that is under way is telling, and others leave it to that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Timestamp>,
    /// Who has not been told of it yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undelivered: Vec<Channel>,
}

/// Somebody who is told of each run. A Pushgateway is not among them: what it has is replaced by the next run's push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Forgejo,
    Webhook,
}

/// Nothing happened yet.
impl Default for History {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            source: String::new(),
            runs: Vec::new(),
            reports: BTreeMap::new(),
            drills: Count::default(),
            checks: Count::default(),
            lost_reports: 0,
            damaged: Vec::new(),
        }
    }
}

impl History {
    pub fn of(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// Runs of one command that ended, newest first.
    pub fn ended(&self, command: Subject) -> impl Iterator<Item = (&PastRun, &Ending)> {
        let runs = self.runs.iter().rev().filter(move |run| run.command == command);
        runs.filter_map(|run| Some((run, run.ending.as_ref()?)))
    }

    /// The newest PASS of a command.
    pub fn last_success(&self, command: Subject) -> Option<(&PastRun, &Ending)> {
        self.ended(command).find(|(_, ending)| ending.verdict == Verdict::Pass)
    }

    /// The newest finished report of a command.
    pub fn latest_report(&self, command: Subject) -> Option<&Report> {
        self.ended(command).find_map(|(run, _)| self.reports.get(&run.run_id))
    }

    /// Rows by table of former drills that read a baseline, newest first.
    pub fn nights(&self) -> Vec<(Timestamp, &BTreeMap<String, u64>)> {
        let drills = self.ended(Subject::Drill).filter(|(_, ending)| !ending.tables.is_empty());
        drills.map(|(run, ending)| (run.started_at, &ending.tables)).collect()
    }

    pub fn count(&self, command: Subject) -> Count {
        match command {
            Subject::Drill => self.drills,
            Subject::Check => self.checks,
        }
    }
}

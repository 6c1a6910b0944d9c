//! Probes: each one comparison or test on the restored server. They know a connection and the baseline, nothing else.
//! All run; none stops the next.

pub mod access;
pub mod after_target;
pub mod catalog;
pub mod certificate;
pub mod content;
pub mod identity;
pub mod integrity;
pub mod isolation;
pub mod migrations;
pub mod objects;
pub mod queries;
pub mod recovery;
pub mod roles;
pub mod schema;
pub mod sequences;
pub mod tables;
pub mod version;
pub mod write;

use tokio_postgres::Client;

use crate::finding::{Code, Finding, Outcome};
use crate::report::text::count;
use crate::source::baseline::{Baseline, DatabaseBaseline};
use certificate::Certificate;

/// One database of the restored server beside its baseline. Recovery stopped at the baseline's LSN or behind it, and
/// none of the baseline's transactions is missing.
pub struct Compared<'a> {
    /// A connection to it as superuser, free to write, with the settings of [`crate::postgres::Session`].
    pub client: &'a Client,
    pub baseline: &'a Baseline,
    pub database: &'a DatabaseBaseline,
    /// When it is exact, nothing but the copy's own transactions can explain a difference.
    pub certificate: &'a Certificate,
    /// N: whatever this transaction or a later one wrote is the copy's own.
    pub next_xid: u64,
    /// Whether the operator used the copy before us.
    pub by_operator: bool,
    /// Everything that WAL says before the baseline's LSN was replayed. An idle source's archive may end before it.
    pub is_past_lsn: bool,
}

impl<'a> Compared<'a> {
    fn judging(&self, place: &'a str) -> catalog::Judging<'a> {
        catalog::Judging { place, committed: self.certificate.committed, by_operator: self.by_operator }
    }

    /// Nothing could change what no snapshot protects, from the baseline's reading of it to the stop of recovery: not a
    /// transaction that rolled back either.
    pub fn is_settled(&self) -> bool {
        self.database.is_settled
            && self.is_past_lsn
            && self.certificate.is_exact()
            && self.certificate.from == self.certificate.to
    }
}

/// What a probe found in one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How many things were compared or tested.
    pub compared: u64,
    /// What is worth saying beyond the sum: nothing of what passed.
    pub findings: Vec<Finding>,
}

impl Found {
    fn only(finding: Finding) -> Self {
        Self { compared: 0, findings: vec![finding] }
    }

    /// One probe's findings over all databases, summed up in a passed one where nothing failed and nothing stayed
    /// undecided. With nothing compared and nothing found it says so in a note.
    pub fn sum(code: Code, all: Vec<Self>, singular: &str, plural: &str) -> Vec<Finding> {
        let compared: u64 = all.iter().map(|found| found.compared).sum();
        let mut findings: Vec<Finding> = all.into_iter().flat_map(|found| found.findings).collect();
        let in_doubt = |finding: &Finding| match finding.outcome {
            Outcome::Failed | Outcome::NotChecked => finding.code == code,
            Outcome::Passed | Outcome::Note => false,
        };
        if findings.iter().any(in_doubt) {
            return findings;
        }
        let sum = if compared == 0 {
            Finding::note(code, format!("there are no {plural}"))
        } else {
            Finding::passed(code, count(compared, singular, plural))
        };
        findings.insert(0, sum);
        findings
    }
}

/// A probe that could not ask its question proves nothing either way.
pub(crate) fn not_asked(code: Code, error: &tokio_postgres::Error) -> Finding {
    Finding::not_checked(code, format!("the restored server could not be asked: {}", crate::postgres::reason(error)))
        .hint("run the drill with --keep and ask it by hand")
}

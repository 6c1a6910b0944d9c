//! What a drill has seen so far: findings and measurements. It outlives a body that fails half-way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::archive::inventory::Inventory;
use crate::finding::{Blame, Code, Finding};
use crate::plan::Plan;
use crate::probe::tables::{Comparison, TableResult};
use crate::report::text;
use crate::report::{BaselineSummary, InventorySummary, Phase, Restore, TABLES_KEPT};
use crate::sandbox::operator::evidence::SandboxEvidence;
use crate::source::baseline::Baseline;

#[derive(Debug, Default)]
pub struct Evidence {
    pub findings: Vec<Finding>,
    pub inventory: Option<InventorySummary>,
    pub restore: Option<Restore>,
    /// What the operator's sandbox looked like at the end.
    pub sandbox: Option<SandboxEvidence>,
    /// The newest moment that the restored server proves.
    pub proven_until: Option<Timestamp>,
    /// Of the baseline, by `database.schema.table`.
    pub rows: BTreeMap<String, u64>,
    /// Who may connect to a kept sandbox.
    pub superuser: String,
}

impl Evidence {
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Replaces the summary by that of a later listing.
    pub fn listed_again(&mut self, inventory: &Inventory, requests: u64) {
        let (count, read) =
            self.inventory.take().map_or((0, Vec::new()), |summary| (summary.segments_read, summary.read));
        self.inventory = Some(InventorySummary { read, ..InventorySummary::of(inventory, count, requests) });
    }

    pub fn phase(&mut self, name: &str, started: Instant) {
        let phase = Phase { name: name.to_owned(), duration_ms: milliseconds(started.elapsed()) };
        if let Some(restore) = &mut self.restore {
            restore.phases.push(phase);
        }
    }

    /// Keeps the results of the tables: all that did not pass, and some that did.
    pub fn tables(&mut self, results: Vec<TableResult>) {
        let Some(restore) = &mut self.restore else { return };
        let passed = |result: &TableResult| matches!(result.comparison, Comparison::Exact);
        restore.tables_compared =
            results.iter().filter(|result| result.comparison != Comparison::NotChecked).count() as u64;
        let (exact, other): (Vec<_>, Vec<_>) = results.into_iter().partition(passed);
        restore.tables = other;
        restore.tables.extend(exact.into_iter().take(TABLES_KEPT));
    }

    /// Compares the measurements with the objectives.
    pub fn finish(&mut self, plan: &Plan, finished_at: Timestamp) {
        let Some(restore) = &mut self.restore else { return };
        restore.recovery_point_exposure_ms =
            self.proven_until.and_then(|until| u64::try_from(finished_at.duration_since(until).as_millis()).ok());
        let objectives = [
            (
                Code::ObjectiveRecoveryTime,
                restore.recovery_time_ms,
                plan.objectives.recovery_time,
                "the restore took",
                "a newer base backup means less WAL to replay",
            ),
            (
                Code::ObjectiveRecoveryPoint,
                restore.recovery_point_exposure_ms,
                plan.objectives.recovery_point,
                "what would be lost now is",
                "lower archive_timeout on the source",
            ),
        ];
        for (code, measured, objective, what, hint) in objectives {
            let (Some(measured), Some(objective)) = (measured, objective) else { continue };
            let limit = milliseconds(objective);
            let finding = if measured <= limit {
                let summary = format!("{what} {}, {} at most", text::milliseconds(measured), text::milliseconds(limit));
                Finding::passed(code, summary)
            } else {
                Finding::failed(code, Blame::Source, format!("{what} more than the objective"))
                    .expected(format!("{} at most", text::milliseconds(limit)))
                    .observed(text::milliseconds(measured))
                    .hint(hint)
            };
            self.findings.push(finding);
        }
    }
}

/// Sums a baseline up for the report.
pub fn summary(baseline: &Baseline) -> BaselineSummary {
    let tables = || baseline.databases.iter().flat_map(|database| &database.tables);
    BaselineSummary {
        captured_at: baseline.captured_at,
        lsn: baseline.lsn,
        timeline: baseline.server.timeline,
        exact: baseline.exact,
        databases: baseline.databases.len() as u64,
        tables: tables().count() as u64,
        rows: tables().map(|table| table.rows).sum(),
    }
}

pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

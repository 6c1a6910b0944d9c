//! The restore of a drill, in either sandbox: from the choice to a server that has recovered.

mod direct;
pub mod operator;

use std::sync::Arc;

use super::evidence::{Evidence, summary};
use super::progress::Progress;
use super::prove::End;
use crate::archive::inventory::{Backup, Inventory};
use crate::archive::store::Store;
use crate::archive::wal::{Lsn, SegmentSize};
use crate::plan::{self, Plan};
use crate::probe::recovery::Touched;
use crate::report::Restore;
use crate::sandbox::Sandbox;
use crate::sandbox::direct::diagnose;
use crate::source::baseline::Baseline;
use crate::source::cluster::SourceCluster;
use crate::target::Choice;

/// What the running restored server is known by.
pub struct Recovered {
    pub client: tokio_postgres::Client,
    /// The system identifier in the restored `pg_control`.
    pub control: Option<u64>,
    /// The system identifier in backup.info.
    pub backup: Option<u64>,
    pub touched: Touched,
}

/// What is restored, from where, for which plan.
pub struct Task<'a> {
    pub plan: &'a Plan,
    pub store: &'a Store,
    /// Only of a source in Kubernetes.
    pub source: Option<&'a SourceCluster>,
    pub inventory: &'a Arc<Inventory>,
    pub baseline: Option<&'a Baseline>,
    pub choice: &'a Choice,
    pub progress: &'a Arc<Progress>,
}

/// Restores into `sandbox`, from which tear-down removes everything whatever happens here.
pub async fn restore(task: &Task<'_>, sandbox: &mut Sandbox, evidence: &mut Evidence) -> Result<Recovered, End> {
    match (sandbox, &task.plan.sandbox) {
        (Sandbox::Direct(sandbox), plan::Sandbox::Direct(plan)) => direct::restore(task, plan, sandbox, evidence).await,
        (Sandbox::Operator(sandbox), plan::Sandbox::Operator(plan)) => {
            operator::restore(task, plan, sandbox, evidence).await
        }
        _ => Err(End::Decided),
    }
}

/// The recovery's last complaint about a record, and the LSN from which WAL cannot be read.
pub fn unreadable(sandbox: &Sandbox, size: SegmentSize) -> Option<(String, Lsn)> {
    match sandbox {
        Sandbox::Direct(sandbox) => {
            let log = std::fs::read(sandbox.log()).unwrap_or_default();
            diagnose::invalid_record(&String::from_utf8_lossy(&log), size)
        }
        Sandbox::Operator(sandbox) => sandbox.invalid_record(),
    }
}

/// A restore that has just begun, for the report.
fn begun(kind: &str, backup: &Backup, task: &Task<'_>) -> Restore {
    Restore {
        sandbox: kind.to_owned(),
        deviations: Vec::new(),
        backup: backup.id.clone(),
        backup_ended_at: backup.end_time(),
        target: task.choice.stop.text(),
        baseline: task.baseline.map(summary),
        stopped: None,
        stop_lsn: None,
        last_commit_at: None,
        segments_replayed: 0,
        first_segment_replayed: None,
        last_segment_replayed: None,
        bytes_unpacked: 0,
        phases: Vec::new(),
        recovery_time_ms: None,
        recovery_point_exposure_ms: None,
        tables_compared: 0,
        tables: Vec::new(),
        content: None,
    }
}

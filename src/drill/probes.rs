//! The probes of a drill, in their order: first those that must see the server untouched.

use jiff::Timestamp;
use tokio_postgres::Client;

use super::compare::compare;
use super::evidence::Evidence;
use super::examine::examine;
use super::restore::{Recovered, Task, unreadable};
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::plan::Databases;
use crate::probe::identity::{self, SystemIdentifiers};
use crate::probe::recovery::Recovery;
use crate::probe::{after_target, certificate, isolation, not_asked, objects, recovery, version};
use crate::sandbox::Sandbox;
use crate::source::transactions;
use crate::target::Stop;

/// All probes; none stops the next. Those that write come last.
pub async fn probe(
    task: &Task<'_>,
    recovered: Recovered,
    sandbox: &Sandbox,
    archiving_failing: Option<&str>,
    evidence: &mut Evidence,
) {
    let client = recovered.client;
    // First of all: from here on the copy takes transaction ids of its own.
    let recovery = recovery::read(&client, recovered.touched).await;
    evidence.extend(isolation::probe(&client).await);
    evidence.add(identity::judge(&SystemIdentifiers {
        restored: recovered.control,
        backup: recovered.backup,
        baseline: task.baseline.and_then(|baseline| baseline.server.system_identifier.parse().ok()),
    }));
    match recovery {
        Ok(recovery) => {
            let stopped_well = judge_stop(task, &recovery, sandbox, evidence);
            beside_baseline(task, &client, &recovery, stopped_well, sandbox, archiving_failing, evidence).await;
        }
        Err(finding) => evidence.add(finding),
    }
    if let Stop::Time(target) = task.choice.stop {
        after(task, target, sandbox, evidence).await;
    }
    examine(task, &client, sandbox, evidence).await;
}

/// Whether a configured column holds something newer than the target.
async fn after(task: &Task<'_>, target: Timestamp, sandbox: &Sandbox, evidence: &mut Evidence) {
    let Databases::Named(databases) = &task.plan.databases else { return };
    let mut findings = Vec::new();
    for database in databases {
        if database.tables.iter().flatten().all(|table| table.timestamp.is_none()) {
            continue;
        }
        findings.extend(match sandbox.connect(&database.name).await {
            Ok(client) => after_target::probe(&client, database, target, Timestamp::now()).await,
            Err(error) => {
                let summary = format!("database {} could not be asked: {error}", database.name);
                vec![Finding::not_checked(Code::TableAfterTarget, summary).of(&database.name)]
            }
        });
    }
    evidence.extend(after_target::sum(findings, target));
}

/// Whether recovery stopped where it was told to.
fn judge_stop(task: &Task<'_>, recovery: &Recovery, sandbox: &Sandbox, evidence: &mut Evidence) -> bool {
    let size = task.inventory.wal.segment_size;
    let unreadable = unreadable(sandbox, size);
    let stop = recovery::judge(&recovery.stop, task.choice, task.baseline, size, unreadable.as_ref());
    let stop = match sandbox {
        Sandbox::Operator(sandbox) if task.choice.stop == Stop::EndOfArchive => {
            by_the_operator(stop, sandbox.log_is_whole())
        }
        _ => stop,
    };
    let stopped_well = stop.outcome == Outcome::Passed;
    evidence.add(stop);
    if let Some(restore) = &mut evidence.restore {
        restore.stopped = Some(format!(
            "{}, at LSN {} of timeline {}",
            recovery.stop.reason, recovery.stop.switch, recovery.stop.parent
        ));
        restore.stop_lsn = Some(recovery.stop.switch);
        restore.last_commit_at = recovery.last_commit;
    }
    evidence.proven_until = recovery.last_commit;
    stopped_well
}

/// What only a baseline can tell, where the copy has come as far as the baseline.
async fn beside_baseline(
    task: &Task<'_>,
    client: &Client,
    recovery: &Recovery,
    stopped_well: bool,
    sandbox: &Sandbox,
    archiving_failing: Option<&str>,
    evidence: &mut Evidence,
) {
    let Some(baseline) = task.baseline else {
        return evidence.add(Finding::not_checked(Code::TableRowCount, "there is no baseline to compare with"));
    };
    let choice = task.choice;
    let is_at_baseline = choice.stop == Stop::BeforeLsn(baseline.lsn);
    if recovery.stop.switch < baseline.lsn && !choice.short_of_baseline && !is_at_baseline {
        let summary = "recovery was to stop before the baseline, so their counts need not be equal";
        return evidence
            .add(Finding::not_checked(Code::TableRowCount, summary).hint("the target `baseline` compares exactly"));
    }
    evidence.add(version::probe(client, &baseline.server).await);
    evidence.add(objects::probe(client, baseline, is_at_baseline).await);
    // With the LSN reached every commit before it was replayed.
    let uncommitted = if choice.short_of_baseline {
        transactions::uncommitted(client, baseline.second_snapshot.xmax.min(recovery.next_xid)).await
    } else {
        Ok(Vec::new())
    };
    let missing = match recovery.next_xid_unknown.as_ref().filter(|_| choice.short_of_baseline) {
        // With the LSN reached nothing can be missing; here only the copy's first own transaction can tell.
        Some(reason) => {
            let summary = "which transactions belong to the copy itself is not known";
            Finding::not_checked(Code::RecoveryTransactionsMissing, summary)
                .observed(reason)
                .hint("pg_walinspect (PostgreSQL 15 on, package postgresql-contrib) tells; or use the direct sandbox")
        }
        None => match uncommitted {
            Ok(uncommitted) => {
                let commit_missing = certificate::commit_missing(baseline, &uncommitted);
                let Recovery { next_xid, stop, .. } = recovery;
                certificate::missing(baseline, *next_xid, commit_missing, stop.switch, archiving_failing)
            }
            Err(error) => not_asked(Code::RecoveryTransactionsMissing, &error),
        },
    };
    let nothing_missing = missing.outcome == Outcome::Passed;
    evidence.add(missing);
    if stopped_well && nothing_missing {
        evidence.proven_until = evidence.proven_until.max(Some(baseline.captured_at));
    }
    if !nothing_missing {
        return evidence.add(Finding::not_checked(
            Code::TableRowCount,
            "counts are not compared: transactions of the baseline are not in the copy",
        ));
    }
    compare(baseline, choice, recovery.next_xid, sandbox, task.plan, evidence).await;
}

/// Without a target, damage only shows in the log; and one attempt of the operator's may have been given a segment that
/// was not complete yet, so its complaint alone blames nobody.
fn by_the_operator(stop: Finding, log_is_whole: bool) -> Finding {
    match stop.outcome {
        Outcome::Passed if !log_is_whole => {
            Finding::not_checked(Code::RecoveryStop, "the recovery's log could not be read to its end")
                .observed(stop.summary)
                .hint("run the drill again; the target `baseline` does not depend on the log")
        }
        Outcome::Failed if stop.blame == Some(Blame::Backups) && stop.object.is_some() => {
            Finding { blame: Some(Blame::Unknown), ..stop }
        }
        _ => stop,
    }
}

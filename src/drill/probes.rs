//! The probes of a drill, in their order: first those that must see the server untouched.

use super::evidence::Evidence;
use super::restore::{Recovered, unreadable};
use crate::archive::inventory::Inventory;
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::postgres::ConnectError;
use crate::probe::identity::{self, SystemIdentifiers};
use crate::probe::tables::{self, Comparison};
use crate::probe::{certificate, isolation, objects, recovery};
use crate::sandbox::Sandbox;
use crate::source::baseline::Baseline;
use crate::target::{Choice, Stop};

/// All probes; none stops the next.
pub async fn probe(
    baseline: Option<&Baseline>,
    choice: &Choice,
    inventory: &Inventory,
    recovered: Recovered,
    sandbox: &Sandbox,
    archiving_failing: Option<&str>,
    evidence: &mut Evidence,
) {
    let client = recovered.client;
    // First of all: from here on the copy takes transaction ids of its own.
    let recovery = recovery::read(&client, recovered.touched).await;
    evidence.add(isolation::probe(&client).await);
    evidence.add(identity::judge(&SystemIdentifiers {
        restored: recovered.control,
        backup: recovered.backup,
        baseline: baseline.and_then(|baseline| baseline.server.system_identifier.parse().ok()),
    }));
    let recovery = match recovery {
        Ok(recovery) => recovery,
        Err(finding) => return evidence.add(finding),
    };
    let size = inventory.wal.segment_size;
    let unreadable = unreadable(sandbox, size);
    let stop = recovery::judge(&recovery.stop, choice, baseline, size, unreadable.as_ref());
    let stop = match sandbox {
        Sandbox::Operator(sandbox) if choice.stop == Stop::EndOfArchive => {
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
    let Some(baseline) = baseline else {
        return evidence.add(Finding::not_checked(Code::TableRowCount, "there is no baseline to compare with"));
    };
    if recovery.stop.switch < baseline.lsn && !choice.short_of_baseline && choice.stop != Stop::BeforeLsn(baseline.lsn)
    {
        let summary = "recovery was to stop before the baseline, so their counts need not be equal";
        return evidence
            .add(Finding::not_checked(Code::TableRowCount, summary).hint("the target `baseline` compares exactly"));
    }
    evidence.add(objects::probe(&client, baseline, choice.stop == Stop::BeforeLsn(baseline.lsn)).await);
    let missing = match recovery.next_xid_unknown.filter(|_| choice.short_of_baseline) {
        // With the LSN reached nothing can be missing; here only the copy's first own transaction can tell.
        Some(reason) => {
            let summary = "which transactions belong to the copy itself is not known";
            Finding::not_checked(Code::RecoveryTransactionsMissing, summary)
                .observed(reason)
                .hint("pg_walinspect (PostgreSQL 15 on, package postgresql-contrib) tells; or use the direct sandbox")
        }
        None => certificate::missing(baseline, recovery.next_xid, recovery.stop.switch, archiving_failing),
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
    compare(baseline, choice, recovery.next_xid, sandbox, evidence).await;
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

async fn compare(baseline: &Baseline, choice: &Choice, next_xid: u64, sandbox: &Sandbox, evidence: &mut Evidence) {
    let mut results = Vec::new();
    let mut certificates = Vec::new();
    let mut columns = 0;
    let mut troubles = Vec::new();
    let stop_at_baseline = Stop::BeforeLsn(baseline.lsn);
    for database in &baseline.databases {
        let client = match sandbox.connect(&database.name).await {
            Ok(client) => client,
            // One that was dropped by a transaction between snapshot and LSN is not lost.
            Err(error @ ConnectError::NoSuchDatabase(_)) if baseline.exact && choice.stop == stop_at_baseline => {
                troubles.push(
                    Finding::failed(
                        Code::TableRowCount,
                        Blame::Backups,
                        format!("database {} is not there", database.name),
                    )
                    .of(&database.name)
                    .expected(format!("a database with {} tables", database.tables.len()))
                    .observed(error.to_string())
                    .hint("the backup is not what the source held: make a new base backup, keep this one for analysis"),
                );
                continue;
            }
            Err(error) => {
                let summary = format!("database {} could not be asked: {error}", database.name);
                troubles.push(Finding::not_checked(Code::TableRowCount, summary).of(&database.name));
                continue;
            }
        };
        let certified = certificate::certify(&client, &database.snapshot, baseline, &choice.stop, next_xid).await;
        let certificate = match certified {
            Ok(certificate) => certificate,
            Err(finding) => {
                troubles.push(
                    Finding::not_checked(Code::TableRowCount, "the certificate could not be made").of(&database.name),
                );
                troubles.push(finding);
                continue;
            }
        };
        for table in &database.tables {
            let read = tables::read(&client, table, &certificate).await;
            let (result, findings) = tables::judge(&database.name, table, read, &certificate);
            if result.comparison != Comparison::NotChecked && result.rows_observed.is_some() {
                columns += table.timestamps.len() as u64;
            }
            results.push(result);
            troubles.extend(findings);
        }
        certificates.push((database.name.clone(), certificate));
    }
    evidence.add(certificate::describe(&certificates));
    let timestamps_failed = troubles.iter().any(|finding| finding.code == Code::TableTimestamps);
    evidence.extend(tables::sum(&results, columns, timestamps_failed));
    evidence.extend(troubles);
    evidence.tables(results);
}

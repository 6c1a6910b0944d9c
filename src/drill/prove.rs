//! The body of a drill: each line a step. It may stop anywhere; tear-down is the caller's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Options;
use super::await_archive::{self, Awaited, await_archive};
use super::evidence::{Evidence, milliseconds, summary};
use super::progress::Progress;
use crate::archive::inventory::{Backup, Depth, Inventory};
use crate::archive::store::Store;
use crate::check;
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::plan::{Plan, Requirement, Target, signed};
use crate::postgres::ConnectError;
use crate::probe::identity::{self, SystemIdentifiers};
use crate::probe::{certificate, isolation, recovery, tables};
use crate::report::text::count;
use crate::report::{InventorySummary, Restore};
use crate::sandbox::direct::server::{Arrival, Server, prepare};
use crate::sandbox::direct::settings::{ControlFile, settings};
use crate::sandbox::direct::spool::{self, Spool};
use crate::sandbox::direct::{Sandbox, base_backup, binaries, diagnose, unusable};
use crate::source::baseline::Baseline;
use crate::source::capture;
use crate::target::{self, Choice, Stop};

/// How often a gap that may still close is looked at.
const GAP_POLL: Duration = Duration::from_secs(1);
/// How often a baseline that a fail-over made void is read again.
const BASELINES: u32 = 3;

/// Why a drill ends before its last step.
#[derive(Debug)]
pub enum End {
    /// A finding that is among the evidence already makes the rest pointless.
    Decided,
    Because(Box<Finding>),
}

impl End {
    pub fn because(finding: Finding) -> Self {
        Self::Because(Box::new(finding))
    }
}

impl From<Box<Finding>> for End {
    fn from(finding: Box<Finding>) -> Self {
        Self::Because(finding)
    }
}

/// Gates, baseline, restore, probes.
pub async fn prove(
    plan: &Plan,
    store: &Store,
    options: &Options,
    sandbox: &mut Sandbox,
    evidence: &mut Evidence,
    progress: &Arc<Progress>,
) -> Result<(), End> {
    progress.enter("check the archive");
    let inventory = gates(plan, store, evidence).await?;

    progress.enter("read the baseline");
    let (inventory, baseline, awaited) = baseline(plan, store, options, inventory, evidence, progress).await?;

    let (inventory, choice) = choose_whole_way(plan, store, inventory, baseline.as_ref(), evidence).await?;

    evidence.listed_again(&inventory, store.requests());
    let inventory = Arc::new(inventory);
    let recovered = restore(plan, store, &inventory, baseline.as_ref(), &choice, sandbox, evidence, progress).await?;

    progress.enter("probe the restored server");
    let started = Instant::now();
    let archiving_failing = baseline
        .as_ref()
        .filter(|_| awaited)
        .and_then(|baseline| baseline.archiver.as_ref()?.is_failing(baseline.captured_at, plan.freshness.max_wal_age));
    probe(baseline.as_ref(), &choice, &inventory, recovered, sandbox, archiving_failing.as_deref(), evidence).await;
    evidence.phase("probes", started);
    Ok(())
}

/// Examines the archive; what makes a restore pointless ends the drill here.
async fn gates(plan: &Plan, store: &Store, evidence: &mut Evidence) -> Result<Inventory, End> {
    let examination = check::examine(plan, store, Depth::Full, Timestamp::now()).await;
    let freshness_required = plan.require.contains(&Requirement::Freshness);
    evidence.extend(examination.findings.into_iter().map(|finding| {
        // Whether WAL arrives in time is the check's question; a drill only proves what is there.
        let is_freshness = matches!(finding.code, Code::WalStale | Code::BackupStale | Code::SourceArchivingFailing);
        let is_trouble = finding.outcome == Outcome::Failed;
        if is_freshness && is_trouble && !freshness_required { finding.into_note() } else { finding }
    }));
    let inventory = examination.inventory.ok_or(End::Decided)?;
    evidence.inventory = Some(InventorySummary::of(&inventory, examination.sampled as u64, examination.requests));
    if inventory.is_empty() || inventory.restorable().next().is_none() {
        return Err(End::Decided);
    }
    Ok(inventory)
}

/// The baseline from its file or from the source, and an inventory that covers it. The flag says that the wait ended
/// short.
async fn baseline(
    plan: &Plan,
    store: &Store,
    options: &Options,
    inventory: Inventory,
    evidence: &mut Evidence,
    progress: &Arc<Progress>,
) -> Result<(Inventory, Option<Baseline>, bool), End> {
    let mut inventory = inventory;
    for attempt in 1..=BASELINES {
        let baseline = match &options.baseline {
            Some(file) => Some(Baseline::read(file).map_err(|error| {
                End::because(
                    Finding::failed(Code::BaselineNotCaptured, Blame::Baseline, "the baseline document cannot be used")
                        .observed(crate::error::chain(&error))
                        .hint("write it with `walproof baseline` of this version"),
                )
            })?),
            None if plan.connection.is_some() => Some(capture::capture(plan).await?),
            None => None,
        };
        let Some(baseline) = baseline else {
            if plan.target == Target::Baseline {
                return Err(End::because(
                    Finding::failed(
                        Code::BaselineNotCaptured,
                        Blame::Environment,
                        "there is no baseline to compare with",
                    )
                    .hint("configure `connection`, or give a document with --baseline"),
                ));
            }
            evidence.add(Finding::not_checked(Code::BaselineNotCaptured, "there is no baseline to compare with"));
            return Ok((inventory, None, false));
        };
        progress.enter("wait for the archive");
        match await_archive(plan, store, inventory, &baseline).await? {
            Awaited::Covered(covering) => {
                describe(&baseline, evidence);
                return Ok((covering, Some(baseline), false));
            }
            Awaited::Short(short, finding) => {
                describe(&baseline, evidence);
                evidence.add(finding);
                return Ok((short, Some(baseline), true));
            }
            Awaited::Void(finding) if options.baseline.is_some() || attempt == BASELINES => {
                return Err(End::because(finding));
            }
            Awaited::Void(finding) => evidence.add(finding.into_note()),
        }
        inventory = Inventory::take(store, Depth::Full, Timestamp::now())
            .await
            .map_err(|error| End::because(check::unreadable(store, &error)))?;
    }
    unreachable!("the last attempt returns")
}

/// Puts into words what the baseline is worth.
fn describe(baseline: &Baseline, evidence: &mut Evidence) {
    let sum = summary(baseline);
    evidence.add(Finding::passed(
        Code::BaselineNotCaptured,
        format!(
            "{} of {} at LSN {}",
            count(sum.tables, "table", "tables"),
            count(sum.databases, "database", "databases"),
            baseline.lsn
        ),
    ));
    evidence.add(if baseline.exact {
        Finding::passed(Code::BaselineInexact, "nothing committed while snapshot and LSN were taken")
    } else {
        Finding::note(Code::BaselineInexact, "transactions committed while snapshot and LSN were taken")
            .hint("their rows are told apart on the restored server")
    });
    evidence.extend(baseline.notes.iter().cloned());
    for not_read in &baseline.not_read {
        let object = match &not_read.table {
            Some(table) => format!("{}: {table}", not_read.database),
            None => not_read.database.clone(),
        };
        let summary = format!("{object} is not in the baseline: {}", not_read.reason);
        let mut finding = if not_read.by_design {
            Finding::note(Code::BaselineTableNotRead, summary)
        } else {
            Finding::not_checked(Code::BaselineTableNotRead, summary)
        };
        finding.hint.clone_from(&not_read.hint);
        evidence.add(finding.of(object));
    }
}

/// Chooses, and makes sure that no segment is missing on the way. One that replay needs and that two listings lack
/// fails the backups without a restore; one that may still arrive is waited for.
async fn choose_whole_way(
    plan: &Plan,
    store: &Store,
    mut inventory: Inventory,
    baseline: Option<&Baseline>,
    evidence: &mut Evidence,
) -> Result<(Inventory, Choice), End> {
    let unreadable = |error| End::because(check::unreadable(store, &error));
    let began = Instant::now();
    loop {
        let now = Timestamp::now();
        let choice = target::choose(&inventory, baseline, &plan.target, &plan.backup, now)?;
        let Some(gap) = target::gaps_on_the_way(&inventory, &choice).into_iter().next() else {
            return Ok((inventory, choice));
        };
        let size = inventory.wal.segment_size;
        let name = gap.first_segment().name(size);
        let is_known = |finding: &Finding| finding.blames_backups() && finding.summary.contains(&name);
        if evidence.findings.iter().any(is_known) {
            return Err(End::Decided);
        }
        let ended = inventory.backup(&choice.backup).and_then(Backup::end_time);
        let may_close = gap.may_close(now, signed(plan.freshness.max_wal_age), ended);
        let is_missing = check::still_missing(store, &inventory, &gap).await.map_err(unreadable)?;
        let way =
            format!("on the way from base backup {} to {}: {}", choice.backup, choice.stop.text(), gap.text(size));
        if is_missing && !may_close {
            return Err(End::because(
                Finding::failed(Code::WalGap, Blame::Backups, format!("WAL is missing {way}"))
                    .of(name)
                    .expected("every segment between the base backup and the target")
                    .observed(format!("{} missing in two listings", gap.text(size)))
                    .hint("make a new base backup now; then find out who removed it or why it was never archived"),
            ));
        }
        if began.elapsed() >= await_archive::limit(plan, baseline) {
            return Err(End::because(
                Finding::not_checked(Code::WalGap, format!("WAL has not arrived yet {way}"))
                    .of(name)
                    .hint("run the drill again; it is a gap when it does not arrive within `freshness.maxWalAge`"),
            ));
        }
        tokio::time::sleep(GAP_POLL).await;
        inventory = Inventory::take(store, Depth::Full, Timestamp::now()).await.map_err(unreadable)?;
    }
}

/// What the running restored server is known by.
struct Recovered {
    client: tokio_postgres::Client,
    control: Option<u64>,
    backup: Option<u64>,
}

#[expect(clippy::too_many_arguments, reason = "the inputs of a restore; a struct of them would have one use")]
async fn restore(
    plan: &Plan,
    store: &Store,
    inventory: &Arc<Inventory>,
    baseline: Option<&Baseline>,
    choice: &Choice,
    sandbox: &mut Sandbox,
    evidence: &mut Evidence,
    progress: &Arc<Progress>,
) -> Result<Recovered, End> {
    let size = inventory.wal.segment_size;
    let backup = inventory.backup(&choice.backup).ok_or(End::Decided)?;
    let Ok(info) = &backup.info else { return Err(End::Decided) };
    let (_, first, _) = backup.needed(size).ok_or(End::Decided)?;
    let superuser = baseline.map_or("postgres", |baseline| baseline.server.superuser.as_str()).to_owned();
    evidence.superuser.clone_from(&superuser);

    let wal_bytes = choice.last_segment.number.saturating_sub(first) * size.bytes();
    let room = sandbox.room(backup, wal_bytes, plan.sandbox.spool);
    let no_room = room.outcome == Outcome::Failed;
    evidence.add(room);
    let programs = binaries::find(plan.sandbox.binaries.as_deref(), info.major().unwrap_or(0))?;
    if no_room {
        return Err(End::Decided);
    }
    sandbox.create().map_err(|error| {
        End::because(
            unusable(format!("the sandbox {} could not be made: {error}", sandbox.root().display()))
                .hint("is `sandbox.direct.directory` writable?"),
        )
    })?;
    evidence.restore = Some(Restore {
        sandbox: "direct".to_owned(),
        backup: backup.id.clone(),
        backup_ended_at: backup.end_time(),
        target: choice.stop.text(),
        baseline: baseline.map(summary),
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
    });

    let began = Instant::now();
    progress.enter("download the base backup");
    let ahead = spool::way(inventory, &choice.history, first, choice.last_segment.number);
    let bytes = plan.sandbox.spool;
    let spool = Spool::start(store.clone(), Arc::clone(inventory), ahead, bytes, sandbox, Arc::clone(progress))
        .map_err(|error| {
            End::because(unusable(format!("the socket for restore_command could not be made: {error}")))
        })?;
    evidence.extend(base_backup::restore(store, backup, info, sandbox, progress).await?);
    evidence.phase("download", began);
    if let Some(restore) = &mut evidence.restore {
        restore.bytes_unpacked = progress.glance().bytes;
    }

    progress.enter("replay WAL");
    let replaying = Instant::now();
    prepare(sandbox, info)
        .map_err(|error| End::because(unusable(format!("the data directory could not be prepared: {error}"))))?;
    let control = ControlFile::read(&programs.controldata, &sandbox.data())?;
    let settings = settings(sandbox, &control, size, choice, info);
    let server = Server::start(&programs.postgres, sandbox, &settings, &superuser)
        .map_err(|error| End::because(unusable(format!("{} could not be started: {error}", programs.version))))?;
    let log = sandbox.log();
    sandbox.attach(server);
    let arrival = match sandbox.server() {
        Some(server) => server.arrival(&log).await,
        None => return Err(End::Decided),
    };
    evidence.phase("replay", replaying);
    let replayed = spool.stop().await;
    if let Some(restore) = &mut evidence.restore {
        restore.segments_replayed = replayed.segments;
        restore.first_segment_replayed = replayed.first.map(|segment| segment.name(size));
        restore.last_segment_replayed = replayed.last.map(|segment| segment.name(size));
    }
    match arrival {
        Arrival::Up(client) => {
            if let Some(restore) = &mut evidence.restore {
                restore.recovery_time_ms = Some(milliseconds(began.elapsed()));
            }
            evidence
                .add(Finding::passed(Code::ServerUp, format!("{} recovered and takes connections", programs.version)));
            Ok(Recovered { client, control: control.system_identifier(), backup: info.system_identifier })
        }
        Arrival::Exited(log) => Err(End::because(diagnose::exited(&log, &replayed, inventory, choice))),
        Arrival::Refused(reason) => Err(End::because(
            Finding::not_checked(Code::ServerUp, format!("the restored server refuses the connection: {reason}"))
                .hint(format!("is `{superuser}` a superuser of the source?")),
        )),
    }
}

/// All probes; none stops the next.
async fn probe(
    baseline: Option<&Baseline>,
    choice: &Choice,
    inventory: &Inventory,
    recovered: Recovered,
    sandbox: &mut Sandbox,
    archiving_failing: Option<&str>,
    evidence: &mut Evidence,
) {
    let client = recovered.client;
    // First of all: from here on the copy takes transaction ids of its own.
    let recovery = recovery::read(&client).await;
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
    let log = std::fs::read_to_string(sandbox.log()).unwrap_or_default();
    let unreadable = diagnose::invalid_record(&log, size);
    let stop = recovery::judge(&recovery.stop, choice, baseline, size, unreadable.as_ref());
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
    let missing = certificate::missing(baseline, recovery.next_xid, recovery.stop.switch, archiving_failing);
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

async fn compare(baseline: &Baseline, choice: &Choice, next_xid: u64, sandbox: &mut Sandbox, evidence: &mut Evidence) {
    let mut results = Vec::new();
    let mut certificates = Vec::new();
    let mut columns = 0;
    let mut troubles = Vec::new();
    for database in &baseline.databases {
        let Some(server) = sandbox.server() else { return };
        let client = match server.connect(&database.name).await {
            Ok(client) => client,
            Err(error @ ConnectError::NoSuchDatabase(_)) => {
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
            columns += table.timestamps.len() as u64;
            let read = tables::read(&client, table, &certificate).await;
            let (result, findings) = tables::judge(&database.name, table, read, &certificate);
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

//! The body of a drill: each line a step. It may stop anywhere; tear-down is the caller's.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Options;
use super::await_archive::{self, Awaited, await_archive};
use super::evidence::{Evidence, summary};
use super::probes::probe;
use super::progress::{Progress, Step};
use super::restore::{Task, restore};
use crate::archive::inventory::{Backup, Depth, Inventory};
use crate::archive::store::Store;
use crate::check;
use crate::error::chain;
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::plan::{self, OperatorSandbox, Plan, Requirement, Target, signed};
use crate::report::InventorySummary;
use crate::report::text::count;
use crate::sandbox::Sandbox;
use crate::sandbox::operator::app;
use crate::source::baseline::{Baseline, NotCaptured};
use crate::source::capture;
use crate::source::gates::{self, WriteAccess};
use crate::source::reach::Reach;
use crate::source::shrinkage::{self, Tonight};
use crate::target::{self, Choice};

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
    reach: &Reach,
    store: &Store,
    options: &Options,
    sandbox: &mut Sandbox,
    evidence: &mut Evidence,
    progress: &Arc<Progress>,
) -> Result<(), End> {
    progress.enter(Step::AskGates);
    gates_of_source(plan, reach, options, evidence).await?;

    progress.enter(Step::CheckArchive);
    let inventory = gates_of_archive(plan, store, evidence).await?;

    progress.enter(Step::ReadBaseline);
    let (inventory, baseline, is_short) = baseline(plan, store, options, inventory, evidence, progress).await?;

    if let Some(baseline) = &baseline {
        let other = check::branch::judge(&inventory, baseline.into());
        let is_known = evidence.findings.iter().any(|finding| finding.code == Code::WalOtherBranch);
        evidence.extend(other.filter(|_| !is_known));
        let window = evidence.inventory.as_ref().and_then(|inventory| inventory.recovery_window.as_ref());
        let tonight = Tonight::of(baseline);
        let former: Vec<_> = options.nights.iter().map(|(at, rows)| (*at, rows)).collect();
        let found = shrinkage::judge(&former, &tonight, window);
        evidence.extend(found);
        evidence.rows = tonight.rows;
    }

    let (inventory, choice) = choose_whole_way(plan, store, inventory, baseline.as_ref(), evidence).await?;

    evidence.listed_again(&inventory, store.requests());
    let inventory = Arc::new(inventory);
    let task = Task {
        plan,
        store,
        source: reach.source.as_ref(),
        inventory: &inventory,
        baseline: baseline.as_ref(),
        choice: &choice,
        progress,
    };
    let recovered = restore(&task, sandbox, evidence).await?;

    progress.enter(Step::Probe);
    let started = Instant::now();
    let archiving_failing = baseline
        .as_ref()
        .filter(|_| is_short)
        .and_then(|baseline| baseline.archiver.as_ref()?.is_failing(baseline.captured_at, plan.freshness.max_wal_age));
    probe(&task, recovered, sandbox, archiving_failing.as_deref(), evidence).await;
    evidence.phase("probes", started);
    if let (Sandbox::Operator(sandbox), Some(source)) = (sandbox, &reach.source)
        && let plan::Sandbox::Operator(OperatorSandbox { app: Some(app), .. }) = &plan.sandbox
    {
        progress.enter(Step::CheckApp);
        let started = Instant::now();
        evidence.add(app::check(sandbox, source, app).await);
        evidence.phase("app", started);
    }
    Ok(())
}

/// Asks the API server about the source and about us; what makes a restore pointless or unsafe ends the drill here.
async fn gates_of_source(plan: &Plan, reach: &Reach, options: &Options, evidence: &mut Evidence) -> Result<(), End> {
    let (Some(kubernetes), Some(source)) = (&reach.kubernetes, &reach.source) else { return Ok(()) };
    let sandbox = match &plan.sandbox {
        plan::Sandbox::Operator(sandbox) => Some(sandbox),
        plan::Sandbox::Direct(_) => None,
    };
    let writes = if options.accept_write_access { WriteAccess::Accepted } else { WriteAccess::Refused };
    let findings = gates::first(kubernetes, source, sandbox, writes, Timestamp::now()).await;
    let ends_here = findings.iter().any(gates::ends_drill);
    evidence.extend(findings);
    if ends_here { Err(End::Decided) } else { Ok(()) }
}

/// Examines the archive; what makes a restore pointless ends the drill here.
async fn gates_of_archive(plan: &Plan, store: &Store, evidence: &mut Evidence) -> Result<Inventory, End> {
    let examination = check::examine(plan, store, Depth::Full, Timestamp::now()).await;
    let freshness_required = plan.require.contains(&Requirement::Freshness);
    evidence.extend(examination.findings.into_iter().map(|finding| {
        // Whether WAL arrives in time is the check's question; a drill only proves what is there.
        let is_freshness = matches!(finding.code, Code::WalStale | Code::BackupStale | Code::SourceArchivingFailing);
        let is_trouble = finding.outcome == Outcome::Failed;
        if is_freshness && is_trouble && !freshness_required { finding.into_note() } else { finding }
    }));
    let inventory = examination.inventory.ok_or(End::Decided)?;
    evidence.inventory = Some(
        InventorySummary::of(&inventory, examination.sampled as u64, examination.requests)
            .with_read(&inventory, &examination.read),
    );
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
            Some(file) => Some(document(file, plan)?),
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
        progress.enter(Step::AwaitArchive);
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

/// The baseline document `file`, which must be of this source.
pub fn document(file: &Path, plan: &Plan) -> Result<Baseline, Box<Finding>> {
    let unusable = |observed: String| {
        Finding::failed(Code::BaselineNotCaptured, Blame::Baseline, "the baseline document cannot be used")
            .of(file.display().to_string())
            .observed(observed)
    };
    // Why the source could not be read is worth more than that the document holds no baseline.
    if let Some(NotCaptured { source, not_captured, .. }) = NotCaptured::read(file)
        && source == plan.source
    {
        return Err(Box::new(not_captured));
    }
    let baseline = Baseline::read(file)
        .map_err(|error| unusable(chain(&error)).hint("write it with `walproof baseline` of this version"))?;
    if baseline.source != plan.source {
        let finding = unusable(format!("it is a baseline of {}", baseline.source))
            .expected(format!("a baseline of {}", plan.source))
            .hint("name the right document with --baseline, or the right source with --source");
        return Err(Box::new(finding));
    }
    Ok(baseline)
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
    let mut seen = None;
    loop {
        let now = Timestamp::now();
        let choice = match target::choose(&inventory, baseline, &plan.target, &plan.backup, now) {
            Ok(choice) => choice,
            Err(finding) => {
                let is_known = |known: &Finding| known.code == finding.code && known.object == finding.object;
                let is_known = finding.blames_backups() && evidence.findings.iter().any(is_known);
                return Err(if is_known { End::Decided } else { End::Because(finding) });
            }
        };
        let Some(gap) = target::gaps_on_the_way(&inventory, &choice).into_iter().next() else {
            return Ok((inventory, choice));
        };
        let size = inventory.wal.segment_size;
        let name = gap.first_segment().name(size);
        let is_known = |finding: &Finding| {
            let objects = [Some(name.as_str()), Some(choice.backup.as_str())];
            let is_about_it = match finding.code {
                Code::WalGap | Code::WalMissingForBackup => objects.contains(&finding.object.as_deref()),
                _ => false,
            };
            finding.blames_backups() && is_about_it
        };
        if evidence.findings.iter().any(is_known) {
            return Err(End::Decided);
        }
        let ended = inventory.backup(&choice.backup).and_then(Backup::end_time);
        // With nothing behind it, a missing end may simply be unfinished; only the source can say that it is not.
        let archiver = baseline.and_then(|baseline| baseline.archiver.as_ref());
        let is_due = gap.after.is_some() || check::wal::source_has_finished(&gap, archiver, size);
        let may_close = !is_due || gap.may_close(now, signed(plan.freshness.max_wal_age), ended);
        let seen_twice = seen.replace((choice.backup.clone(), gap.first)) == Some((choice.backup.clone(), gap.first));
        let way =
            format!("on the way from base backup {} to {}: {}", choice.backup, choice.stop.text(), gap.text(size));
        if seen_twice && !may_close {
            return Err(End::because(
                Finding::failed(Code::WalGap, Blame::Backups, format!("WAL is missing {way}"))
                    .of(name)
                    .expected("every segment between the base backup and the target")
                    .observed(format!("{} missing in two listings", gap.text(size)))
                    .hint("make a new base backup now; then find out who removed it or why it was never archived"),
            ));
        }
        if seen_twice && began.elapsed() >= await_archive::limit(plan, baseline) {
            return Err(End::because(
                Finding::not_checked(Code::WalGap, format!("WAL has not arrived yet {way}"))
                    .of(name)
                    .hint("run the drill again; it is a gap when it does not arrive within `freshness.maxWalAge`"),
            ));
        }
        if seen_twice {
            tokio::time::sleep(GAP_POLL).await;
        }
        inventory = Inventory::take(store, Depth::Full, Timestamp::now()).await.map_err(unreadable)?;
    }
}

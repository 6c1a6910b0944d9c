//! One drill: gates, baseline, restore, probes, tear-down, report. Every step's failure is a finding; the verdict is
//! computed from the findings at the end.

pub mod await_archive;
pub mod compare;
pub mod evidence;
pub mod examine;
pub mod inside;
pub mod preview;
pub mod probes;
pub mod progress;
pub mod prove;
pub mod restore;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::finding::{Blame, Code, Finding};
use crate::plan::{self, OperatorSandbox, Plan, signed};
use crate::report::text::duration;
use crate::report::{Report, SCHEMA_VERSION};
use crate::run::Run;
use crate::sandbox::operator::names::Names;
use crate::sandbox::{self, KEPT_FOR, Sandbox, Swept, direct, operator};
use crate::source::cluster::SourceCluster;
use crate::source::reach::Reach;
use crate::verdict::{Subject, required, undecided, verdict};
use evidence::Evidence;
use progress::{Progress, Step};
use prove::{End, prove};

/// For sweep and tear-down beside the drill's own limit, until anybody may take its sandbox for a leftover.
const SWEEP_MARGIN: SignedDuration = SignedDuration::from_mins(20);
/// Leftovers that do not go must not keep the night's drill from running.
const SWEEP_LIMIT: Duration = Duration::from_mins(4);
/// However long a drill's limit is.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(31 * 24);

/// What the command line and the history add to the plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Read the baseline from this file instead of the source.
    pub baseline: Option<PathBuf>,
    /// Leave the sandbox for a person to look at.
    pub keep: bool,
    /// Go on although the identity could write to production.
    pub accept_write_access: bool,
    /// What this run's report says of former ones.
    pub of_former_runs: Vec<Finding>,
    /// What tonight's baseline is compared with, newest first: rows by table.
    pub nights: Vec<(Timestamp, BTreeMap<String, u64>)>,
}

/// What a drill came to.
#[derive(Debug, Clone)]
pub struct Drilled {
    pub report: Report,
    /// Rows of the baseline by `database.schema.table`; empty when none was read.
    pub rows: BTreeMap<String, u64>,
}

/// Runs one drill to its report. Nothing in here can end without tear-down: the body's result and even its panic are
/// values.
pub async fn run(
    plan: &Plan,
    reach: &Reach,
    options: &Options,
    run: &Run,
    progress: &Arc<Progress>,
    cancel: &CancellationToken,
) -> Drilled {
    let Run { id: run_id, started_at } = run.clone();
    let mut evidence = Evidence::default();
    let mut left_behind = Vec::new();
    evidence.extend(options.of_former_runs.iter().chain(&reach.findings).cloned());

    left_behind.extend(sweep_within_limit(plan, reach, cancel, started_at, &mut evidence).await);
    // Named before anything is made, so that tear-down depends on no answer.
    let mut sandbox = match name(plan, reach, options, &run_id, started_at) {
        Ok(sandbox) => sandbox,
        Err(finding) => {
            evidence.add(*finding);
            None
        }
    };
    if let (Some(sandbox), Some(store)) = (&mut sandbox, &reach.store) {
        // On the heap: it is the whole drill, and a thread's stack may be small.
        let body = Box::pin(prove(plan, reach, store, options, sandbox, &mut evidence, progress));
        let body = tokio::time::timeout(plan.limits.drill, AssertUnwindSafe(body).catch_unwind());
        let end = tokio::select! {
            end = body => Some(end),
            () = cancel.cancelled() => None,
        };
        match end {
            Some(Ok(Ok(Ok(()) | Err(End::Decided)))) => {}
            Some(Ok(Ok(Err(End::Because(finding))))) => evidence.add(*finding),
            Some(Ok(Err(panic))) => evidence.add(panicked(panic.as_ref())),
            Some(Err(_)) => evidence.add(
                Finding::not_checked(
                    Code::RunStopped,
                    format!("limits.drill ({}) passed", duration(signed(plan.limits.drill))),
                )
                .observed(doing(progress))
                .hint("give `limits.drill` more time, or a newer backup with less WAL to replay"),
            ),
            None => evidence.add(
                Finding::not_checked(Code::RunStopped, "the drill was stopped by a signal").observed(doing(progress)),
            ),
        }
    }
    progress.enter(Step::TearDown);
    if let Some(mut sandbox) = sandbox {
        // Even a failure of ours in here keeps neither tear-down nor report from happening.
        let seen = AssertUnwindSafe(sandbox.evidence()).catch_unwind().await;
        evidence.sandbox = seen.unwrap_or_default();
        if options.keep && sandbox.exists() {
            match sandbox.keep(&evidence.superuser, Timestamp::now()) {
                Ok(command) => {
                    evidence.add(Finding::note(Code::SandboxLeftBehind, "kept on request").observed(command));
                }
                Err(error) => left_behind.push(format!("the sandbox could not be kept: {error}")),
            }
        } else {
            let began = Instant::now();
            let torn_down = AssertUnwindSafe(sandbox.tear_down()).catch_unwind().await;
            left_behind.extend(torn_down.unwrap_or_else(|panic| {
                evidence.add(panicked(panic.as_ref()));
                vec![format!("what walproof-{run_id} made")]
            }));
            evidence.phase("tear-down", began);
        }
    }
    if !left_behind.is_empty() {
        evidence.add(
            Finding::failed(Code::SandboxLeftBehind, Blame::Environment, "something could not be removed")
                .observed(left_behind.join("; "))
                .hint("the next run's sweep tries again"),
        );
    }
    let finished_at = Timestamp::now();
    evidence.finish(plan, finished_at);
    let raised = required(plan, Subject::Drill);
    let rows = std::mem::take(&mut evidence.rows);
    let report = Report {
        schema_version: SCHEMA_VERSION,
        walproof_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: Subject::Drill,
        run_id,
        source: plan.source.clone(),
        namespace: plan.namespace.clone(),
        archive: reach.archive.clone(),
        started_at,
        finished_at,
        verdict: verdict(Subject::Drill, &evidence.findings, &raised),
        undecided: undecided(Subject::Drill, &evidence.findings, &raised),
        findings: evidence.findings,
        inventory: evidence.inventory,
        restore: evidence.restore,
        sandbox: evidence.sandbox,
        left_behind,
    };
    Drilled { report, rows }
}

/// Sweeps before the drill begins, and says what could not be removed.
async fn sweep_within_limit(
    plan: &Plan,
    reach: &Reach,
    cancel: &CancellationToken,
    now: Timestamp,
    evidence: &mut Evidence,
) -> Vec<String> {
    let sweeping = AssertUnwindSafe(sandbox::sweep(&plan.sandbox, reach.kubernetes.as_ref(), now)).catch_unwind();
    let swept = tokio::select! {
        swept = tokio::time::timeout(SWEEP_LIMIT, sweeping) => match swept {
            Ok(Ok(swept)) => swept,
            Ok(Err(panic)) => {
                evidence.add(panicked(panic.as_ref()));
                Vec::new()
            }
            Err(_) => vec![Swept::Left(format!("leftovers did not go within {}", duration(signed(SWEEP_LIMIT))))],
        },
        () = cancel.cancelled() => Vec::new(),
    };
    let mut left = Vec::new();
    for swept in swept {
        match swept {
            Swept::Removed(root) => evidence
                .add(Finding::note(Code::SandboxLeftBehind, "what a killed drill had left was removed").observed(root)),
            Swept::Left(reason) => left.push(reason),
        }
    }
    left
}

/// Names the sandbox; None where there is nothing to make it in.
fn name(
    plan: &Plan,
    reach: &Reach,
    options: &Options,
    run_id: &str,
    now: Timestamp,
) -> Result<Option<Sandbox>, Box<Finding>> {
    match (&plan.sandbox, &reach.kubernetes, &reach.source) {
        (plan::Sandbox::Direct(direct), ..) => Ok(Some(Sandbox::Direct(direct::Sandbox::new(direct, run_id)?))),
        (plan::Sandbox::Operator(sandbox), Some(kubernetes), Some(source)) => {
            let names = names(plan, sandbox, source, options, run_id, now);
            let sandbox = operator::Sandbox::new(kubernetes.clone(), names, options.keep);
            Ok(Some(Sandbox::Operator(Box::new(sandbox))))
        }
        (plan::Sandbox::Operator(_), ..) => Ok(None),
    }
}

/// What a run calls its objects in Kubernetes, and until when they are its own.
pub fn names(
    plan: &Plan,
    sandbox: &OperatorSandbox,
    source: &SourceCluster,
    options: &Options,
    run_id: &str,
    now: Timestamp,
) -> Names {
    let kept = if options.keep { KEPT_FOR } else { SignedDuration::ZERO };
    let expires = now + signed(plan.limits.drill).min(LONGEST_LIFE) + SWEEP_MARGIN + kept;
    Names::new(&sandbox.namespace, run_id, &format!("{}.{}", source.namespace, source.name), expires)
}

/// What a run that ends early was about to do, and what it saw last.
fn doing(progress: &Progress) -> String {
    let doing = format!("it was about to {}", progress.glance().step.text());
    match progress.seen() {
        seen if seen.is_empty() => doing,
        seen => format!("{doing}; last seen: {seen}"),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Finding {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Finding::not_checked(Code::RunFailed, "walproof itself failed")
        .observed(text.unwrap_or_else(|| "a panic without a message".to_owned()))
        .hint("this is a bug of walproof's; report it with this text")
}

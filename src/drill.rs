//! One drill: gates, baseline, restore, probes, tear-down, report. Every step's failure is a finding; the verdict is
//! computed from the findings at the end.

pub mod await_archive;
pub mod evidence;
pub mod preview;
pub mod probes;
pub mod progress;
pub mod prove;
pub mod restore;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::archive::store::Store;
use crate::finding::{Blame, Code, Finding};
use crate::plan::{Plan, signed};
use crate::report::text::duration;
use crate::report::{Report, SCHEMA_VERSION};
use crate::sandbox::direct::Sandbox;
use crate::sandbox::direct::sweep::{Swept, sweep};
use crate::verdict::{Subject, required, undecided, verdict};
use evidence::Evidence;
use progress::{Progress, Step};
use prove::{End, prove};

/// What the command line adds to the plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Read the baseline from this file instead of the source.
    pub baseline: Option<PathBuf>,
    /// Leave the sandbox for a person to look at.
    pub keep: bool,
}

/// Runs one drill to its report. Nothing in here can end without tear-down: the body's result and even its panic are
/// values.
pub async fn run(
    plan: &Plan,
    store: &Store,
    options: &Options,
    progress: &Arc<Progress>,
    cancel: &CancellationToken,
) -> Report {
    let started_at = Timestamp::now();
    let run_id = new_run_id(started_at);
    let mut evidence = Evidence::default();
    let mut left_behind = Vec::new();

    for swept in sweep(&plan.sandbox.directory, started_at) {
        match swept {
            Swept::Removed(root) => evidence
                .add(Finding::note(Code::SandboxLeftBehind, "what a killed drill had left was removed").observed(root)),
            Swept::Left(reason) => left_behind.push(reason),
        }
    }
    // Named before anything is made, so that tear-down depends on no answer.
    let mut sandbox = match Sandbox::new(&plan.sandbox, &run_id) {
        Ok(sandbox) => Some(sandbox),
        Err(finding) => {
            evidence.add(*finding);
            None
        }
    };
    if let Some(sandbox) = &mut sandbox {
        let body = prove(plan, store, options, sandbox, &mut evidence, progress);
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
                .observed(format!("it was about to {}", progress.glance().step.text()))
                .hint("give `limits.drill` more time, or a newer backup with less WAL to replay"),
            ),
            None => evidence.add(
                Finding::not_checked(Code::RunStopped, "the drill was stopped by a signal")
                    .observed(format!("it was about to {}", progress.glance().step.text())),
            ),
        }
    }
    progress.enter(Step::TearDown);
    if let Some(mut sandbox) = sandbox {
        if options.keep && sandbox.root().exists() {
            match sandbox.keep(&evidence.superuser, Timestamp::now()) {
                Ok(command) => {
                    evidence.add(Finding::note(Code::SandboxLeftBehind, "kept on request").observed(command));
                }
                Err(error) => left_behind.push(format!("the sandbox could not be kept: {error}")),
            }
        } else {
            left_behind.extend(sandbox.tear_down());
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
    Report {
        schema_version: SCHEMA_VERSION,
        walproof_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: Subject::Drill,
        run_id,
        source: plan.source.clone(),
        namespace: plan.namespace.clone(),
        archive: store.url(),
        started_at,
        finished_at,
        verdict: verdict(Subject::Drill, &evidence.findings, &raised),
        undecided: undecided(Subject::Drill, &evidence.findings, &raised),
        findings: evidence.findings,
        inventory: evidence.inventory,
        restore: evidence.restore,
        left_behind,
    }
}

/// A second and six random digits: unique among the drills of one machine, and a name for everything that one makes.
pub fn new_run_id(now: Timestamp) -> String {
    use std::hash::{BuildHasher, Hasher};
    // The standard library seeds each of these from the operating system's randomness.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish() & 0xFF_FFFF;
    format!("{}-{random:06x}", now.strftime("%Y%m%dt%H%M%Sz"))
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Finding {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Finding::not_checked(Code::RunFailed, "walproof itself failed")
        .observed(text.unwrap_or_else(|| "a panic without a message".to_owned()))
        .hint("this is a bug of walproof's; report it with this text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::direct::sweep::is_run_id;

    #[test]
    fn the_sweep_recognises_the_names_that_runs_give() {
        assert!(is_run_id(&new_run_id("2026-11-21T12:45:00Z".parse().unwrap())));
    }
}

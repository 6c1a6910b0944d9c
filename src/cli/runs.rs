//! The commands that run something: check, baseline, drill, sweep.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::arguments::{DepthArg, HistoryArgs, MetricsArgs, OutputArgs, OutputFormat, SourceArgs};
use super::{EXIT_OK, fail, not_done, print};
use crate::archive::inventory::Depth;
use crate::drill::progress::Progress;
use crate::drill::{self, Drilled, preview};
use crate::error::{Error, Reason, chain};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::Kubernetes;
use crate::plan::{Plan, Sandbox, Secrets};
use crate::publish::Publisher;
use crate::report::{Report, text};
use crate::run::Run;
use crate::sandbox::{self, Swept};
use crate::source::baseline::NotCaptured;
use crate::source::capture;
use crate::source::reach::Reach;
use crate::verdict::Subject;
use crate::{check, telemetry, whole_file};

pub async fn check(
    source: &SourceArgs,
    depth: DepthArg,
    asks_source: bool,
    history: &HistoryArgs,
    output: &OutputArgs,
    metrics: &MetricsArgs,
) -> Result<u8, Error> {
    let mut plan = source.plan_asking(asks_source)?;
    history.apply(&mut plan);
    let reach = Reach::of(&plan, source.impersonated()).await?;
    let depth = match depth {
        DepthArg::Freshness => Depth::Freshness,
        DepthArg::Full => Depth::Full,
    };
    let cancel = telemetry::cancel_on_signal().map_err(|error| Error::new("watch for signals").because(error))?;
    let run = Run::begin();
    let mut publisher = publisher(&plan, Subject::Check, &run, &reach, source, metrics).await;
    let report = check::run(&plan, &reach, depth, &run, &publisher.findings, &cancel).await;
    let delivered = deliver(&report, output);
    publisher.end(&report, &BTreeMap::new()).await;
    delivered
}

/// Prints what a drill would do and make.
pub async fn preview(source: &SourceArgs, baseline: Option<&Path>) -> Result<u8, Error> {
    let mut plan = source.plan(Secrets::OfArchive)?;
    if baseline.is_some() {
        plan.connection = None;
    }
    let reach = Reach::of(&plan, source.impersonated()).await?;
    let text = preview::preview(&plan, &reach, baseline).await;
    print(&text.map_err(|finding| not_done("plan the drill", &finding))?)?;
    Ok(EXIT_OK)
}

pub async fn drill(
    source: &SourceArgs,
    options: drill::Options,
    panic_at: Option<String>,
    history: &HistoryArgs,
    output: &OutputArgs,
    metrics: &MetricsArgs,
) -> Result<u8, Error> {
    let mut plan = source.plan_asking(options.baseline.is_none())?;
    history.apply(&mut plan);
    let reach = Reach::of(&plan, source.impersonated()).await?;
    let cancel = telemetry::cancel_on_signal().map_err(|error| Error::new("watch for signals").because(error))?;
    let run = Run::begin();
    let mut publisher = publisher(&plan, Subject::Drill, &run, &reach, source, metrics).await;
    let progress = Arc::new(Progress::panicking_at(panic_at));
    let shown = telemetry::show(&progress);
    let options = drill::Options { of_former_runs: publisher.findings.clone(), nights: publisher.nights(), ..options };
    let Drilled { report, rows } = drill::run(&plan, &reach, &options, &run, &progress, &cancel).await;
    drop(shown);
    // First of all, since everything behind it can take its time or fail.
    let delivered = deliver(&report, output);
    publisher.end(&report, &rows).await;
    delivered
}

/// Whom this run tells.
async fn publisher<'a>(
    plan: &'a Plan,
    command: Subject,
    run: &Run,
    reach: &Reach,
    source: &SourceArgs,
    metrics: &'a MetricsArgs,
) -> Publisher<'a> {
    let (kubernetes, impersonated) = (reach.kubernetes.as_ref(), source.impersonated());
    let file = metrics.metrics_file.as_ref();
    Publisher::begin(plan, command, run, &reach.archive, kubernetes, impersonated, file).await
}

/// Writes the report where it was asked for. A file that cannot be written loses nothing: stdout has it too.
fn deliver(report: &Report, output: &OutputArgs) -> Result<u8, Error> {
    let printed = match output.output {
        OutputFormat::Text => print(&text::render(report, std::io::stdout().is_terminal())),
        OutputFormat::Json => print(&report.json()),
    };
    if let Some(file) = &output.report_file
        && let Err(error) = whole_file::write(file, &report.json())
    {
        fail(&Error::new(format!("write the report to {}", file.display())).because(error), EXIT_OK);
    }
    printed.map(|()| report.exit_code())
}

/// Reads the source and writes the document.
pub async fn baseline(source: &SourceArgs, output_file: Option<&Path>, always_write: bool) -> Result<u8, Error> {
    let document = match source.plan(Secrets::OfConnection) {
        Ok(plan) => captured(&plan, always_write).await?,
        Err(error) if always_write => {
            // Where nothing but a secret is missing, the drill says so.
            let plan = source.plan(Secrets::LeaveUnread)?;
            tracing::error!("{}", error.render());
            let finding =
                Finding::failed(Code::BaselineNotCaptured, Blame::Environment, "a secret of the source is missing");
            let finding = finding.observed(chain(&error)).hint("do the Secret and its key exist where the job runs?");
            NotCaptured::new(&plan.source, finding).json()
        }
        Err(error) => return Err(error),
    };
    match output_file {
        Some(file) => whole_file::write(file, &document)
            .map_err(|error| Error::new(format!("write the baseline {}", file.display())).because(error))?,
        None => print(&document)?,
    }
    Ok(EXIT_OK)
}

/// The document: a baseline, or why there is none.
async fn captured(plan: &Plan, always_write: bool) -> Result<String, Error> {
    match capture::capture(plan).await {
        Ok(baseline) => Ok(baseline.json()),
        Err(finding) if always_write => {
            tracing::error!("{}", not_done("read the baseline", &finding).render());
            Ok(NotCaptured::new(&plan.source, *finding).json())
        }
        Err(finding) => Err(not_done("read the baseline", &finding)),
    }
}

pub async fn sweep(source: &SourceArgs) -> Result<u8, Error> {
    let plan: Plan = source.plan(Secrets::LeaveUnread)?;
    let (place, kubernetes) = match &plan.sandbox {
        Sandbox::Direct(direct) => (direct.directory.display().to_string(), None),
        Sandbox::Operator(operator) => {
            let place = format!("the namespace {}", operator.namespace);
            let kubernetes = Kubernetes::connect(source.impersonated()).await;
            let kubernetes = kubernetes.map_err(|error| Error::new(format!("sweep {place}")).because(error))?;
            (place, Some(kubernetes))
        }
    };
    let swept = sandbox::sweep(&plan.sandbox, kubernetes.as_ref(), Timestamp::now()).await;
    if swept.is_empty() {
        print(&format!("nothing to sweep in {place}\n"))?;
    }
    let mut left = Vec::new();
    for one in swept {
        match one {
            Swept::Removed(root) => print(&format!("removed {root}\n"))?,
            Swept::Left(reason) => left.push(reason),
        }
    }
    if left.is_empty() {
        return Ok(EXIT_OK);
    }
    Err(Error::new(format!("sweep {place}")).because(Reason(left.join("; "))))
}

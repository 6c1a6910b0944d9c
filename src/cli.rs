//! The command line: what is asked, where the answer goes, and the exit codes.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::archive::inventory::Depth;
use crate::config::Config;
use crate::drill::progress::Progress;
use crate::drill::{self, preview};
use crate::error::{Error, Reason};
use crate::kubernetes::Kubernetes;
use crate::plan::{Plan, Sandbox, Secrets};
use crate::report::{Report, text};
use crate::sandbox::{self, Swept};
use crate::source::baseline::NotCaptured;
use crate::source::capture;
use crate::source::reach::Reach;
use crate::telemetry::{self, LogFormat};
use crate::{check, finding::Finding, json, whole_file};

/// The exit codes of docs/exit-codes.md.
pub const EXIT_OK: u8 = 0;
pub const EXIT_NOT_DONE: u8 = 1;
pub const EXIT_INCONCLUSIVE: u8 = 2;
pub const EXIT_LEFT_BEHIND: u8 = 3;
pub const EXIT_USAGE: u8 = 64;
pub const EXIT_BUG: u8 = 70;

const EXAMPLES: &str = "\
Examples:
  walproof check --config walproof.yaml                 is WAL arriving, unbroken?
  walproof baseline --config walproof.yaml > tonight.json
  walproof drill --config walproof.yaml                 restore, compare, say PASS or FAIL
  walproof drill --config walproof.yaml --plan          say what a drill would do
  walproof drill --config walproof.yaml --output json | jq .verdict

Exit codes of check and drill:
  0 PASS   1 FAIL: the backups are at fault   2 INCONCLUSIVE: could not find out
  3 PASS, but something was left behind   64 wrong usage or configuration   70 a bug";

/// Proves that a PostgreSQL database comes back from its barman-cloud archive.
#[derive(Debug, Parser)]
#[command(name = "walproof", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines on stderr look.
    #[arg(long, global = true, value_enum, default_value = "plain", env = "WALPROOF_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Is WAL arriving, unbroken, and is there a base backup to start from?
    Check {
        #[command(flatten)]
        source: SourceArgs,
        /// How much of the archive is listed.
        #[arg(long, value_enum, default_value = "full")]
        depth: DepthArg,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Read the source, read-only, and write the baseline document.
    Baseline {
        #[command(flatten)]
        source: SourceArgs,
        /// Write the document here instead of stdout.
        #[arg(long, value_name = "FILE")]
        output_file: Option<PathBuf>,
        /// When the source cannot be read, write why into the document and succeed: the drill that is given it says so.
        #[arg(long)]
        always_write: bool,
    },
    /// Restore into a sandbox, compare with the baseline, tear down, and say PASS or FAIL.
    Drill {
        #[command(flatten)]
        source: SourceArgs,
        /// Compare with this baseline document instead of reading the source.
        #[arg(long, value_name = "FILE")]
        baseline: Option<PathBuf>,
        /// Print what the drill would do and make, and do nothing.
        #[arg(long)]
        plan: bool,
        /// Keep the sandbox for a day and print how to connect to it.
        #[arg(long)]
        keep: bool,
        /// Go on although this identity could write to production in Kubernetes. Only outside of the cluster, and the
        /// report says so; `--as` the drill's ServiceAccount is better.
        #[arg(long)]
        accept_write_access: bool,
        /// Fault injection for tests: fail with a panic when this step is entered.
        #[arg(long, hide = true, value_name = "STEP", env = "WALPROOF_PANIC_AT", hide_env = true)]
        panic_at: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Remove what killed drills left behind.
    Sweep {
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Check a configuration file, or print its JSON schema.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report every mistake in FILE at once. Needs no network and reads no secret.
    Check { file: PathBuf },
    /// Print the JSON schema of the configuration file.
    Schema,
}

#[derive(Debug, Args)]
struct SourceArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "WALPROOF_CONFIG")]
    config: PathBuf,
    /// Which of its sources; may be left out when there is one.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Act as this user in Kubernetes: system:serviceaccount:NAMESPACE:NAME.
    #[arg(long = "as", value_name = "USER")]
    impersonated: Option<String>,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// The form of the report on stdout.
    #[arg(long, value_enum, default_value = "text")]
    output: OutputFormat,
    /// Write the JSON report here too.
    #[arg(long, value_name = "FILE")]
    report_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DepthArg {
    /// A handful of requests whatever the archive's size: does WAL still arrive?
    Freshness,
    /// One pass over all keys: gaps too.
    Full,
}

/// Runs the command line to its exit code. Errors are printed here, once.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { EXIT_OK };
        }
    };
    telemetry::init(cli.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Error::new("start the runtime").because(error), EXIT_BUG),
    };
    // Without a report nothing is known, and 1 would say that the backups are at fault.
    let not_done = match &cli.command {
        Command::Check { .. } | Command::Drill { plan: false, .. } => EXIT_INCONCLUSIVE,
        _ => EXIT_NOT_DONE,
    };
    let result = runtime.block_on(run(cli.command));
    // A thread that still unpacks into a removed directory is not waited for.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| fail(&error, not_done))
}

fn fail(error: &Error, not_done: u8) -> u8 {
    let _ = writeln!(std::io::stderr(), "{}", error.render());
    if error.is_usage() { EXIT_USAGE } else { not_done }
}

async fn run(command: Command) -> Result<u8, Error> {
    match command {
        Command::Check { source, depth, output } => {
            let plan = source.plan(Secrets::Read)?;
            let reach = Reach::of(&plan, source.impersonated()).await?;
            let depth = match depth {
                DepthArg::Freshness => Depth::Freshness,
                DepthArg::Full => Depth::Full,
            };
            output.deliver(&check::run(&plan, &reach, depth).await)
        }
        Command::Baseline { source, output_file, always_write } => {
            let plan = source.plan(Secrets::OfConnection)?;
            let document = match capture::capture(&plan).await {
                Ok(baseline) => baseline.json(),
                Err(finding) if always_write => {
                    tracing::error!("{}", not_done("read the baseline", &finding).render());
                    NotCaptured::new(&plan.source, *finding).json()
                }
                Err(finding) => return Err(not_done("read the baseline", &finding)),
            };
            match output_file {
                Some(file) => whole_file::write(&file, &document)
                    .map_err(|error| Error::new(format!("write the baseline {}", file.display())).because(error))?,
                None => print(&document)?,
            }
            Ok(EXIT_OK)
        }
        Command::Drill { source, baseline, plan: true, .. } => {
            let plan = source.plan_of_drill(baseline.as_deref())?;
            let reach = Reach::of(&plan, source.impersonated()).await?;
            let text = preview::preview(&plan, &reach, baseline.as_deref()).await;
            print(&text.map_err(|finding| not_done("plan the drill", &finding))?)?;
            Ok(EXIT_OK)
        }
        Command::Drill { source, baseline, plan: false, keep, accept_write_access, panic_at, output } => {
            let plan = source.plan_of_drill(baseline.as_deref())?;
            let reach = Reach::of(&plan, source.impersonated()).await?;
            let cancel =
                telemetry::cancel_on_signal().map_err(|error| Error::new("watch for signals").because(error))?;
            let progress = Arc::new(Progress::panicking_at(panic_at));
            let shown = telemetry::show(&progress);
            let options = drill::Options { baseline, keep, accept_write_access };
            let report = drill::run(&plan, &reach, &options, &progress, &cancel).await;
            drop(shown);
            output.deliver(&report)
        }
        Command::Sweep { source } => {
            let plan = source.plan(Secrets::LeaveUnread)?;
            sweep_now(&plan, source.impersonated()).await
        }
        Command::Config { command: ConfigCommand::Schema } => {
            print(&json::text(&Config::schema()))?;
            Ok(EXIT_OK)
        }
        Command::Config { command: ConfigCommand::Check { file } } => {
            let config = Config::read(&file)?;
            let plans = Plan::all(&config, Secrets::LeaveUnread).map_err(|mistakes| wrong(&file, mistakes))?;
            let names: Vec<&str> = plans.iter().map(|plan| plan.source.as_str()).collect();
            print(&format!("{}: no mistakes; sources: {}\n", file.display(), names.join(", ")))?;
            Ok(EXIT_OK)
        }
    }
}

async fn sweep_now(plan: &Plan, impersonated: Option<&str>) -> Result<u8, Error> {
    let (place, kubernetes) = match &plan.sandbox {
        Sandbox::Direct(direct) => (direct.directory.display().to_string(), None),
        Sandbox::Operator(operator) => {
            let place = format!("the namespace {}", operator.namespace);
            let kubernetes = Kubernetes::connect(impersonated).await;
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

impl SourceArgs {
    fn impersonated(&self) -> Option<&str> {
        self.impersonated.as_deref()
    }

    fn plan(&self, secrets: Secrets) -> Result<Plan, Error> {
        let config = Config::read(&self.config)?;
        Plan::for_source(&config, self.source.as_deref(), secrets).map_err(|mistakes| wrong(&self.config, mistakes))
    }

    /// A drill that is given its baseline does not ask the source, and needs no secret of its.
    fn plan_of_drill(&self, baseline: Option<&Path>) -> Result<Plan, Error> {
        match baseline {
            None => self.plan(Secrets::Read),
            Some(_) => Ok(Plan { connection: None, ..self.plan(Secrets::OfArchive)? }),
        }
    }
}

fn wrong(file: &Path, mistakes: crate::config::mistakes::Mistakes) -> Error {
    Error::usage(format!("use the configuration {}", file.display()))
        .because(mistakes)
        .hint("docs/configuration.md describes every key; `walproof config check` finds mistakes without a network")
}

impl OutputArgs {
    /// Writes the report where it was asked for. A file that cannot be written loses nothing: stdout has it too.
    fn deliver(&self, report: &Report) -> Result<u8, Error> {
        match self.output {
            OutputFormat::Text => print(&text::render(report, std::io::stdout().is_terminal()))?,
            OutputFormat::Json => print(&report.json())?,
        }
        if let Some(file) = &self.report_file
            && let Err(error) = whole_file::write(file, &report.json())
        {
            fail(&Error::new(format!("write the report to {}", file.display())).because(error), EXIT_OK);
        }
        Ok(report.exit_code())
    }
}

fn not_done(doing: &str, finding: &Finding) -> Error {
    let mut reason = text::printable(&finding.summary);
    if let Some(observed) = &finding.observed {
        reason.push_str(": ");
        reason.push_str(&text::printable(observed));
    }
    let error = Error::new(doing).because(Reason(reason));
    match &finding.hint {
        Some(hint) => error.hint(text::printable(hint)),
        None => error,
    }
}

/// A reader that went away, as `head` does, is no error.
fn print(text: &str) -> Result<(), Error> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new("write to stdout").because(error))
        }
        _ => Ok(()),
    }
}

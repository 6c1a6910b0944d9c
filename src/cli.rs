//! The command line: what is asked, where the answer goes, and the exit codes.

mod arguments;
mod pages;
mod runs;

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use clap::Parser;

use self::arguments::{Command, ConfigCommand};
use crate::config::Config;
use crate::config::mistakes::Mistakes;
use crate::drill;
use crate::error::{Error, Reason};
use crate::finding::Finding;
use crate::json;
use crate::plan::{Plan, Secrets};
use crate::report::text;
use crate::telemetry::{self, LogFormat};

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
  walproof report --config walproof.yaml --html report.html
  walproof gate --config walproof.yaml --max-age 26h

Exit codes of check and drill:
  0 PASS   1 FAIL: the backups are at fault   2 INCONCLUSIVE: could not find out
  3 PASS, but something was left behind   64 wrong usage or configuration   70 a bug";

/// With the commit, where whoever built it said which.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("WALPROOF_COMMIT").filter(|commit| !commit.is_empty());
    commit.map_or_else(
        || env!("CARGO_PKG_VERSION").to_owned(),
        |commit| format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    )
});

/// Proves that a PostgreSQL database comes back from its barman-cloud archive.
#[derive(Debug, Parser)]
#[command(name = "walproof", version = VERSION.as_str(), after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines on stderr look.
    #[arg(long, global = true, value_enum, default_value = "plain", env = "WALPROOF_LOG_FORMAT")]
    log_format: LogFormat,
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
        Command::Check { source, depth, without_source, history, output, metrics } => {
            runs::check(&source, depth, !without_source, &history, &output, &metrics).await
        }
        Command::Baseline { source, output_file, always_write } => {
            runs::baseline(&source, output_file.as_deref(), always_write).await
        }
        Command::Drill { source, baseline, plan: true, .. } => runs::preview(&source, baseline.as_deref()).await,
        Command::Drill {
            source,
            baseline,
            keep,
            accept_write_access,
            panic_at,
            history,
            output,
            metrics,
            plan: false,
        } => {
            let options = drill::Options { baseline, keep, accept_write_access, ..drill::Options::default() };
            runs::drill(&source, options, panic_at, &history, &output, &metrics).await
        }
        Command::Sweep { source } => runs::sweep(&source).await,
        Command::Gate { source, max_age, history } => pages::gate(&source, max_age, &history).await,
        Command::Report { source, history, command, from, html, markdown, output } => {
            let wanted = pages::Wanted { command, from, html, markdown, output };
            pages::report(&source, &history, &wanted).await
        }
        Command::Forget { source } => pages::forget(&source).await,
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

fn wrong(file: &Path, mistakes: Mistakes) -> Error {
    Error::usage(format!("use the configuration {}", file.display()))
        .because(mistakes)
        .hint("docs/configuration.md describes every key; `walproof config check` finds mistakes without a network")
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

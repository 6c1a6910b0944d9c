//! What can be asked on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::wrong;
use crate::config::Config;
use crate::config::units::Period;
use crate::error::{Error, Reason};
use crate::plan::{History, Plan, Secrets};
use crate::publish::metrics::MetricsFile;
use crate::report::text::count;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Is WAL arriving, unbroken, and is there a base backup to start from?
    Check {
        #[command(flatten)]
        source: SourceArgs,
        /// How much of the archive is listed.
        #[arg(long, value_enum, default_value = "full")]
        depth: DepthArg,
        /// Do not ask the source's database, which the configuration's `connection` names: this identity has no way in.
        #[arg(long)]
        without_source: bool,
        #[command(flatten)]
        history: HistoryArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        metrics: MetricsArgs,
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
        history: HistoryArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        metrics: MetricsArgs,
    },
    /// Remove what killed drills left behind.
    Sweep {
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Succeed only if a drill of this source passed recently: for a pipeline, before it dares something.
    Gate {
        #[command(flatten)]
        source: SourceArgs,
        /// How long ago that drill may have begun: 26h, 2d.
        #[arg(long, value_name = "AGE")]
        max_age: Period,
        #[command(flatten)]
        history: HistoryArgs,
    },
    /// Show when a restore last worked, and the newest report as a page.
    Report {
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        history: HistoryArgs,
        /// Whose newest report.
        #[arg(long, value_enum, default_value = "drill")]
        command: SubjectArg,
        /// A JSON report to show instead of the history's newest.
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Write the report here as one self-contained page.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Write the report here as the note that auditors ask for, in Markdown.
        #[arg(long, value_name = "FILE")]
        markdown: Option<PathBuf>,
        /// The form of what is on stdout: the history, or the newest report.
        #[arg(long, value_enum, default_value = "text")]
        output: OutputFormat,
    },
    /// Remove a source's metrics from the Pushgateway: what is pushed stays there for ever.
    Forget {
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
pub enum ConfigCommand {
    /// Report every mistake in FILE at once. Needs no network and reads no secret.
    Check { file: PathBuf },
    /// Print the JSON schema of the configuration file.
    Schema,
}

#[derive(Debug, Args)]
pub struct SourceArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "WALPROOF_CONFIG")]
    pub config: PathBuf,
    /// Which of its sources; may be left out when there is one.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Which of its sources, counted from 0, where --source names none: in an Indexed Job of Kubernetes each pod has one.
    #[arg(long, value_name = "NUMBER", env = "JOB_COMPLETION_INDEX")]
    pub source_index: Option<usize>,
    /// Act as this user in Kubernetes: system:serviceaccount:NAMESPACE:NAME.
    #[arg(long = "as", value_name = "USER")]
    pub impersonated: Option<String>,
}

#[derive(Debug, Args)]
pub struct OutputArgs {
    /// The form of the report on stdout.
    #[arg(long, value_enum, default_value = "text")]
    pub output: OutputFormat,
    /// Write the JSON report here too.
    #[arg(long, value_name = "FILE")]
    pub report_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DepthArg {
    /// A handful of requests whatever the archive's size: does WAL still arrive?
    Freshness,
    /// One pass over all keys: gaps too.
    Full,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Keep the history in this directory, whatever the configuration's `history` says.
    #[arg(long, value_name = "DIRECTORY", env = "WALPROOF_STATE")]
    pub state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// Write the metrics here too, for `node_exporter`'s textfile collector; its name ends in `.prom`.
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<MetricsFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SubjectArg {
    Drill,
    Check,
}

impl SourceArgs {
    pub fn impersonated(&self) -> Option<&str> {
        self.impersonated.as_deref()
    }

    pub fn plan(&self, secrets: Secrets) -> Result<Plan, Error> {
        let config = Config::read(&self.config)?;
        let plan = match (&self.source, self.source_index) {
            (None, Some(index)) => {
                let sources = &config.sources.value;
                let Some(source) = sources.get(index) else {
                    return Err(Error::usage(format!(
                        "use source {index} of the configuration {}",
                        self.config.display()
                    ))
                    .because(Reason(format!(
                        "it has {}, counted from 0",
                        count(sources.len() as u64, "source", "sources")
                    )))
                    .hint("an Indexed Job needs as many completions as there are sources"));
                };
                Plan::for_source(&config, Some(&source.name.value), secrets)
            }
            (name, _) => Plan::for_source(&config, name.as_deref(), secrets),
        };
        plan.map_err(|mistakes| wrong(&self.config, mistakes))
    }

    /// The plan of a run that asks the source's database, or of one that does not and needs no secret of its.
    pub fn plan_asking(&self, asks_source: bool) -> Result<Plan, Error> {
        if asks_source {
            return self.plan(Secrets::Read);
        }
        Ok(Plan { connection: None, ..self.plan(Secrets::OfArchive)? })
    }
}

impl HistoryArgs {
    /// Puts the directory in the place of the configuration's choice.
    pub fn apply(&self, plan: &mut Plan) {
        if let Some(directory) = &self.state {
            plan.history = Some(History::Directory(directory.clone()));
        }
    }
}

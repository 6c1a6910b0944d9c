//! The walproof binary as a user runs it: a configuration file, arguments, an exit code, a report.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{self, Finished};
use super::s3::{ACCESS_KEY, BUCKET, REGION, S3, SECRET_KEY};
use super::{Postgres, json_pointer, profile_directory};

/// How long one command may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// The names of the environment variables that carry the object store's keys.
pub const ACCESS_KEY_VARIABLE: &str = "ARCHIVE_ACCESS_KEY_ID";
pub const SECRET_KEY_VARIABLE: &str = "ARCHIVE_SECRET_ACCESS_KEY";

/// A configuration for one source, and a directory for its sandboxes that goes with the value.
pub struct Walproof {
    configuration: Value,
    baseline: Option<PathBuf>,
    environment: Vec<(String, String)>,
    directory: TempDir,
}

/// What one command left.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub exit_code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Walproof {
    /// A source named as its archive's server, without a connection. Sandboxes go into a temporary directory.
    pub fn new(s3: &S3, server: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("wp-run-").tempdir().unwrap();
        let sandboxes = directory.path().join("sandboxes");
        fs::create_dir(&sandboxes).unwrap();
        // Started as root, walproof runs PostgreSQL as another user, who must get there.
        for path in [directory.path(), &sandboxes] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let configuration = json!({
            "sources": [{
                "name": server,
                "archive": {"s3": {
                    "url": format!("s3://{BUCKET}/"),
                    "serverName": server,
                    "endpoint": s3.endpoint(),
                    "region": REGION,
                    "credentials": {"environment": {
                        "accessKeyId": ACCESS_KEY_VARIABLE,
                        "secretAccessKey": SECRET_KEY_VARIABLE,
                    }},
                }},
            }],
            "sandbox": {"direct": {"directory": sandboxes}},
        });
        let environment = vec![
            (ACCESS_KEY_VARIABLE.to_owned(), ACCESS_KEY.to_owned()),
            (SECRET_KEY_VARIABLE.to_owned(), SECRET_KEY.to_owned()),
        ];
        Self { configuration, baseline: None, environment, directory }
    }

    /// Lets walproof connect to the source as its superuser.
    #[must_use]
    pub fn connection(self, postgres: &Postgres) -> Self {
        let connection = postgres.connection();
        self.set(
            "/sources/0/connection",
            json!({
                "host": connection.host,
                "port": connection.port,
                "user": connection.user,
                "database": "postgres",
                "tls": "disable",
            }),
        )
    }

    /// Drills compare with this baseline document instead of taking one.
    #[must_use]
    pub fn baseline(mut self, document: &Path) -> Self {
        self.baseline = Some(document.to_owned());
        self
    }

    /// Sets one value of the configuration by its JSON pointer (`/sources/0/target`), making what is missing on the way.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        json_pointer::set(&mut self.configuration, pointer, value);
        self
    }

    /// Sets an environment variable of the command.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The configuration file's text.
    pub fn configuration(&self) -> String {
        serde_saphyr::to_string(&self.configuration).unwrap()
    }

    /// Runs `walproof COMMAND --config … REST`.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let Finished { exit_code, stdout, stderr } = process::run(&mut self.command(arguments), PATIENCE);
        Outcome { exit_code, stdout, stderr }
    }

    /// The command that [`Self::run`] runs, for callers that signal it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let file = self.directory.path().join("walproof.yaml");
        fs::write(&file, self.configuration()).unwrap();
        let (name, rest) = arguments.split_first().expect("the name of a command");
        let mut command = Command::new(binary());
        command.arg(name).arg("--config").arg(file);
        if let (&"drill", Some(document)) = (name, &self.baseline) {
            command.arg("--baseline").arg(document);
        }
        // What the developer's shell says must not decide a test.
        command.env_remove("RUST_LOG").env("NO_COLOR", "1");
        command.args(rest).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Where sandboxes are made.
    pub fn sandboxes(&self) -> PathBuf {
        self.directory.path().join("sandboxes")
    }

    /// What lies in the sandboxes' directory now; nothing after a run that tore down.
    pub fn left_behind(&self) -> Vec<PathBuf> {
        fs::read_dir(self.sandboxes()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Outcome {
    /// The report of a command that ran with `--output json`.
    #[track_caller]
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON report: {error}\n{self}"))
    }

    /// The first finding with this code and outcome.
    #[track_caller]
    pub fn finding(&self, code: &str, outcome: &str) -> Value {
        let report = self.report();
        let mut findings = report["findings"].as_array().unwrap_or_else(|| panic!("no findings\n{self}")).iter();
        let found = findings.find(|finding| finding["code"] == code && finding["outcome"] == outcome);
        found.unwrap_or_else(|| panic!("no {outcome} finding {code}\n{self}")).clone()
    }

    /// The codes of the findings with this outcome (`passed`, `failed`, …) in the report.
    #[track_caller]
    pub fn codes(&self, outcome: &str) -> Vec<String> {
        let report = self.report();
        let findings = report["findings"].as_array().unwrap_or_else(|| panic!("no findings\n{self}")).iter();
        let matching = findings.filter(|finding| finding["outcome"] == outcome);
        matching.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "exit code {}\nstdout:\n{}\nstderr:\n{}", self.exit_code, self.stdout, self.stderr)
    }
}

/// The binary that cargo built for this test, or the one beside this example.
pub fn binary() -> PathBuf {
    let binary =
        option_env!("CARGO_BIN_EXE_walproof").map_or_else(|| profile_directory().join("walproof"), PathBuf::from);
    assert!(binary.exists(), "{} is missing; build it with `cargo build --bin walproof`", binary.display());
    binary
}

//! kubectl as a subprocess, bounded in time. What it refuses is a panic with its words; what a case applies goes with
//! the value that stands for it.

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{self, Finished};

/// How long one command may take; waits are loops over short ones.
const PATIENCE: Duration = Duration::from_mins(2);
/// Polled no faster than walproof itself may.
const POLL: Duration = Duration::from_secs(1);
/// On everything that a case makes and that must not outlive it.
pub const LABEL: &str = "walproof.dev/e2e";

/// A kubectl command, for callers that run it themselves.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.args(arguments);
    command
}

/// Runs kubectl whatever its exit code.
pub fn attempt(arguments: &[&str]) -> Finished {
    process::run(&mut command(arguments), PATIENCE)
}

/// Runs kubectl and returns what it printed.
#[track_caller]
pub fn run(arguments: &[&str]) -> String {
    process::run_successfully(&mut command(arguments), PATIENCE)
}

/// `kubectl get ARGUMENTS -o json`.
#[track_caller]
pub fn get(arguments: &[&str]) -> Value {
    let text = run(&[&["get", "-o", "json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("kubectl get {arguments:?}: {error}: {text}"))
}

/// The items of `kubectl get ARGUMENTS -o json`.
#[track_caller]
pub fn list(arguments: &[&str]) -> Vec<Value> {
    get(arguments)["items"].as_array().expect("kubectl get without a name gives a list").clone()
}

/// The objects of a manifest below docs/kubernetes, as a user's kubectl reads it.
#[track_caller]
pub fn documents(file: &str) -> Vec<Value> {
    let path = format!("{}/docs/kubernetes/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = run(&["create", "--dry-run=client", "--output", "json", "--filename", &path]);
    serde_json::Deserializer::from_str(&text)
        .into_iter()
        .map(|document| document.expect("kubectl prints JSON"))
        .collect()
}

/// Applies objects and leaves them.
#[track_caller]
pub fn apply(objects: &[Value]) {
    let file = written(objects);
    run(&["apply", "--filename", file.path().to_str().unwrap()]);
}

/// Applies objects for as long as the value lives, labelled so that the next run finds what a killed one left.
#[track_caller]
pub fn lend(mut objects: Vec<Value>) -> Lent {
    for object in &mut objects {
        object["metadata"]["labels"][LABEL] = "true".into();
    }
    let lent = Lent(written(&objects));
    run(&["apply", "--filename", lent.0.path().to_str().unwrap()]);
    lent
}

/// Objects that are deleted with this value.
pub struct Lent(tempfile::NamedTempFile);

impl Drop for Lent {
    fn drop(&mut self) {
        let file = self.0.path().to_str().unwrap();
        let deleted = attempt(&["delete", "--ignore-not-found", "--filename", file]);
        if deleted.exit_code != 0 {
            eprintln!("left behind by a case: {}", deleted.stderr);
        }
    }
}

/// Looks again every second until `condition` gives something. Panics after `limit` with what `what` says then.
#[track_caller]
pub fn eventually<T>(what: impl Fn() -> String, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {}", what());
        thread::sleep(POLL);
    }
}

fn written(objects: &[Value]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().prefix("walproof-e2e-").suffix(".json").tempfile().unwrap();
    for object in objects {
        writeln!(file, "{object}").unwrap();
    }
    file
}

//! Drills that are stopped in the middle: told to, told twice, killed. And one that is kept on purpose.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{eventually, run};
use crate::support::{Fault, Operation, Outcome, Prepared, Walproof};
use crate::{Trial, assert_passes, assert_says};

const PATIENCE: Duration = Duration::from_mins(1);

/// A drill under way. Dropping it kills it.
struct Running {
    child: Child,
    outputs: TempDir,
}

impl Running {
    fn drill(walproof: &Walproof) -> Self {
        Self::start(walproof, "drill")
    }

    fn start(walproof: &Walproof, command: &str) -> Self {
        let outputs = tempfile::tempdir().unwrap();
        let report = outputs.path().join("report.json");
        let mut command = walproof.command(&[command, "--output", "json", "--report-file", report.to_str().unwrap()]);
        command.stdout(File::create(outputs.path().join("stdout")).unwrap());
        command.stderr(File::create(outputs.path().join("stderr")).unwrap());
        Self { child: command.spawn().unwrap(), outputs }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn said(&self, output: &str) -> String {
        fs::read_to_string(self.outputs.path().join(output)).unwrap_or_default()
    }

    /// Looks until `condition` gives something; the drill must still be running then.
    #[track_caller]
    fn until<T>(&mut self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        eventually(what, PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the drill ended: {}\n{}", self.said("stdout"), self.said("stderr"));
            condition()
        })
    }

    /// Waits until it has ended.
    #[track_caller]
    fn end(&mut self) -> Outcome {
        let status = eventually("the drill ends", PATIENCE, || self.child.try_wait().unwrap());
        let exit_code = status.code().unwrap_or(-1);
        Outcome { exit_code, stdout: self.said("stdout"), stderr: self.said("stderr") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that run in a directory or carry its name in their arguments.
pub fn processes_in(directory: &Path) -> Vec<(Pid, String)> {
    let wanted = directory.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let arguments = fs::read(entry.path().join("cmdline")).ok()?;
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let is_there = arguments.contains(wanted) || place.to_string_lossy().starts_with(wanted);
        is_there.then(|| (Pid::from_raw(pid), arguments))
    });
    processes.collect()
}

#[track_caller]
fn assert_nothing_left(walproof: &Walproof) {
    assert_eq!(walproof.left_behind(), Vec::<PathBuf>::new());
    assert_eq!(processes_in(&walproof.sandboxes()), []);
}

/// Asks a drill to stop and holds it to its promises.
#[track_caller]
fn assert_stops(trial: &Trial, mut drill: Running, signal: Signal) {
    let asked = Instant::now();
    drill.signal(signal);
    let outcome = drill.end();
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}\n{outcome}", asked.elapsed());
    assert_eq!(outcome.exit_code, 2, "{outcome}");
    let stopped = outcome.finding("run.stopped", "not_checked");
    assert_says(&stopped, "summary", "stopped by a signal");
    let written: Value = serde_json::from_str(&drill.said("report.json")).unwrap();
    assert_eq!(written, outcome.report());
    assert_nothing_left(&trial.walproof);
}

#[test]
fn a_drill_told_to_stop_while_it_waits_for_the_archive_stops() {
    let baseline_segment = Prepared::get().baseline_segment.as_str();
    let trial = Trial::with(|archive| {
        let missing = archive.segments().into_iter().filter(|segment| segment.as_str() >= baseline_segment);
        missing.for_each(|segment| archive.delete_segment(&segment));
    });
    let mut drill = Running::drill(&trial.walproof);
    drill.until("it waits", || {
        let asked = |(_, prefix): &(Operation, String)| prefix.ends_with(baseline_segment);
        trial.s3.requests().iter().any(asked).then_some(())
    });
    assert_stops(&trial, drill, Signal::SIGINT);
}

#[test]
fn a_check_told_to_stop_while_the_store_hangs_reports() {
    let trial = Trial::new();
    trial.s3.fail(Operation::List, "", Fault::Hang, usize::MAX);
    let mut check = Running::start(&trial.walproof, "check");
    check.until("it lists", || (!trial.s3.requests().is_empty()).then_some(()));
    assert_stops(&trial, check, Signal::SIGTERM);
}

#[test]
fn a_drill_told_to_stop_while_it_downloads_tears_down_and_reports() {
    let trial = Trial::new();
    let data = trial.data();
    trial.s3.fail(Operation::Get, &data, Fault::Hang, usize::MAX);
    let mut drill = Running::drill(&trial.walproof);
    drill.until("it downloads", || trial.s3.requests().contains(&(Operation::Get, data.clone())).then_some(()));
    assert_eq!(trial.walproof.left_behind().len(), 1);
    assert_stops(&trial, drill, Signal::SIGTERM);
}

/// A drill whose server waits for a segment that never comes, the server's postmaster, and the `restore_command` that
/// waits.
fn replaying(trial: &Trial) -> (Running, Pid, Pid) {
    let segment = &Prepared::get().baseline_segment;
    // Its head is read once, before anything is restored.
    trial.s3.fail_later(Operation::Get, segment, 1, Fault::Hang);
    let mut drill = Running::drill(&trial.walproof);
    let is_waiting = |arguments: &str| arguments.contains("/walproof wal-fetch ") && arguments.contains(segment);
    let fetch = drill.until("it replays", || {
        let processes = processes_in(&trial.walproof.sandboxes());
        processes.into_iter().find(|(_, arguments)| is_waiting(arguments)).map(|(pid, _)| pid)
    });
    let sandbox = trial.walproof.left_behind().pop().unwrap();
    let postmaster = fs::read_to_string(sandbox.join("data/postmaster.pid")).unwrap();
    let postmaster = postmaster.lines().next().unwrap().parse().unwrap();
    (drill, Pid::from_raw(postmaster), fetch)
}

fn is_alive(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_drill_told_to_stop_while_it_replays_ends_its_server() {
    let trial = Trial::new();
    let (drill, postmaster, _) = replaying(&trial);
    assert!(is_alive(postmaster));
    assert_stops(&trial, drill, Signal::SIGTERM);
    assert!(!is_alive(postmaster));
}

#[test]
fn a_drill_told_twice_leaves_at_once_and_a_sweep_removes_the_rest() {
    let trial = Trial::new();
    let (mut drill, postmaster, _) = replaying(&trial);
    // A server that does not react holds the tear-down up.
    let server = Stopped::now(postmaster);
    drill.signal(Signal::SIGTERM);
    let stderr = drill.outputs.path().join("stderr");
    drill.until("it tears down", || fs::read_to_string(&stderr).unwrap().contains("stopping: ").then_some(()));
    drill.signal(Signal::SIGTERM);
    let asked = Instant::now();
    let outcome = drill.end();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}\n{outcome}", asked.elapsed());
    assert_eq!(outcome.exit_code, 2, "{outcome}");
    assert!(outcome.stderr.contains("left at a second signal"), "{outcome}");
    let sandbox = trial.walproof.left_behind().pop().unwrap();

    drop(server);
    let swept = trial.walproof.run(&["sweep"]);
    assert_eq!((swept.exit_code, swept.stdout), (0, format!("removed {}\n", sandbox.display())));
    assert_nothing_left(&trial.walproof);
}

/// A process that was stopped goes on when this is dropped, to get the signals that wait for it.
struct Stopped(Pid);

impl Stopped {
    fn now(process: Pid) -> Self {
        kill(process, Signal::SIGSTOP).unwrap();
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

#[test]
fn what_a_killed_drill_left_goes_with_the_next_one_and_is_told() {
    let trial = Trial::new();
    let (mut drill, postmaster, fetch) = replaying(&trial);
    // Otherwise the restore_command would fail with the drill, and the server with it.
    let fetch = Stopped::now(fetch);
    drill.signal(Signal::SIGKILL);
    drill.end();
    let sandbox = trial.walproof.left_behind().pop().unwrap();
    assert!(is_alive(postmaster));

    trial.s3.heal();
    let outcome = trial.walproof.run(&["drill", "--output", "json"]);
    assert_passes(&outcome);
    let swept = outcome.finding("sandbox.left_behind", "note");
    assert_eq!(swept["observed"], json!(sandbox), "{outcome}");
    assert!(!is_alive(postmaster));
    // The postmaster told its children to quit, this one too.
    let process = fetch.0;
    drop(fetch);
    eventually("the restore_command is gone", PATIENCE, || (!is_alive(process)).then_some(()));
    assert_nothing_left(&trial.walproof);
}

/// Lets a kept sandbox run out, however the test ends.
struct Kept<'a>(&'a Walproof);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        for sandbox in self.0.left_behind() {
            let _ = fs::write(sandbox.join("walproof.lock"), "keep-until 2020-01-01T00:00:00Z\n");
        }
        let _ = self.0.run(&["sweep"]);
    }
}

#[test]
fn a_kept_sandbox_can_be_connected_to_until_its_time_is_over() {
    let trial = Trial::new();
    let walproof = &trial.walproof;
    let outcome = walproof.run(&["drill", "--keep", "--output", "json"]);
    let kept = Kept(walproof);
    assert_passes(&outcome);
    let note = outcome.finding("sandbox.left_behind", "note");
    let observed = note["observed"].as_str().unwrap();
    let (command, until) = observed.split_once("   ").unwrap_or_else(|| panic!("{observed}"));
    assert!(command.starts_with("psql -h ") && until.starts_with("(until "), "{observed}");
    let question = format!("{command} -X -A -t -d paledocs -c 'SELECT count(*) > 0 FROM notes'");
    let answer = || run(Command::new("/bin/sh").args(["-c", &question]), PATIENCE);
    assert_eq!(answer().stdout, "t\n", "{:?}", answer());

    // Neither a sweep nor the next drill takes it away before its time.
    let swept = walproof.run(&["sweep"]);
    assert!(swept.exit_code == 0 && swept.stdout.starts_with("nothing to sweep"), "{swept}");
    assert_passes(&walproof.run(&["drill", "--output", "json"]));
    assert_eq!(answer().stdout, "t\n", "{:?}", answer());

    drop(kept);
    assert_nothing_left(walproof);
}

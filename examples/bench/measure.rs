//! How long something takes, and how much memory a process needs at most.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::process::is_interrupted;

/// What takes at least this long is run once, else three times.
const LONG: Duration = Duration::from_secs(5);
/// How often a process's peak memory is read.
const SAMPLE: Duration = Duration::from_millis(5);
/// The slowest command is a drill of the largest scale.
const LIMIT: Duration = Duration::from_mins(10);
/// How long a command may clean up after a signal.
const GRACE: Duration = Duration::from_mins(1);

/// The median of so many runs.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    pub seconds: f64,
    pub runs: usize,
}

/// A command that ran to its end.
pub struct Ran {
    pub elapsed: Duration,
    /// The largest `VmHWM` that was seen.
    pub peak_bytes: u64,
    /// 128 + the signal's number when a signal ended it.
    pub exit_code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs once, or three times when that takes less than five seconds.
pub fn figure(mut run: impl FnMut() -> Duration) -> Figure {
    let mut durations = vec![settled(&mut run)];
    if durations[0] < LONG {
        durations.extend([settled(&mut run), settled(&mut run)]);
    }
    median(durations)
}

/// The median of an odd number of durations.
pub fn median(mut durations: Vec<Duration>) -> Figure {
    durations.sort();
    Figure { seconds: durations[durations.len() / 2].as_secs_f64(), runs: durations.len() }
}

/// Whether one run is enough.
pub fn is_long(duration: Duration) -> bool {
    duration >= LONG
}

/// Lets the kernel write what others left, so that each run finds the disk idle.
pub fn settled<T>(run: impl FnOnce() -> T) -> T {
    nix::unistd::sync();
    run()
}

/// Runs a command to its end, looking at its memory all the time.
pub fn watch(mut command: Command) -> Ran {
    let (mut stdout, mut stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    // Its own process group: a terminal's SIGINT then reaches only us.
    command.stdin(Stdio::null()).process_group(0);
    command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
    let start = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = peak_bytes.max(peak(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if is_interrupted() || start.elapsed() > LIMIT {
            end(&mut child);
            panic!("{command:?} was stopped: a signal, or not done within {LIMIT:?}");
        }
        thread::sleep(SAMPLE);
    };
    Ran {
        elapsed: start.elapsed(),
        peak_bytes,
        exit_code: status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1),
        stdout: text(&mut stdout),
        stderr: text(&mut stderr),
    }
}

/// `VmHWM` of a process in bytes, while it has memory.
fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn end(child: &mut Child) {
    let _ = kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id fits into i32")), Signal::SIGTERM);
    let asked = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if asked.elapsed() > GRACE {
            child.kill().unwrap();
            child.wait().unwrap();
            return;
        }
        thread::sleep(SAMPLE);
    }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

//! Removing what killed drills left: only directories with our name, our lock file, and nobody holding the lock.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::{PREFIX, is_run_id};
use crate::sandbox::Swept;

pub const LOCK: &str = "walproof.lock";
pub const KEEP_UNTIL: &str = "keep-until";

/// A postmaster ends its children and itself within this, or is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Sweeps `directory`. A sandbox whose drill still lives, or that was kept on request, is not touched.
pub fn sweep(directory: &Path, now: Timestamp) -> Vec<Swept> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut swept = Vec::new();
    for entry in entries.flatten() {
        let root = entry.path();
        let is_ours = entry.file_name().to_str().and_then(|name| name.strip_prefix(PREFIX)).is_some_and(is_run_id);
        // A symbolic link named like a sandbox is not one.
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(lock) = File::options().read(true).write(true).open(root.join(LOCK)) else { continue };
        match lock.try_lock() {
            Ok(()) if is_kept(&root, now) => {}
            Ok(()) => swept.push(match remove(&root) {
                Ok(()) => Swept::Removed(root.display().to_string()),
                Err(reason) => Swept::Left(reason),
            }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                swept.push(Swept::Left(format!("{}: its lock cannot be asked: {error}", root.display())));
            }
        }
    }
    swept
}

/// Ends the postmaster of a sandbox, if one runs there, and removes its directory. Gone already is success.
pub fn remove(root: &Path) -> Result<(), String> {
    end_postmaster(&root.join("data"))?;
    for attempt in 0.. {
        match std::fs::remove_dir_all(root) {
            Ok(()) => break,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            // A child of the postmaster may still write while the directory is removed.
            Err(_) if attempt < 20 => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(format!("the directory {} could not be removed: {error}", root.display())),
        }
    }
    Ok(())
}

/// Ends the postmaster named in `postmaster.pid` if that process really runs in this data directory.
fn end_postmaster(data: &Path) -> Result<(), String> {
    let Some(pid) = postmaster(data) else { return Ok(()) };
    let process = Pid::from_raw(pid);
    let _ = kill(process, Signal::SIGQUIT);
    let started = Instant::now();
    while runs_in(pid, data) {
        if started.elapsed() > STOP_LIMIT {
            let _ = kill(process, Signal::SIGKILL);
        }
        if started.elapsed() > 2 * STOP_LIMIT {
            return Err(format!("the postmaster {pid} in {} does not end", data.display()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn postmaster(data: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = text.lines().next()?.trim().parse().ok()?;
    runs_in(pid, data).then_some(pid)
}

/// A postmaster's working directory is its data directory; a pid that was given away again has another.
fn runs_in(pid: i32, data: &Path) -> bool {
    let Ok(working_directory) = std::fs::read_link(format!("/proc/{pid}/cwd")) else { return false };
    let same = data.canonicalize().is_ok_and(|data| data == working_directory);
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    same && !is_zombie
}

fn is_kept(root: &Path, now: Timestamp) -> bool {
    let text = std::fs::read_to_string(root.join(LOCK)).unwrap_or_default();
    let until = text.strip_prefix(KEEP_UNTIL).and_then(|rest| rest.trim().parse::<Timestamp>().ok());
    until.is_some_and(|until| now < until)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "walproof-20261121t124500z-a1b2c3";

    fn sandbox(directory: &Path, name: &str) -> std::path::PathBuf {
        let root = directory.join(name);
        std::fs::create_dir_all(root.join("data/base")).unwrap();
        std::fs::write(root.join("data/base/1"), "x").unwrap();
        std::fs::write(root.join(LOCK), "pid 1\n").unwrap();
        root
    }

    #[test]
    fn what_a_killed_drill_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let root = sandbox(directory.path(), RUN);
        assert_eq!(sweep(directory.path(), Timestamp::now()), [Swept::Removed(root.display().to_string())]);
        assert!(!root.exists());
        assert_eq!(sweep(directory.path(), Timestamp::now()), [], "a second sweep finds nothing");
    }

    #[test]
    fn a_living_drill_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let root = sandbox(directory.path(), RUN);
        let lock = File::open(root.join(LOCK)).unwrap();
        lock.lock().unwrap();
        assert_eq!(sweep(directory.path(), Timestamp::now()), []);
        assert!(root.exists());
    }

    #[test]
    fn a_kept_sandbox_stays_until_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let root = sandbox(directory.path(), RUN);
        std::fs::write(root.join(LOCK), format!("{KEEP_UNTIL} 2026-11-22T00:00:00Z\n")).unwrap();
        assert_eq!(sweep(directory.path(), "2026-11-21T23:59:59Z".parse().unwrap()), []);
        assert_eq!(sweep(directory.path(), "2026-11-22T00:00:01Z".parse().unwrap()).len(), 1);
        assert!(!root.exists());
    }

    #[test]
    fn only_our_own_names_with_our_lock_are_swept() {
        let directory = tempfile::tempdir().unwrap();
        let foreign =
            ["walproof-notes", "walproof-20261121t124500z-A1B2C3", "my-walproof-20261121t124500z-a1b2c3", "data"];
        let foreign: Vec<_> = foreign.iter().map(|name| sandbox(directory.path(), name)).collect();
        let without_lock = sandbox(directory.path(), RUN);
        std::fs::remove_file(without_lock.join(LOCK)).unwrap();
        assert_eq!(sweep(directory.path(), Timestamp::now()), []);
        assert!(foreign.iter().chain([&without_lock]).all(|root| root.exists()));
    }
}

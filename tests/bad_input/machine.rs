//! The machine that the drill runs on. Nothing of it is the backups' fault.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::Outcome;
use crate::support::process::run;
use crate::{Trial, assert_fails, assert_says, newest_backup, signals};

#[test]
fn a_database_that_would_not_fit_is_not_restored() {
    // The room is asked before anything is written, by the sizes that backup.info gives.
    let trial = Trial::with(|archive| {
        archive.rewrite_backup_info(newest_backup(), |text| {
            let lines = text.lines().map(|line| match line.split_once('=') {
                Some((key @ ("size" | "cluster_size"), _)) => format!("{key}=9000000000000000\n"),
                _ => format!("{line}\n"),
            });
            lines.collect()
        });
    });
    let outcome = trial.drill();
    let full = assert_fails(&outcome, "sandbox.no_space", "environment");
    assert_says(&full, "expected", "PiB free");
    assert_says(&full, "hint", "`sandbox.direct.directory`");
    assert!(outcome.report()["restore"].is_null(), "{outcome}");
}

/// Drills on a machine where no file can grow beyond so many kilobytes: writing fails as it does on a full disk, with
/// another number of the same kind (EFBIG for ENOSPC).
fn drill_with_small_files(trial: &Trial, kilobytes: u32) -> Outcome {
    let drill = trial.walproof.command(&["drill", "--output", "json"]);
    let mut command = Command::new("/bin/sh");
    // Ignored, the signal leaves an error to whoever writes. The shell counts blocks of 512 bytes.
    command.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &(2 * kilobytes).to_string()]);
    command.arg(drill.get_program()).args(drill.get_args());
    for (name, value) in drill.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let finished = run(&mut command, Duration::from_mins(2));
    let outcome = Outcome { exit_code: finished.exit_code, stdout: finished.stdout, stderr: finished.stderr };
    assert!(trial.walproof.left_behind().is_empty(), "{:?}\n{outcome}", trial.walproof.left_behind());
    assert!(signals::processes_in(&trial.walproof.sandboxes()).is_empty(), "{outcome}");
    outcome
}

#[test]
fn a_disk_that_takes_no_more_of_the_base_backup_is_the_machines_fault() {
    let trial = Trial::new();
    let unusable = assert_fails(&drill_with_small_files(&trial, 256), "sandbox.unusable", "environment");
    assert_says(&unusable, "summary", "too large");
}

#[test]
fn a_disk_that_takes_no_more_wal_is_the_machines_fault() {
    let trial = Trial::new();
    // Enough for every file of the base backup, too little for a segment.
    let unusable = assert_fails(&drill_with_small_files(&trial, 8 << 10), "sandbox.unusable", "environment");
    assert_says(&unusable, "observed", "the spool could not be written");
    assert_says(&unusable, "hint", "`sandbox.direct.directory`");
}

#[test]
fn a_missing_postgresql_says_what_to_install() {
    let empty = tempfile::tempdir().unwrap();
    let trial = Trial::new().set("/sandbox/direct/binaries", json!(empty.path()));
    let missing = assert_fails(&trial.drill(), "sandbox.unusable", "environment");
    assert_says(&missing, "hint", "install postgresql-");
    assert_says(&missing, "hint", "`sandbox.direct.binaries`");
}

#[test]
fn a_directory_too_deep_for_a_socket_is_refused_with_the_reason() {
    let deep = tempfile::Builder::new().prefix(&"d".repeat(80)).tempdir().unwrap();
    let trial = Trial::new().set("/sandbox/direct/directory", json!(deep.path()));
    let refused = assert_fails(&trial.drill(), "sandbox.unusable", "environment");
    assert_says(&refused, "summary", "too long for a Unix socket");
    assert_eq!(std::fs::read_dir(deep.path()).unwrap().count(), 0);
}

#[test]
fn a_user_that_does_not_exist_is_refused_before_anything_is_made() {
    let trial = Trial::new().set("/sandbox/direct/user", json!("nobody-of-this-name"));
    let outcome = trial.drill();
    // Not started as root, walproof needs no other user.
    if nix::unistd::geteuid().is_root() {
        let refused = assert_fails(&outcome, "sandbox.unusable", "environment");
        assert_says(&refused, "hint", "`sandbox.direct.user`");
    } else {
        assert_eq!(outcome.exit_code, 0, "{outcome}");
    }
}

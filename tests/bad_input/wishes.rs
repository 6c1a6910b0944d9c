//! What the user asks for and the archive cannot give, or nobody can understand.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::Prepared;
use crate::{Trial, assert_fails, assert_says};

#[test]
fn a_target_before_the_oldest_backup_lies_outside_the_window() {
    for target in [json!({"time": "2020-01-01T00:00:00Z"}), json!({"lsn": "0/1000028"}), json!({"before": "9000d"})] {
        let trial = Trial::new().set("/sources/0/target", target);
        let outside = assert_fails(&trial.drill(), "target.outside_window", "unknown");
        assert_says(&outside, "summary", "no backup ends before");
        assert_says(&outside, "observed", &Prepared::get().backups[0]);
    }
}

#[test]
fn a_target_behind_the_end_is_not_reached_and_nobodys_fault() {
    let trial = Trial::new().set("/sources/0/target", json!({"lsn": "FF/0"}));
    let outside = assert_fails(&trial.drill(), "target.outside_window", "unknown");
    assert_says(&outside, "expected", "FF/0");
    assert_says(&outside, "observed", "it reaches 0/");

    for target in [json!({"time": "2100-01-01T00:00:00Z"}), json!({"name": "no such restore point"})] {
        let trial = Trial::new().set("/sources/0/target", target);
        let missed = assert_fails(&trial.drill(), "recovery.stop", "unknown");
        assert_says(&missed, "observed", "end of the archive");
    }
}

#[test]
fn a_backup_that_is_not_there_is_named() {
    let trial = Trial::new().set("/sources/0/backup", json!({"id": "20200101T000000"}));
    let missing = assert_fails(&trial.drill(), "target.outside_window", "unknown");
    assert_says(&missing, "summary", "20200101T000000");
}

/// A trial with a changed baseline document.
fn with_document(change: impl FnOnce(String) -> String) -> (Trial, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let document: PathBuf = directory.path().join("baseline.json");
    let text = std::fs::read_to_string(Prepared::get().baseline()).unwrap();
    std::fs::write(&document, change(text)).unwrap();
    let mut trial = Trial::new();
    trial.walproof = trial.walproof.baseline(&document);
    (trial, directory)
}

fn edited(text: &str, pointer: &str, value: Value) -> String {
    let mut document: Value = serde_json::from_str(text).unwrap();
    *document.pointer_mut(pointer).expect("the document has it") = value;
    document.to_string()
}

#[test]
fn a_baseline_that_cannot_be_read_is_the_baselines_fault() {
    let (garbage, _first) = with_document(|_| "not a baseline".to_owned());
    let (cut, _second) = with_document(|text| text[..text.len() / 2].to_owned());
    let (empty, _third) = with_document(|_| String::new());
    for trial in [garbage, cut, empty] {
        let unusable = assert_fails(&trial.drill(), "baseline.not_captured", "baseline");
        assert_says(&unusable, "observed", "baseline.json");
    }
}

#[test]
fn a_baseline_of_another_version_is_refused() {
    let (trial, _directory) = with_document(|text| edited(&text, "/schema_version", json!(1)));
    let unusable = assert_fails(&trial.drill(), "baseline.not_captured", "baseline");
    assert_says(&unusable, "observed", "schema_version is 1");
}

#[test]
fn a_baseline_of_another_source_is_refused() {
    let (trial, _directory) = with_document(|text| edited(&text, "/source", json!("another")));
    let unusable = assert_fails(&trial.drill(), "baseline.not_captured", "baseline");
    assert_says(&unusable, "observed", "another");
}

#[test]
fn a_baseline_of_another_system_never_passes() {
    let (trial, _directory) =
        with_document(|text| edited(&text, "/server/system_identifier", json!("7000000000000000001")));
    let outcome = trial.drill();
    assert_ne!(outcome.exit_code, 0, "{outcome}");
    let stranger = outcome.finding("server.identity", "failed");
    assert_says(&stranger, "expected", "7000000000000000001");
    assert_says(&stranger, "observed", &Prepared::get().system_identifier.to_string());
}

#[test]
fn a_missing_baseline_is_no_pass() {
    let mut trial = Trial::new();
    trial.walproof = trial.walproof.baseline("/nonexistent/baseline.json".as_ref());
    assert_fails(&trial.drill(), "baseline.not_captured", "baseline");
}

#[test]
fn a_source_that_cannot_be_read_is_said_by_the_drill_that_was_to_compare_with_it() {
    let connection = |password_file: &str| json!({"host": "127.0.0.1", "port": 1, "user": "walproof", "passwordFile": password_file, "tls": "disable"});
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    std::fs::write(&password, "hunter2").unwrap();
    for (password_file, code, expected) in [
        ("/nowhere/password", "baseline.not_captured", "/nowhere/password cannot be read"),
        (password.to_str().unwrap(), "source.unreachable", "127.0.0.1"),
    ] {
        let trial = Trial::new().set("/sources/0/connection", connection(password_file));
        let document = directory.path().join("baseline.json");
        let arguments = ["baseline", "--always-write", "--output-file", document.to_str().unwrap()];
        let written = trial.walproof.run(&arguments);
        assert_eq!(written.exit_code, 0, "{written}");

        let drill = Trial { walproof: trial.walproof.baseline(&document), ..trial }.drill();

        assert_eq!(drill.exit_code, 2, "{drill}");
        let finding = drill.finding(code, "failed").to_string();
        assert!(finding.contains(expected) && !finding.contains("hunter2"), "{finding}");
    }
}

#[test]
fn every_mistake_in_the_configuration_is_told_at_once() {
    let trial = Trial::new().set("/sources/0/colour", json!("blue")).set("/limits/drill", json!("soon"));
    for command in ["check", "drill", "sweep"] {
        let outcome = trial.walproof.run(&[command]);
        assert_eq!((outcome.exit_code, outcome.stdout.as_str()), (64, ""), "{outcome}");
        for part in ["colour", "soon", "walproof.yaml:", "hint: "] {
            assert!(outcome.stderr.contains(part), "{part} is not in {outcome}");
        }
    }
    let outcome = Trial::new().walproof.run(&["check", "--colour", "blue"]);
    assert_eq!(outcome.exit_code, 64, "{outcome}");
}

//! Situations that look odd and are fine. Each file is one of them, and none may ever end in FAIL.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod altered_behind_the_baseline;
mod failover_before_the_archive_got_the_lsn;
mod idle_source;
mod late_segment;
mod row_level_security;
mod subtransaction_of_a_waiting_commit;
mod truncate_during_the_baseline;
mod unlogged_table;
mod values_newer_than_the_target;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::prepared::{SCHEMA, SERVER, WRITES};
use support::{Barman, Outcome, Postgres, S3, Walproof};
use tempfile::TempDir;

/// A living source with tables in its database `postgres`, an archive, and one base backup.
struct Source {
    postgres: Postgres,
    s3: S3,
    documents: TempDir,
}

impl Source {
    fn start() -> Self {
        let s3 = S3::temporary();
        let barman = Barman::new(&s3);
        let postgres = Postgres::builder().archive_command(barman.archive_command(SERVER, &["--gzip"])).start();
        postgres.sql("postgres", SCHEMA[0].1);
        let source = Self { postgres, s3, documents: tempfile::tempdir().unwrap() };
        source.write();
        barman.backup(&source.postgres, SERVER, &[]);
        source
    }

    fn write(&self) {
        write(&self.postgres);
    }

    /// Waits for the archive no longer than an idle source needs to show that nothing comes.
    fn walproof(&self) -> Walproof {
        Walproof::new(&self.s3, SERVER).set("/limits/archiveWait", json!("1s"))
    }

    /// The baseline that this walproof, which has a connection, reads now.
    #[track_caller]
    fn baseline(&self, walproof: &Walproof, name: &str) -> PathBuf {
        let document = self.documents.path().join(name);
        let outcome = walproof.run(&["baseline", "--output-file", document.to_str().unwrap()]);
        assert_eq!(outcome.exit_code, 0, "{outcome}");
        document
    }

    /// Drills with a baseline document only.
    #[track_caller]
    fn drill_with(&self, document: &Path) -> Outcome {
        drill(&self.walproof().baseline(document))
    }
}

/// Rows in the tables of the database `postgres`, in several transactions.
fn write(postgres: &Postgres) {
    postgres.sql("postgres", WRITES[0].1);
}

/// Drills, and makes sure of what holds for every oddity: nothing is blamed on the backups, nothing is left behind.
#[track_caller]
fn drill(walproof: &Walproof) -> Outcome {
    let outcome = walproof.run(&["drill", "--output", "json"]);
    let report = outcome.report();
    assert_ne!(report["verdict"], "FAIL", "{outcome}");
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["blame"] != "backups"), "{outcome}");
    assert!(walproof.left_behind().is_empty(), "{:?}\n{outcome}", walproof.left_behind());
    outcome
}

#[track_caller]
fn assert_passes(outcome: &Outcome) {
    assert_eq!((outcome.exit_code, &outcome.report()["verdict"]), (0, &json!("PASS")), "{outcome}");
}

#[track_caller]
fn assert_inconclusive(outcome: &Outcome) {
    assert_eq!((outcome.exit_code, &outcome.report()["verdict"]), (2, &json!("INCONCLUSIVE")), "{outcome}");
}

/// The one finding with this code and outcome (`failed`, `note`, …).
#[track_caller]
fn finding(outcome: &Outcome, code: &str, kind: &str) -> Value {
    let report = outcome.report();
    let findings = report["findings"].as_array().unwrap().iter();
    let matching: Vec<&Value> = findings.filter(|it| it["code"] == code && it["outcome"] == kind).collect();
    assert_eq!(matching.len(), 1, "one {kind} finding {code}\n{outcome}");
    matching[0].clone()
}

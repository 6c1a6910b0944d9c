//! Situations that look odd and are fine. Each file is one of them, and none may ever end in FAIL.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod altered_behind_the_baseline;
mod clock_five_minutes_off;
mod columns_by_the_thousand;
mod commit_behind_the_archives_end;
mod compressed_tar_parts;
mod database_without_connections;
mod ddl_after_the_baseline;
mod ddl_during_the_baseline;
mod event_triggers;
mod extension_that_this_machine_lacks;
mod failover_before_the_archive_got_the_lsn;
mod foreign_tables;
mod fresh_timeline_after_two_failovers;
mod generated_columns;
mod huge_transaction;
mod icu_collations;
mod idle_source;
mod index_kinds;
mod indexes_that_amcheck_does_not_know;
mod infinite_timestamps;
mod insert_only;
mod invalid_index;
mod large_objects;
mod late_segment;
mod login_settings;
mod mixed_compressions;
mod names_of_all_kinds;
mod names_that_shadow;
mod other_encodings;
mod owners_that_cannot_act;
mod partitions_by_the_hundred;
mod prepared_transaction;
mod prepared_transaction_left_behind;
mod publications_and_subscriptions;
mod queries_of_ones_own;
mod retention_while_it_lists;
mod rewritten_before_the_baseline;
mod roles_of_every_kind;
mod row_level_security;
mod rows_against_their_constraint;
mod segment_sizes;
mod sequence_behind_its_column;
mod sequence_caches;
mod sequences_of_every_kind;
mod settled;
mod standby_as_the_source;
mod subtransaction_of_a_waiting_commit;
mod subtransactions_by_the_thousand;
mod table_without_columns;
mod tables_come_and_go;
mod tablespaces;
mod temporary_tables;
mod truncate_during_the_baseline;
mod types_of_its_own;
mod unlogged_table;
mod unpopulated_materialized_view;
mod values_newer_than_the_target;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::postgres::Builder;
use support::prepared::{SCHEMA, SERVER, WRITES};
use support::process::eventually;
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
        let source = Self::without_backup(Postgres::builder());
        source.barman().backup(&source.postgres, SERVER, &[]);
        source
    }

    /// A server of its own kind, for a base backup at a moment or with options of the caller's.
    fn without_backup(builder: Builder) -> Self {
        let s3 = S3::temporary();
        let archive_command = Barman::new(&s3).archive_command(SERVER, &["--gzip"]);
        let postgres = builder.archive_command(archive_command).start();
        postgres.sql("postgres", SCHEMA[0].1);
        let source = Self { postgres, s3, documents: tempfile::tempdir().unwrap() };
        source.write();
        source
    }

    fn barman(&self) -> Barman {
        Barman::new(&self.s3)
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

    /// The baseline that a superuser reads now.
    #[track_caller]
    fn baseline_now(&self, name: &str) -> PathBuf {
        self.baseline(&self.walproof().connection(&self.postgres), name)
    }

    /// Drills with this baseline once its LSN, and rows behind it, are archived.
    #[track_caller]
    fn archive_and_drill_with(&self, document: &Path) -> Outcome {
        self.write();
        self.postgres.archive_wal();
        self.drill_with(document)
    }

    /// Reads a baseline and, after the snapshot was taken and before most tables are counted, runs SQL statements. The
    /// table that is counted first, `a_first`, is locked until then.
    #[track_caller]
    fn baseline_while(&self, name: &str, sql: &str) -> PathBuf {
        let locks = "SELECT FROM pg_locks WHERE relation = 'a_first'::regclass AND mode =";
        let locking = format!(
            "BEGIN; LOCK TABLE a_first IN ACCESS EXCLUSIVE MODE;
             DO $$ BEGIN FOR i IN 1..6000 LOOP
                 IF EXISTS ({locks} 'AccessShareLock' AND NOT granted) THEN RETURN; END IF; PERFORM pg_sleep(0.005);
             END LOOP; RAISE 'nobody waits'; END $$;
             {sql}; COMMIT;"
        );
        let is_locked = format!("SELECT EXISTS ({locks} 'AccessExclusiveLock' AND granted)");
        self.postgres.sql("postgres", "CREATE TABLE IF NOT EXISTS a_first (id int)");
        thread::scope(|scope| {
            scope.spawn(|| self.postgres.sql("postgres", &locking));
            eventually("the first table is locked", Duration::from_mins(1), || {
                (self.postgres.sql("postgres", &is_locked) == "t").then_some(())
            });
            let walproof = self.walproof().connection(&self.postgres).set("/limits/lock", json!("30s"));
            self.baseline(&walproof, name)
        })
    }

    /// Drills with a baseline document only.
    #[track_caller]
    fn drill_with(&self, document: &Path) -> Outcome {
        drill(&self.walproof().baseline(document))
    }
}

/// A session that stays open from one statement to the next. Dropping it ends it, and what it has not committed.
struct Session {
    psql: Child,
    said: BufReader<ChildStderr>,
}

impl Session {
    fn open(postgres: &Postgres) -> Self {
        let mut command = postgres.psql("postgres");
        let mut psql = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(psql.stderr.take().unwrap());
        Self { psql, said }
    }

    /// Returns when the statements are done.
    #[track_caller]
    fn run(&mut self, sql: &str) {
        // psql holds back what it writes to standard output.
        writeln!(self.psql.stdin.as_mut().unwrap(), "{sql};\n\\warn done").unwrap();
        let mut said = String::new();
        while !said.ends_with("done\n") {
            assert_ne!(self.said.read_line(&mut said).unwrap(), 0, "the session ended: {said}");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.psql.stdin.take());
        let _ = self.psql.wait();
    }
}

/// How many rows a baseline document says that a table has. None when it did not read the table.
fn rows_in(document: &Value, database: &str, table: (&str, &str)) -> Option<u64> {
    let databases = document["databases"].as_array().unwrap().iter();
    let mut tables = databases.filter(|it| it["name"] == database).flat_map(|it| it["tables"].as_array().unwrap());
    tables.find(|it| (it["schema"].as_str(), it["name"].as_str()) == (Some(table.0), Some(table.1)))?["rows"].as_u64()
}

fn read_document(document: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(document).unwrap()).unwrap()
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

/// As [`assert_passes`], and no probe saw a difference from the baseline where there is none.
#[track_caller]
fn assert_nothing_differs(outcome: &Outcome) {
    assert_passes(outcome);
    assert!(outcome.codes("failed").is_empty(), "{outcome}");
    let report = outcome.report();
    assert_eq!(report["restore"]["tables_compared"], report["restore"]["baseline"]["tables"], "{outcome}");
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

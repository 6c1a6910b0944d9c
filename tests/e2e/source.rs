//! The sources of the lab, and an administrator's hand on them: load, WAL switches, SQL. walproof has no such hand.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kubectl;

/// How long PostgreSQL may take to archive one segment.
const ARCHIVED: Duration = Duration::from_mins(2);

/// A base backup of a small database.
const BACKED_UP: Duration = Duration::from_mins(5);
/// Each takes barman up to half a second, and every case adds some.
const SEGMENTS_TO_REPLAY: u64 = 16;

/// A CloudNativePG cluster that is on trial.
#[derive(Debug)]
pub struct Source {
    pub namespace: &'static str,
    pub cluster: &'static str,
    /// Below the object store's alias: bucket, path, server name.
    pub archive: &'static str,
    /// The `ConfigMap` with the authority of its server certificate, in walproof's namespace.
    pub authority: &'static str,
}

/// Archives by the in-tree `barmanObjectStore`; the manifests of docs/kubernetes are written for it.
pub const IN_TREE: Source = Source {
    namespace: "postgres",
    cluster: "pal-e-postgres",
    archive: "postgres-wal/pal-e-postgres",
    authority: "source-ca",
};

/// Archives by the Barman Cloud plugin.
pub const PLUGIN: Source = Source {
    namespace: "postgres-plugin",
    cluster: "plugin-postgres",
    archive: "postgres-wal/plugin/plugin-postgres",
    authority: "source-ca-plugin",
};

impl Source {
    /// Runs SQL as superuser in the primary's pod; rows without decoration.
    #[track_caller]
    pub fn sql(&self, database: &str, statements: &[&str]) -> String {
        let primary = self.primary();
        let mut arguments = self.exec(&primary);
        arguments.extend(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database]);
        arguments.extend(statements.iter().flat_map(|statement| ["-c", statement]));
        kubectl::run(&arguments)
    }

    /// Runs a psql script as superuser, with one variable.
    #[track_caller]
    pub fn script(&self, script: &str, (name, value): (&str, &str)) {
        let primary = self.primary();
        let mut arguments = self.exec(&primary);
        let variable = format!("{name}={value}");
        let psql = r#"printf '%s\n' "$1" | psql -Xq -v ON_ERROR_STOP=1 -v "$2""#;
        arguments.extend(["sh", "-c", psql, "sh", script, &variable]);
        kubectl::run(&arguments);
    }

    /// Ends the current segment and waits until the archive has it. Gives its name.
    #[track_caller]
    pub fn archive_a_segment(&self) -> String {
        // Without a record since the last switch there would be none now.
        let segment = self.sql("postgres", &["SELECT txid_current()", "SELECT pg_walfile_name(pg_switch_wal())"]);
        let segment = segment.lines().last().expect("a segment's name").to_owned();
        self.await_archived(&segment);
        segment
    }

    /// Takes a base backup, made as the newest one was, when a restore from that would replay many segments.
    #[track_caller]
    pub fn keep_replay_short(&self) {
        let newest = self.newest_backup();
        let begin = newest["status"]["beginLSN"].as_str().expect("a completed Backup says where it begins");
        let bytes = format!("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{begin}')::bigint");
        let bytes: u64 = self.sql("postgres", &[&bytes]).trim().parse().expect("a number of bytes");
        if bytes >> 24 < SEGMENTS_TO_REPLAY {
            return;
        }
        let name = format!("e2e-{}", Timestamp::now().as_second());
        kubectl::apply(&[json!({
            "apiVersion": newest["apiVersion"],
            "kind": "Backup",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": newest["spec"],
        })]);
        let completed = || (self.newest_backup()["metadata"]["name"] == name.as_str()).then_some(());
        kubectl::eventually(|| format!("Backup {name} completes"), BACKED_UP, completed);
    }

    #[track_caller]
    fn newest_backup(&self) -> Value {
        let mut backups = kubectl::list(&["backups.postgresql.cnpg.io", "--namespace", self.namespace]);
        backups.retain(|backup| {
            backup["spec"]["cluster"]["name"] == self.cluster && backup["status"]["phase"] == "completed"
        });
        let newest = backups.into_iter().max_by_key(|backup| backup["status"]["stoppedAt"].as_str().map(str::to_owned));
        newest.unwrap_or_else(|| panic!("{} has no completed Backup", self.cluster))
    }

    /// Leaves nothing to write for anybody who only reads, and nothing that a timeout would archive.
    #[track_caller]
    pub fn fall_idle(&self) {
        for database in self.sql("postgres", &["SELECT datname FROM pg_database WHERE datallowconn"]).lines() {
            self.sql(database, &["VACUUM", "CHECKPOINT"]);
        }
        self.archive_a_segment();
    }

    /// Writes rows without a pause until the value is dropped.
    #[track_caller]
    pub fn load(&'static self) -> Load {
        self.sql("paledocs", &["CREATE TABLE IF NOT EXISTS e2e_load (id bigserial PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now())"]);
        let primary = self.primary();
        let mut arguments = self.exec(&primary);
        arguments.insert(1, "-i");
        arguments.extend(["psql", "-Xq", "-d", "paledocs"]);
        let mut child = kubectl::command(&arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let writer = thread::spawn({
            let stop = Arc::clone(&stop);
            move || write_rows(input, &stop)
        });
        Load { source: self, child, stop, writer: Some(writer) }
    }

    #[track_caller]
    fn await_archived(&self, segment: &str) {
        let reached = format!("SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver");
        let archived = || (self.sql("postgres", &[&reached]).trim() == "t").then_some(());
        kubectl::eventually(|| format!("{} archives {segment}", self.cluster), ARCHIVED, archived);
    }

    #[track_caller]
    fn primary(&self) -> String {
        let cluster = kubectl::get(&["clusters.postgresql.cnpg.io", self.cluster, "--namespace", self.namespace]);
        cluster["status"]["currentPrimary"].as_str().expect("the source has a primary").to_owned()
    }

    fn exec<'a>(&self, primary: &'a str) -> Vec<&'a str> {
        vec!["exec", "--namespace", self.namespace, primary, "--container", "postgres", "--"]
    }
}

/// A writer on the source.
pub struct Load {
    source: &'static Source,
    child: Child,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Load {
    /// How many rows there are by now.
    pub fn rows(&self) -> u64 {
        self.source.sql("paledocs", &["SELECT count(*) FROM e2e_load"]).trim().parse().unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        let _ = self.child.wait();
        let primary = self.source.primary();
        let mut arguments = self.source.exec(&primary);
        arguments.extend(["psql", "-Xq", "-d", "paledocs", "-c", "DROP TABLE IF EXISTS e2e_load"]);
        kubectl::attempt(&arguments);
    }
}

/// About two hundred transactions a second; a psql that ended ends it.
fn write_rows(mut input: ChildStdin, stop: &AtomicBool) {
    let statements = "INSERT INTO e2e_load DEFAULT VALUES;\nUPDATE e2e_load SET written_at = now() WHERE id = (SELECT max(id) FROM e2e_load);\n";
    while !stop.load(Ordering::SeqCst) && input.write_all(statements.as_bytes()).is_ok() {
        thread::sleep(Duration::from_millis(10));
    }
}

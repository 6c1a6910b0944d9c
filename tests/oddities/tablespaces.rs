//! Tablespaces: tars and directories of their own in the sandbox. The paths of production's must never be used, not even
//! where they exist: a tablespace that was made after the base backup cannot be restored here, whatever the target.
//! Caught by `spool::serve_segment` and, where the baseline tells, by `drill::restore::direct`.

use std::collections::BTreeMap;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::json;
use tempfile::TempDir;

use crate::support::Postgres;
use crate::support::archive::files;
use crate::support::prepared::SERVER;
use crate::support::process::postgres_user;
use crate::{Source, assert_inconclusive, assert_nothing_differs, drill, finding};

fn directory() -> TempDir {
    let directory = tempfile::Builder::new().prefix("wp-space-").tempdir().unwrap();
    if let Some(user) = postgres_user() {
        chown(directory.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
    directory
}

/// The files of a tablespace in production, and when each was changed.
fn state(directory: &TempDir) -> BTreeMap<PathBuf, SystemTime> {
    let modified = |path: PathBuf| (path.clone(), path.metadata().unwrap().modified().unwrap());
    files(directory.path()).into_iter().map(modified).collect()
}

#[test]
fn tables_in_tablespaces_come_back_and_production_directories_stay_as_they_are() {
    let spaces = [directory(), directory(), directory()];
    let source = Source::without_backup(Postgres::builder());
    let path = |number: usize| spaces[number].path().display();
    let sql = format!(
        "CREATE TABLESPACE fast LOCATION '{}'; CREATE TABLESPACE \"söme \"\"space\"\"\" LOCATION '{}';
        CREATE TABLE there (id int PRIMARY KEY USING INDEX TABLESPACE fast, created_at timestamptz)
            TABLESPACE \"söme \"\"space\"\"\";
        CREATE TABLE moved (id int); CREATE DATABASE roomy TABLESPACE fast;
        INSERT INTO there SELECT n, now() FROM generate_series(1, 300) n; INSERT INTO moved SELECT generate_series(1, 40)",
        path(0),
        path(1)
    );
    source.postgres.sql("postgres", &sql);
    source.postgres.sql("roomy", "CREATE TABLE inside AS SELECT generate_series(1, 50) AS id");
    source.barman().backup(&source.postgres, SERVER, &["--gzip"]);
    source
        .postgres
        .sql("postgres", "ALTER TABLE moved SET TABLESPACE fast; ALTER TABLE there SET TABLESPACE pg_default");
    let document = source.baseline_now("spaces.json");
    let sql =
        format!("CREATE TABLESPACE late LOCATION '{}'; CREATE TABLE late_table (id int) TABLESPACE late", path(2));
    source.postgres.sql("postgres", &sql);
    let late = source.baseline_now("late.json");
    source.write();
    source.postgres.sql("postgres", "INSERT INTO late_table SELECT generate_series(1, 1000)");
    let after = source
        .postgres
        .sql("postgres", "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    source.write();
    source.postgres.archive_wal();
    source.postgres.sql("postgres", "CHECKPOINT");
    let before = spaces.each_ref().map(state);

    assert_nothing_differs(&source.drill_with(&document));

    // The WAL would make it again at production's own path.
    let outcome = source.drill_with(&late);
    assert_inconclusive(&outcome);
    let unusable = finding(&outcome, "sandbox.unusable", "failed");
    assert!(unusable["summary"].as_str().unwrap().contains("tablespace late is newer"), "{outcome}");

    // Of this one the baseline knows nothing.
    for target in [json!({"latest": {}}), json!({"time": after.as_str()})] {
        let outcome = drill(&source.walproof().baseline(&document).set("/sources/0/target", target));
        assert_eq!(spaces.each_ref().map(state), before);
        assert_inconclusive(&outcome);
        let unusable = finding(&outcome, "sandbox.unusable", "failed");
        assert_eq!(unusable["blame"], "environment", "{outcome}");
        assert!(
            unusable["summary"].as_str().unwrap().contains("creates a tablespace at its original path"),
            "{outcome}"
        );
    }
}

//! Reading the baseline from a real PostgreSQL: exact, read-only, gentle, and honest about what it could not read.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use support::Postgres;
use tokio_postgres::Client;
use walproof::archive::wal::{Lsn, Timeline};
use walproof::finding::{Blame, Code, Finding};
use walproof::plan::{
    Archive, ArchiveLocation, BackupChoice, Connection, Credentials, DatabaseSelection, Databases, DirectSandbox,
    Freshness, Limits, Objectives, Plan, Publish, Sandbox, TableSelection, Target, Tls,
};
use walproof::source::baseline::{
    Baseline, ContentBaseline, DatabaseBaseline, LargeObjectsBaseline, NotRead, TableBaseline,
};
use walproof::source::capture::capture;

/// Dropped databases make room for nothing: the server goes with the process.
static SERVER: OnceLock<Postgres> = OnceLock::new();

fn server() -> &'static Postgres {
    SERVER.get_or_init(|| Postgres::builder().setting("max_connections", "60").start())
}

/// A database of the test's own, on the server that all tests share.
fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("database{}", NEXT.fetch_add(1, Ordering::Relaxed));
    server().sql("postgres", &format!("CREATE DATABASE {name}"));
    name
}

fn plan(server: &Postgres, user: &str, databases: Databases) -> Plan {
    Plan {
        history: None,
        publish: Publish::default(),
        source: "test".to_owned(),
        namespace: None,
        archive: Archive::S3(ArchiveLocation {
            bucket: "unused".to_owned(),
            path: String::new(),
            server_name: "test".to_owned(),
            endpoint: None,
            region: "unused".to_owned(),
            authority: None,
            credentials: Credentials::Ambient,
        }),
        connection: Some(Connection {
            host: server.socket_directory().display().to_string(),
            port: server.port(),
            user: user.to_owned(),
            password: None,
            database: "postgres".to_owned(),
            tls: Tls::System,
        }),
        databases,
        queries: Vec::new(),
        freshness: Freshness { max_wal_age: Duration::from_mins(15), max_backup_age: Duration::from_hours(25) },
        objectives: Objectives::default(),
        target: Target::Baseline,
        backup: BackupChoice::Newest,
        sandbox: Sandbox::Direct(DirectSandbox {
            directory: "/nonexistent".into(),
            binaries: None,
            user: "postgres".to_owned(),
            spool: 1 << 30,
        }),
        require: Vec::new(),
        limits: Limits {
            drill: Duration::from_mins(10),
            baseline: Duration::from_mins(1),
            statement: Duration::from_secs(30),
            lock: Duration::from_secs(2),
            content: Duration::from_secs(30),
            integrity: Duration::from_secs(30),
            archive_wait: None,
        },
    }
}

fn all_of(database: &str) -> Databases {
    Databases::Named(vec![DatabaseSelection { name: database.to_owned(), tables: None }])
}

/// Captures one database as superuser.
async fn captured(database: &str) -> Baseline {
    capture(&plan(server(), "postgres", all_of(database))).await.unwrap()
}

async fn connect(database: &str) -> Client {
    let server = server();
    connect_to(server, database).await
}

async fn connect_to(server: &Postgres, database: &str) -> Client {
    let connected =
        walproof::postgres::connect_local(server.socket_directory(), server.port(), "postgres", database).await;
    let client = connected.unwrap();
    client.batch_execute("SET search_path = public").await.unwrap();
    client
}

fn rows(database: &DatabaseBaseline) -> Vec<(&str, u64)> {
    let mut rows: Vec<_> = database.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
    rows.sort_unstable();
    rows
}

fn only_table(baseline: &Baseline) -> &TableBaseline {
    assert_eq!(baseline.databases[0].tables.len(), 1, "{baseline:?}");
    &baseline.databases[0].tables[0]
}

fn only_not_read(baseline: &Baseline) -> &NotRead {
    assert_eq!(baseline.not_read.len(), 1, "{:?}", baseline.not_read);
    &baseline.not_read[0]
}

fn role_note(baseline: &Baseline) -> Option<&Finding> {
    baseline.notes.iter().find(|note| note.code == Code::SourceRoleCanWrite)
}

/// A role as the documentation suggests it.
fn reader(name: &str) {
    server().sql("postgres", &format!("CREATE ROLE {name} LOGIN; GRANT pg_monitor, pg_read_all_data TO {name}"));
}

#[tokio::test]
async fn a_quiet_source_is_captured_exactly() {
    let quiet = Postgres::builder().start();
    quiet.sql(
        "postgres",
        "CREATE TABLE note (id serial PRIMARY KEY, \"createdAt\" timestamptz, expires_at date, day date, updated_on date);
         INSERT INTO note (\"createdAt\", expires_at, updated_on) VALUES ('2026-01-01 12:00+02', 'infinity', 'infinity'),
            ('2026-01-02', NULL, '2026-03-04'), ('-infinity', '2099-01-01', NULL);
         CREATE TABLE empty (ts timestamp)",
    );
    let before = quiet.sql("postgres", "SELECT pg_snapshot_xmax(pg_current_snapshot()), pg_current_wal_insert_lsn()");
    let baseline = capture(&plan(&quiet, "postgres", Databases::All)).await.unwrap();
    let after = quiet.sql("postgres", "SELECT pg_snapshot_xmax(pg_current_snapshot()), pg_current_wal_insert_lsn()");

    assert!(baseline.exact);
    assert_eq!(baseline.attempts, 1);
    assert_eq!(baseline.not_read, []);
    let codes: Vec<_> = baseline.notes.iter().map(|note| note.code).collect();
    assert_eq!(codes, [Code::SourceRoleCanWrite], "{:?}", baseline.notes);
    assert_eq!(baseline.databases.len(), 1);
    let database = &baseline.databases[0];
    assert_eq!(rows(database), [("empty", 0), ("note", 3)]);
    let note = database.tables.iter().find(|table| table.name == "note").unwrap();
    let bounds: Vec<_> =
        note.timestamps.iter().map(|t| (t.column.as_str(), t.min.as_deref(), t.max.as_deref())).collect();
    assert_eq!(
        bounds,
        [
            ("createdAt", Some("2026-01-01 10:00:00+00"), Some("2026-01-02 00:00:00+00")),
            ("updated_on", Some("2026-03-04"), Some("2026-03-04"))
        ]
    );
    assert_eq!(database.sequences.len(), 1);
    assert_eq!(database.sequences[0].last_value, Some(3));
    assert_eq!(baseline.server.system_identifier, quiet.system_identifier().to_string());
    assert_eq!(baseline.server.superuser, "postgres");
    assert_eq!(baseline.server.timeline, Timeline(1));
    assert!(baseline.server.data_checksums);

    // Nothing was written: no transaction id was used, and nothing was logged beyond hint bits.
    let (xmax, lsn) = before.split_once('|').unwrap();
    assert_eq!(after.split_once('|').unwrap().0, xmax);
    assert_eq!(baseline.second_snapshot.xmax.to_string(), xmax);
    assert!(baseline.lsn >= lsn.parse::<Lsn>().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_under_concurrent_writers_belong_to_the_snapshot() {
    let database = database();
    server().sql(&database, "CREATE TABLE a (n int); CREATE TABLE b (n int); CREATE TABLE c (n int)");
    let mut writers = Vec::new();
    for _ in 0..3 {
        let client = connect(&database).await;
        writers.push(tokio::spawn(async move {
            loop {
                let sql = "BEGIN; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); INSERT INTO c VALUES (1); COMMIT";
                client.batch_execute(sql).await.unwrap();
            }
        }));
    }
    for _ in 0..5 {
        let baseline = captured(&database).await;
        let counts = rows(&baseline.databases[0]);
        assert_eq!(counts.len(), 3, "{:?}", baseline.not_read);
        assert!(counts.iter().all(|(_, rows)| *rows == counts[0].1), "one snapshot, yet {counts:?}");
        let snapshot = &baseline.databases[0].snapshot;
        let finished = snapshot.finished_between(&baseline.second_snapshot).count;
        let waited = baseline.notes.iter().any(|note| note.code == Code::BaselineInexact);
        assert_eq!(baseline.exact, finished == 0 && !waited, "{finished} finished, {:?}", baseline.notes);
    }
    writers.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Such a commit is in WAL before the LSN, so a restore to the LSN has it, and the snapshot does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_a_synchronous_standby_makes_the_baseline_inexact() {
    let primary = Postgres::builder().setting("synchronous_standby_names", "nobody").start();
    primary.sql("postgres", "SET synchronous_commit = local; CREATE TABLE t (n int)");
    let client = connect_to(&primary, "postgres").await;
    let waiting = tokio::spawn(async move { client.batch_execute("INSERT INTO t VALUES (1)").await });
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    support::process::eventually("the commit waits", Duration::from_secs(30), || {
        (primary.sql("postgres", sql) == "1").then_some(())
    });
    let xid: u64 = primary
        .sql("postgres", "SELECT backend_xid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        .parse()
        .unwrap();

    let baseline = capture(&plan(&primary, "postgres", Databases::All)).await.unwrap();
    assert!(!baseline.exact);
    assert_eq!(only_table(&baseline).rows, 0);
    assert!(!baseline.databases[0].snapshot.is_visible(xid));
    assert!(baseline.second_snapshot.xmax > xid, "the certificate looks below {:?}", baseline.second_snapshot);
    assert!(baseline.notes.iter().any(|note| note.code == Code::BaselineInexact && note.summary.contains("waited")));
    waiting.abort();
}

#[tokio::test]
async fn a_table_behind_row_level_security_is_not_read_and_the_grant_is_named() {
    let database = database();
    reader("reader_rls");
    server().sql(
        &database,
        "CREATE TABLE secret (n int); INSERT INTO secret VALUES (1); ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
         CREATE TABLE open (n int); INSERT INTO open VALUES (1)",
    );
    let baseline = capture(&plan(server(), "reader_rls", all_of(&database))).await.unwrap();
    assert_eq!(rows(&baseline.databases[0]), [("open", 1)]);
    let not_read = only_not_read(&baseline);
    assert_eq!(not_read.table.as_deref(), Some("public.secret"));
    assert!(!not_read.by_design);
    let hint = not_read.hint.as_deref().unwrap();
    assert!(hint.contains("ALTER ROLE \"reader_rls\" BYPASSRLS"), "{hint}");

    server().sql(&database, hint.strip_prefix("as a superuser: ").unwrap());
    let baseline = capture(&plan(server(), "reader_rls", all_of(&database))).await.unwrap();
    assert_eq!(rows(&baseline.databases[0]), [("open", 1), ("secret", 1)]);
}

#[tokio::test]
async fn a_table_that_the_role_may_not_read_is_not_read_and_the_grant_is_named() {
    let database = database();
    server().sql(&database, "CREATE ROLE stranger LOGIN; GRANT pg_monitor TO stranger; CREATE TABLE t (n int)");
    let baseline = capture(&plan(server(), "stranger", all_of(&database))).await.unwrap();
    let not_read = only_not_read(&baseline);
    assert_eq!(not_read.reason, "the role may not read it");
    server().sql(&database, not_read.hint.as_deref().unwrap());
    let baseline = capture(&plan(server(), "stranger", all_of(&database))).await.unwrap();
    assert_eq!(rows(&baseline.databases[0]), [("t", 0)]);
}

#[tokio::test]
async fn unlogged_tables_are_left_out_by_design_and_views_and_foreign_rows_are_not_tables() {
    let database = database();
    server().sql(
        &database,
        "CREATE UNLOGGED TABLE cache (n int); CREATE TABLE kept (n int); CREATE VIEW v AS SELECT 1;
         CREATE MATERIALIZED VIEW m AS SELECT 1",
    );
    let baseline = captured(&database).await;
    assert_eq!(rows(&baseline.databases[0]), [("kept", 0)]);
    let not_read = only_not_read(&baseline);
    assert_eq!(not_read.table.as_deref(), Some("public.cache"));
    assert!(not_read.by_design);
}

#[tokio::test]
async fn a_partitioned_table_is_counted_by_its_leaves_and_a_parent_without_its_children() {
    let database = database();
    server().sql(
        &database,
        "CREATE TABLE log (at timestamptz, recorded_at timestamptz) PARTITION BY RANGE (at);
         CREATE TABLE log_2026 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (recorded_at);
         CREATE TABLE log_2026_rest PARTITION OF log_2026 DEFAULT;
         CREATE TABLE log_rest PARTITION OF log DEFAULT;
         INSERT INTO log VALUES ('2026-05-05', NULL), ('2028-05-05', NULL);
         CREATE TABLE parent (n int); CREATE TABLE child () INHERITS (parent);
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2), (3)",
    );
    let all = captured(&database).await;
    assert_eq!(rows(&all.databases[0]), [("child", 2), ("log_2026_rest", 1), ("log_rest", 1), ("parent", 1)]);

    let selected = TableSelection { schema: "public".into(), name: "log".into(), timestamp: Some("at".into()) };
    let missing = TableSelection { schema: "public".into(), name: "nowhere".into(), timestamp: None };
    let databases =
        Databases::Named(vec![DatabaseSelection { name: database.clone(), tables: Some(vec![selected, missing]) }]);
    let baseline = capture(&plan(server(), "postgres", databases)).await.unwrap();
    assert_eq!(rows(&baseline.databases[0]), [("log_2026_rest", 1), ("log_rest", 1)]);
    let columns = baseline.databases[0].tables.iter().map(|table| table.timestamps[0].column.as_str());
    assert_eq!(columns.collect::<Vec<_>>(), ["at", "at"]);
    assert_eq!(only_not_read(&baseline).reason, "there is no such table");
}

#[tokio::test]
async fn a_configured_timestamp_column_that_does_not_exist_is_said() {
    let database = database();
    server().sql(&database, "CREATE TABLE t (n int, created_at date)");
    let table = TableSelection { schema: "public".into(), name: "t".into(), timestamp: Some("n".into()) };
    let databases = Databases::Named(vec![DatabaseSelection { name: database, tables: Some(vec![table]) }]);
    let baseline = capture(&plan(server(), "postgres", databases)).await.unwrap();
    assert!(only_not_read(&baseline).reason.contains("`n` is no date or timestamp"));
    assert_eq!(only_table(&baseline).timestamps, []);
}

/// Holds up the capture at a locked table, changes another, and lets it go on.
async fn capture_while(plan: &Plan, database: &str, pause: Duration, change: &str) -> Baseline {
    let blocker = connect(database).await;
    blocker.batch_execute("BEGIN; LOCK TABLE aa_locked IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let meanwhile = async {
        let other = connect(database).await;
        let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE NOT granted AND d.datname = current_database()";
        while other.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(pause).await;
        other.batch_execute(change).await.unwrap();
        blocker.batch_execute("COMMIT").await.unwrap();
    };
    let (baseline, ()) = tokio::join!(capture(plan), meanwhile);
    baseline.unwrap()
}

const HELD_UP: &str =
    "CREATE TABLE aa_locked (n int); CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 2000)";

#[tokio::test]
async fn a_truncate_during_the_baseline_makes_it_read_again() {
    let database = database();
    server().sql(&database, HELD_UP);
    let plan = plan(server(), "postgres", all_of(&database));
    let baseline = capture_while(&plan, &database, Duration::ZERO, "TRUNCATE t; INSERT INTO t VALUES (1)").await;
    assert_eq!(baseline.not_read, []);
    assert_eq!(rows(&baseline.databases[0]), [("aa_locked", 0), ("t", 1)]);
    assert!(baseline.attempts >= 2);
}

#[tokio::test]
async fn a_table_rewritten_dropped_or_swapped_without_time_to_read_again_is_not_read() {
    for change in [
        "TRUNCATE t",
        "VACUUM FULL t",
        "DROP TABLE t",
        "BEGIN; ALTER TABLE t RENAME TO old; CREATE TABLE t (n int); COMMIT",
    ] {
        let database = database();
        server().sql(&database, HELD_UP);
        let mut plan = plan(server(), "postgres", all_of(&database));
        // Half of the limit is gone when the change comes, so there is no second round.
        plan.limits.baseline = Duration::from_secs(4);
        plan.limits.lock = Duration::from_secs(5);
        let baseline = capture_while(&plan, &database, Duration::from_millis(2100), change).await;
        assert!(!rows(&baseline.databases[0]).iter().any(|(name, _)| *name == "t"), "{change}: {baseline:?}");
        let reason = &only_not_read(&baseline).reason;
        assert!(reason.contains("while it was read"), "{change}: {reason}");
    }
}

#[tokio::test]
async fn a_table_locked_by_another_session_is_skipped_after_the_lock_limit() {
    let database = database();
    server().sql(&database, HELD_UP);
    let blocker = connect(&database).await;
    blocker.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut plan = plan(server(), "postgres", all_of(&database));
    plan.limits.lock = Duration::from_millis(100);
    let baseline = capture(&plan).await.unwrap();
    assert_eq!(rows(&baseline.databases[0]), [("aa_locked", 0)]);
    assert_eq!(only_not_read(&baseline).reason, "locked by another session for longer than limits.lock");
}

#[tokio::test]
async fn a_session_that_waits_for_our_lock_is_let_through() {
    let database = database();
    // Bounds of hundreds of columns make a count of seconds.
    let usual = ["created_at", "updated_at", "modified_at", "inserted_at", "deleted_at", "occurred_at"];
    let columns: Vec<String> =
        (0..300).map(|n| format!("{}{} date", usual[n % usual.len()], "_".repeat(n / usual.len()))).collect();
    server().sql(
        &database,
        &format!(
            "CREATE TABLE big ({}); INSERT INTO big (created_at) SELECT NULL FROM generate_series(1, 500000)",
            columns.join(", ")
        ),
    );
    let other = connect(&database).await;
    let plan = plan(server(), "postgres", all_of(&database));
    let altering = async {
        let ours = "SELECT count(*) FROM pg_locks WHERE relation = 'big'::regclass AND mode = 'AccessShareLock'";
        while other.query_one(ours, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let started = std::time::Instant::now();
        other.batch_execute("ALTER TABLE big ADD COLUMN m int").await.unwrap();
        started.elapsed()
    };
    let (baseline, waited) = tokio::join!(capture(&plan), altering);
    let cancelled = server().log().contains("canceling statement due to user request");
    assert!(cancelled, "the count did not end early; the other session waited {waited:?}");
    assert_eq!(only_table(&baseline.unwrap()).rows, 500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lock_is_kept_from_one_table_to_the_next() {
    let database = database();
    let tables: Vec<String> = (0..40).map(|n| format!("CREATE TABLE t{n} (n int);")).collect();
    server().sql(&database, &format!("{} {HELD_UP}", tables.join(" ")));
    let watcher = connect(&database).await;
    let plan = plan(server(), "postgres", all_of(&database));
    let watching = tokio::spawn(async move {
        let held = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
            WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND pid <> pg_backend_pid()";
        let mut most = 0;
        loop {
            let count: i64 = watcher.query_one(held, &[]).await.unwrap().get(0);
            most = most.max(count);
            if count < 0 || most > 1 {
                return most;
            }
        }
    });
    for _ in 0..5 {
        assert_eq!(capture(&plan).await.unwrap().databases[0].tables.len(), 42);
    }
    assert!(!watching.is_finished(), "{:?} locks at once", watching.await);
    watching.abort();
}

#[tokio::test]
async fn a_role_that_can_write_is_noted_and_the_suggested_one_is_not() {
    let database = database();
    server().sql(
        &database,
        "CREATE TABLE t (n int); CREATE ROLE scribe LOGIN; GRANT pg_monitor, pg_read_all_data TO scribe;
         GRANT INSERT ON t TO scribe",
    );
    let baseline = capture(&plan(server(), "scribe", all_of(&database))).await.unwrap();
    let note = role_note(&baseline).unwrap();
    assert_eq!(note.observed.as_deref(), Some(format!("may write to public.t in {database}").as_str()));
    let baseline = captured(&database).await;
    let note = role_note(&baseline).unwrap();
    assert_eq!(note.observed.as_deref(), Some("is or may become a superuser"));

    let (_, sql) = note.hint.as_deref().unwrap().split_once(": ").unwrap();
    server().sql(&database, sql);
    let baseline = capture(&plan(server(), "walproof", all_of(&database))).await.unwrap();
    assert_eq!(role_note(&baseline), None);
    assert_eq!(baseline.not_read, []);
    assert_eq!(only_table(&baseline).rows, 0);
    assert!(baseline.exact || baseline.attempts > 1);
    let archiver = baseline.archiver.unwrap();
    assert_eq!(archiver.ready_count, Some(0));
    assert_eq!(archiver.archive_mode, "off");
}

#[tokio::test]
async fn databases_share_one_target_which_is_the_largest_of_their_positions() {
    let (first, second) = (database(), database());
    server().sql(&first, "CREATE TABLE one (n int)");
    server().sql(&second, "CREATE TABLE two (n int)");
    let selection = |name: &str| DatabaseSelection { name: name.to_owned(), tables: None };
    let databases = Databases::Named(vec![selection(&first), selection("missing"), selection(&second)]);
    let baseline = capture(&plan(server(), "postgres", databases)).await.unwrap();
    assert_eq!(baseline.databases.len(), 2);
    assert_eq!(Some(baseline.lsn), baseline.databases.iter().map(|database| database.lsn).max());
    let not_read = only_not_read(&baseline);
    assert_eq!((not_read.database.as_str(), not_read.table.as_deref()), ("missing", None));
    assert!(!not_read.by_design);
}

#[tokio::test]
async fn any_identifier_can_be_read() {
    let database = "it's \"ünï\" \\ code";
    server().sql("postgres", "CREATE DATABASE \"it's \"\"ünï\"\" \\ code\"");
    server().sql(
        database,
        "CREATE SCHEMA \"a \"\"b\"\".c'\"; CREATE TABLE \"a \"\"b\"\".c'\".\"naïve; \\ 'tàble\"\"\" (\"Created \"\"at\" date, n int);
         INSERT INTO \"a \"\"b\"\".c'\".\"naïve; \\ 'tàble\"\"\" VALUES ('2026-01-01', 1)",
    );
    let table = TableSelection {
        schema: "a \"b\".c'".into(),
        name: "naïve; \\ 'tàble\"".into(),
        timestamp: Some("Created \"at".into()),
    };
    let databases = Databases::Named(vec![DatabaseSelection { name: database.into(), tables: Some(vec![table]) }]);
    let baseline = capture(&plan(server(), "postgres", databases)).await.unwrap();
    let table = only_table(&baseline);
    assert_eq!((table.schema.as_str(), table.name.as_str(), table.rows), ("a \"b\".c'", "naïve; \\ 'tàble\"", 1));
    assert_eq!(table.timestamps[0].max.as_deref(), Some("2026-01-01"));
}

#[tokio::test]
async fn a_table_that_does_not_fit_into_the_limits_is_said() {
    let database = database();
    server().sql(&database, "CREATE TABLE big (n int); INSERT INTO big SELECT generate_series(1, 2000000)");
    let mut plan = plan(server(), "postgres", all_of(&database));
    plan.limits.statement = Duration::from_millis(20);
    let baseline = capture(&plan).await.unwrap();
    assert_eq!(only_not_read(&baseline).reason, "took longer than limits.statement");
    plan.limits.baseline = Duration::from_millis(1);
    let baseline = capture(&plan).await.unwrap();
    assert_eq!(only_not_read(&baseline).reason, "did not fit into limits.baseline");
}

#[tokio::test]
async fn a_source_that_cannot_be_reached_is_not_the_backups_fault() {
    let mut plan = plan(server(), "postgres", Databases::All);
    plan.connection.as_mut().unwrap().host = "/nonexistent".to_owned();
    let finding = capture(&plan).await.unwrap_err();
    assert_eq!((finding.code, finding.blame), (Code::SourceUnreachable, Some(Blame::Environment)));

    let plan = self::plan(server(), "nobody_by_this_name", Databases::All);
    let finding = capture(&plan).await.unwrap_err();
    assert_eq!((finding.code, finding.blame), (Code::SourceUnreachable, Some(Blame::Environment)));
    assert!(finding.observed.as_deref().unwrap().contains("refused the role"), "{finding:?}");
}

#[tokio::test]
async fn a_standby_gives_a_baseline_and_a_lagging_one_is_refused() {
    let primary = Postgres::builder().start();
    primary.sql("postgres", "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)");
    let standby = primary.standby();
    standby.wait_until_caught_up_with(&primary);
    let mut plan = plan(&standby, "postgres", Databases::All);
    let baseline = capture(&plan).await.unwrap();
    assert!(baseline.server.in_recovery);
    assert!(baseline.exact);
    assert_eq!(baseline.server.timeline, Timeline(1));
    assert_eq!(only_table(&baseline).rows, 2);

    standby.sql("postgres", "SELECT pg_wal_replay_pause()");
    primary.sql("postgres", "INSERT INTO t VALUES (3)");
    let written = primary.sql("postgres", "SELECT pg_current_wal_flush_lsn()");
    support::process::eventually("the standby has the WAL", Duration::from_secs(30), || {
        (standby.sql("postgres", &format!("SELECT pg_last_wal_receive_lsn() >= '{written}'")) == "t").then_some(())
    });
    plan.freshness.max_wal_age = Duration::from_millis(1);
    let finding = capture(&plan).await.unwrap_err();
    assert_eq!((finding.code, finding.blame), (Code::SourceReplicaLag, Some(Blame::Source)));
}

fn content<'a>(baseline: &'a Baseline, table: &str) -> &'a ContentBaseline {
    let tables = &baseline.databases[0].tables;
    let found = tables.iter().find(|candidate| candidate.name == table).unwrap_or_else(|| panic!("{table}"));
    found.content.as_ref().unwrap()
}

fn sum<'a>(baseline: &'a Baseline, table: &str) -> &'a str {
    match content(baseline, table) {
        ContentBaseline::Fingerprint { sum, .. } => sum,
        ContentBaseline::NotRead(reason) => panic!("{table}: {reason}"),
    }
}

fn why_not<'a>(baseline: &'a Baseline, table: &str) -> &'a str {
    match content(baseline, table) {
        ContentBaseline::NotRead(reason) => reason,
        ContentBaseline::Fingerprint { .. } => panic!("{table} has a fingerprint"),
    }
}

#[tokio::test]
async fn a_fingerprint_knows_no_order_and_sees_values_change_places() {
    let database = database();
    server().sql(
        &database,
        "CREATE TABLE one (n int, t text); INSERT INTO one VALUES (1, 'a'), (2, 'b'), (2, 'b');
         CREATE TABLE reordered (n int, t text); INSERT INTO reordered VALUES (2, 'b'), (1, 'a'), (2, 'b');
         CREATE TABLE swapped (n int, t text); INSERT INTO swapped VALUES (1, 'b'), (2, 'a'), (2, 'b');
         CREATE TABLE doubled (n int, t text); INSERT INTO doubled VALUES (1, 'a'), (1, 'a'), (2, 'b');
         CREATE TABLE empty (n int); CREATE TABLE without_columns (); INSERT INTO without_columns DEFAULT VALUES;
         CREATE TABLE t (t text); INSERT INTO t VALUES ('a'), ('b');
         CREATE TABLE other (t text); INSERT INTO other VALUES ('a'), ('c')",
    );
    let baseline = captured(&database).await;
    assert_eq!(sum(&baseline, "one"), sum(&baseline, "reordered"));
    assert_ne!(sum(&baseline, "one"), sum(&baseline, "swapped"));
    assert_ne!(sum(&baseline, "one"), sum(&baseline, "doubled"));
    assert_ne!(sum(&baseline, "t"), sum(&baseline, "other"));
    assert_eq!(sum(&baseline, "empty"), "0");
    assert_ne!(sum(&baseline, "without_columns"), "0");
    assert_eq!(baseline, serde_json::from_str(&baseline.json()).unwrap());
}

#[tokio::test]
async fn a_fingerprint_depends_on_no_setting_of_role_or_database() {
    let database = database();
    reader("reader_of_values");
    server().sql(
        &database,
        &format!(
            "CREATE TABLE t (a timestamptz, b interval, c bytea, d float8, e money, f date);
             INSERT INTO t VALUES ('2026-01-02 03:04:05+00', '1 day 2 hours', '\\x00ff', 0.1::float4, 12.5, '2026-02-03');
             ALTER DATABASE {database} SET lc_monetary = 'C.UTF-8';"
        ),
    );
    let one = captured(&database).await;
    for setting in [
        "DateStyle = 'German'",
        "IntervalStyle = 'iso_8601'",
        "bytea_output = 'escape'",
        "extra_float_digits = -5",
        "TimeZone = 'Asia/Tokyo'",
        "search_path = 'public'",
    ] {
        server().sql(&database, &format!("ALTER ROLE reader_of_values SET {setting}"));
    }
    let other = capture(&plan(server(), "reader_of_values", all_of(&database))).await.unwrap();
    assert_eq!(sum(&one, "t"), sum(&other, "t"));
}

#[tokio::test]
async fn rows_whose_text_depends_on_more_than_the_row_have_no_fingerprint() {
    let database = database();
    server().sql(
        &database,
        "CREATE DOMAIN relation AS regclass; CREATE TYPE held AS (r relation[]);
         CREATE TABLE names (held held); INSERT INTO names VALUES (ROW(ARRAY['pg_class']::relation[]));
         CREATE TABLE plain (n int); INSERT INTO plain VALUES (1)",
    );
    let baseline = captured(&database).await;
    assert!(why_not(&baseline, "names").contains("holds names of objects"), "{baseline:?}");
    assert_eq!(baseline.not_read, []);
    sum(&baseline, "plain");
}

/// Rows are written as text by the catalog of the moment, not by that of the snapshot.
#[tokio::test]
async fn what_is_altered_while_it_is_read_has_no_fingerprint() {
    for change in [
        "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'",
        // There and back again.
        "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'; ALTER TYPE mood RENAME VALUE 'fine' TO 'good'",
        "ALTER TABLE t ADD COLUMN more int DEFAULT 7",
        "ALTER TABLE t DROP COLUMN n",
        "ALTER TABLE t RENAME COLUMN n TO m",
        "ALTER TYPE pair ADD ATTRIBUTE more int",
    ] {
        let database = database();
        server().sql(
            &database,
            "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (mood mood, n int);
             CREATE TABLE aa_locked (n int); CREATE TABLE t (n int, pairs pair[]);
             INSERT INTO t VALUES (1, ARRAY[ROW('good', 1)]::pair[]); CREATE TABLE kept (n int);
             INSERT INTO kept VALUES (1)",
        );
        let plan = plan(server(), "postgres", all_of(&database));
        let baseline = capture_while(&plan, &database, Duration::ZERO, change).await;
        assert!(why_not(&baseline, "t").contains("altered while it was read"), "{change}: {baseline:?}");
        sum(&baseline, "kept");
    }
}

#[tokio::test]
async fn what_does_not_fit_into_the_limit_is_counted_and_has_no_fingerprint() {
    let database = database();
    server().sql(&database, "CREATE TABLE big (n int); INSERT INTO big SELECT generate_series(1, 300000)");
    let mut plan = plan(server(), "postgres", all_of(&database));
    plan.limits.content = Duration::from_millis(1);
    let baseline = capture(&plan).await.unwrap();
    assert_eq!(rows(&baseline.databases[0]), [("big", 300_000)]);
    assert_eq!(why_not(&baseline, "big"), "did not fit into limits.content");
    plan.limits.content = Duration::from_mins(1);
    sum(&capture(&plan).await.unwrap(), "big");
}

#[tokio::test]
async fn large_objects_have_a_fingerprint_where_the_role_may_read_them() {
    let database = database();
    server().sql(
        &database,
        "CREATE ROLE no_objects LOGIN; GRANT pg_monitor TO no_objects; CREATE TABLE t (n int);
         GRANT SELECT ON t TO no_objects",
    );
    let read = |baseline: &Baseline| baseline.databases[0].large_objects.clone().unwrap();
    let none = LargeObjectsBaseline::Fingerprint { objects: 0, pages: 0, sum: "0".to_owned() };
    let plan = plan(server(), "no_objects", all_of(&database));
    assert_eq!(read(&capture(&plan).await.unwrap()), none);

    server().sql(&database, "SELECT lo_from_bytea(0, 'one'), lo_from_bytea(0, '')");
    let LargeObjectsBaseline::NotRead { reason, hint } = read(&capture(&plan).await.unwrap()) else { panic!() };
    assert!(reason.contains("permission denied"), "{reason}");
    server().sql(&database, &hint.unwrap());
    let LargeObjectsBaseline::Fingerprint { objects, pages, .. } = read(&capture(&plan).await.unwrap()) else {
        panic!()
    };
    assert_eq!((objects, pages), (2, 1));
}

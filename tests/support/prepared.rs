//! The archive that the sabotage and oddity corpora start from: written by this machine's real PostgreSQL and barman,
//! with a baseline taken by walproof. Made once and kept below `target`, because making it takes half a minute; every
//! case works on a copy.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::s3::S3;
use super::walproof::binary;
use super::{ArchiveCopy, Barman, Postgres, Walproof, profile_directory};

/// The server name of the prepared archive.
pub const SERVER: &str = "pal-e-postgres";

/// Changed with everything below that decides what is made.
const RECIPE: u32 = 2;
/// Ages that a configuration in hours speaks of must stay true.
const KEPT: Duration = Duration::from_hours(12);

/// A complete archive: two backups, WAL before, between and after them, a baseline, more WAL after that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prepared {
    directory: PathBuf,
    pub system_identifier: u64,
    /// The backups' ids, oldest first.
    pub backups: Vec<String>,
    /// The names of all archived segments, sorted.
    pub segments: Vec<String>,
    /// The segment in which the baseline's LSN lies.
    pub baseline_segment: String,
    /// The files of relations by `database/relation`; see [`Self::file`].
    files: BTreeMap<String, String>,
}

impl Prepared {
    /// The archive with its baseline, made now if there is none that this walproof took.
    pub fn get() -> &'static Self {
        static PREPARED: OnceLock<Prepared> = OnceLock::new();
        PREPARED.get_or_init(|| kept_or_made(Some(&binary())))
    }

    /// The archive without a baseline document, for tests that need none of walproof.
    pub fn without_baseline() -> &'static Self {
        static PREPARED: OnceLock<Prepared> = OnceLock::new();
        PREPARED.get_or_init(|| kept_or_made(None))
    }

    /// The directory to serve or, rather, to copy: [`super::ArchiveCopy`].
    pub fn root(&self) -> &Path {
        &self.directory
    }

    /// The baseline document that walproof took.
    pub fn baseline(&self) -> PathBuf {
        self.directory.join("baseline.json")
    }

    /// The path below the data directory of a relation of schema `public` or `pg_catalog`, which no writing changed since:
    /// a table, an index, a sequence, a catalog, or `toast of …`. Paths of shared catalogs begin with `global/`.
    #[track_caller]
    pub fn file(&self, database: &str, relation: &str) -> &str {
        let name = format!("{database}/{relation}");
        self.files.get(&name).unwrap_or_else(|| panic!("{name} is none of the source's relations with a file"))
    }

    /// The segments that a restore from a backup to the baseline replays, without the first and the last: those whose
    /// loss is a gap in the middle.
    pub fn segments_between(&self, backup: &str) -> Vec<String> {
        let archive = ArchiveCopy::copy_of(self);
        let info = String::from_utf8(archive.bytes(&archive.backup_key(backup, "backup.info"))).unwrap();
        let end = info.lines().find_map(|line| line.strip_prefix("end_wal=")).unwrap();
        let inside = |name: &&String| name.as_str() > end && name.as_str() < self.baseline_segment.as_str();
        self.segments.iter().filter(inside).cloned().collect()
    }
}

/// The SQL that makes the source's databases. The first two grow all the time ([`WRITES`]). Nobody writes to `vault`
/// after it was made, so that no WAL behind a base backup touches its files: what is broken there stays broken.
pub const SCHEMA: [(&str, &str); 3] = [
    (
        "paledocs",
        "CREATE TABLE authors (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
         CREATE TABLE notes (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             author bigint REFERENCES authors,
             body text NOT NULL,
             updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
         CREATE TABLE empty_table (id bigint PRIMARY KEY, created_at timestamptz);
         INSERT INTO authors (name) SELECT 'author ' || n FROM generate_series(1, 20) n;",
    ),
    (
        "shop",
        "CREATE TABLE orders (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             amount numeric(10, 2) NOT NULL,
             created_at timestamptz NOT NULL DEFAULT clock_timestamp());",
    ),
    ("vault", VAULT),
];

/// Something of every kind that a database holds, with fixed values. A page is frozen when it is written: hint bits that
/// a reader sets later would bring the whole page into WAL.
const VAULT: &str = "
    CREATE EXTENSION citext;
    ALTER DATABASE vault OWNER TO app_owner;
    SET ROLE app_owner;

    CREATE TABLE accounts (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        balance numeric(12, 2) NOT NULL CONSTRAINT balance_is_not_negative CHECK (balance >= 0),
        opened_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL);
    CREATE INDEX accounts_name_idx ON accounts (name);
    INSERT INTO accounts (name, balance, opened_at, updated_at)
        SELECT 'account ' || n, n * 10.25, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 hour',
            timestamptz '2026-02-01 00:00:00+00' + n * interval '1 hour'
        FROM generate_series(1, 500) n;

    -- Forty bodies are stored in the table, eight out of line.
    CREATE TABLE documents (
        id bigint PRIMARY KEY,
        account bigint NOT NULL CONSTRAINT documents_account_fkey REFERENCES accounts,
        body text NOT NULL);
    INSERT INTO documents
        SELECT n, n, (SELECT string_agg(md5(n || '/' || m), '') FROM generate_series(1, length) m)
        FROM (SELECT n, CASE WHEN n > 40 THEN 600 ELSE 50 END FROM generate_series(1, 48) n) AS wanted (n, length);

    CREATE TABLE schema_migrations (version text PRIMARY KEY);
    INSERT INTO schema_migrations SELECT '2026010' || n || '120000' FROM generate_series(1, 5) n;
    CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
    INSERT INTO alembic_version VALUES ('ae1027a6acf4');

    CREATE SEQUENCE ticket_number;
    SELECT setval('ticket_number', 1000);

    CREATE TABLE tenants (id bigint PRIMARY KEY, name citext UNIQUE NOT NULL);
    INSERT INTO tenants SELECT n, 'Tenant ' || n FROM generate_series(1, 7) n;
    ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own_tenant ON tenants FOR SELECT TO auditor USING (name = current_setting('vault.tenant', true));

    CREATE VIEW wealthy_accounts AS SELECT id, name FROM accounts WHERE balance > 1000;
    CREATE FUNCTION interest(balance numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT balance * 0.02';
    CREATE FUNCTION keep_opened_at() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN NEW.opened_at := OLD.opened_at; RETURN NEW; END';
    CREATE TRIGGER accounts_keep_opened_at BEFORE UPDATE ON accounts
        FOR EACH ROW EXECUTE FUNCTION keep_opened_at();

    GRANT SELECT ON accounts TO auditor;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO auditor;

    SELECT lo_from_bytea(50001, decode(repeat('00ff', 3000), 'hex')), lo_from_bytea(50002, 'a large object');

    RESET ROLE;
    VACUUM (FREEZE);
    VACUUM (FREEZE);
    CHECKPOINT;";

/// The roles that [`SCHEMA`] speaks of.
const ROLES: &str = "
    CREATE ROLE auditor NOLOGIN;
    CREATE ROLE app_owner LOGIN CONNECTION LIMIT 50 PASSWORD 'of the application' IN ROLE auditor;
    ALTER ROLE app_owner SET statement_timeout = '30s';";

/// Rows in several transactions: notes and orders come, some notes change and a few go.
pub const WRITES: [(&str, &str); 2] = [
    (
        "paledocs",
        "INSERT INTO notes (author, body) SELECT 1 + n % 20, repeat(md5(n::text), 4) FROM generate_series(1, 300) n;
         INSERT INTO notes (author, body) SELECT 1 + n % 20, repeat(md5(n::text), 4) FROM generate_series(1, 200) n;
         UPDATE notes SET body = body || '.', updated_at = clock_timestamp() WHERE id % 11 = 0;
         DELETE FROM notes WHERE id % 97 = 0;",
    ),
    ("shop", "INSERT INTO orders (amount) SELECT n FROM generate_series(1, 250) n;"),
];

/// Creates the databases of [`SCHEMA`] and their roles.
pub fn create_databases(postgres: &Postgres) {
    postgres.sql("postgres", ROLES);
    for (database, schema) in SCHEMA {
        postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
        postgres.sql(database, schema);
    }
}

/// Runs [`WRITES`] once.
pub fn write_rows(postgres: &Postgres) {
    for (database, writes) in WRITES {
        postgres.sql(database, writes);
    }
}

fn kept_or_made(walproof: Option<&Path>) -> Prepared {
    let kept = profile_directory().join("prepared");
    fs::create_dir_all(&kept).unwrap();
    let mut key = DefaultHasher::new();
    (RECIPE, ROLES, SCHEMA, WRITES).hash(&mut key);
    if let Some(binary) = walproof {
        // Another walproof may write another document.
        fs::metadata(binary).unwrap().modified().unwrap().hash(&mut key);
    }
    let kind = if walproof.is_some() { "baseline" } else { "plain" };
    let directory = kept.join(format!("{kind}-{:016x}", key.finish()));

    // Test binaries may run at the same time.
    let lock = File::create(kept.join(format!("{kind}.lock"))).unwrap();
    lock.lock().unwrap();
    if let Some(prepared) = read(&directory) {
        return prepared;
    }
    for entry in fs::read_dir(&kept).unwrap() {
        let entry = entry.unwrap();
        let of_this_kind = entry.file_name().to_str().is_some_and(|name| name.starts_with(&format!("{kind}-")));
        if of_this_kind {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    make(&directory, walproof.is_some())
}

fn read(directory: &Path) -> Option<Prepared> {
    let facts = directory.join("prepared.json");
    let age = SystemTime::now().duration_since(fs::metadata(&facts).ok()?.modified().ok()?).ok()?;
    (age < KEPT).then(|| serde_json::from_slice(&fs::read(&facts).unwrap()).unwrap())
}

fn make(directory: &Path, with_baseline: bool) -> Prepared {
    fs::create_dir_all(directory).unwrap();
    let s3 = S3::serve(directory);
    let barman = Barman::new(&s3);
    let postgres = Postgres::builder().archive_command(barman.archive_command(SERVER, &["--gzip"])).start();
    let write_segments = |count: usize| {
        for _ in 0..count {
            write_rows(&postgres);
            postgres.switch_wal();
        }
    };

    create_databases(&postgres);
    write_segments(1);
    let first = barman.backup(&postgres, SERVER, &["--gzip"]);
    write_segments(2);
    let second = barman.backup(&postgres, SERVER, &["--gzip"]);
    write_segments(3);
    write_rows(&postgres);
    if with_baseline {
        take_baseline(&s3, &postgres, &directory.join("baseline.json"));
    }
    let baseline_segment = postgres.sql("postgres", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
    write_segments(2);
    postgres.wait_until_archived();

    let segments = ArchiveCopy::copy(directory, SERVER).segments();
    let system_identifier = postgres.system_identifier();
    let prepared = Prepared {
        directory: directory.to_owned(),
        system_identifier,
        backups: vec![first, second],
        segments,
        baseline_segment,
        files: files(&postgres),
    };
    // Written last: a half-made archive is made again.
    fs::write(prepared.directory.join("prepared.json"), serde_json::to_vec_pretty(&prepared).unwrap()).unwrap();
    prepared
}

/// The files of all relations by `database/relation`.
fn files(postgres: &Postgres) -> BTreeMap<String, String> {
    let question = "SELECT coalesce('toast of ' || owner.relname, c.relname), pg_relation_filepath(c.oid)
        FROM pg_class c LEFT JOIN pg_class owner ON owner.reltoastrelid = c.oid
        WHERE c.relkind IN ('r', 'i', 'S', 'm', 't') AND c.relpersistence = 'p'
            AND (owner.oid IS NOT NULL OR c.relnamespace IN ('public'::regnamespace, 'pg_catalog'::regnamespace))";
    let databases = SCHEMA.iter().flat_map(|(database, _)| {
        let listed = postgres.sql(database, question);
        let file =
            |line: &str| line.split_once('|').map(|(name, path)| (format!("{database}/{name}"), path.to_owned()));
        listed.lines().filter_map(file).collect::<Vec<_>>()
    });
    databases.collect()
}

fn take_baseline(s3: &S3, postgres: &Postgres, document: &Path) {
    let outcome =
        Walproof::new(s3, SERVER).connection(postgres).run(&["baseline", "--output-file", document.to_str().unwrap()]);
    assert!(outcome.exit_code == 0 && document.exists(), "walproof baseline: {outcome}");
}

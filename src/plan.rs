//! The plan: one source's configuration made whole and checked. Everything below knows a [`Plan`], never the file.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::archive::wal::Lsn;

mod archive;
mod checks;
mod completion;
mod secrets;

pub use secrets::Secrets;

/// Clocks that differ by less than this are taken for equal.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What one run of one source needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The source's name, as in the configuration.
    pub source: String,
    /// Its Kubernetes namespace, where it has one.
    pub namespace: Option<String>,
    pub archive: ArchiveLocation,
    pub connection: Option<Connection>,
    pub databases: Databases,
    pub freshness: Freshness,
    pub objectives: Objectives,
    pub target: Target,
    pub backup: BackupChoice,
    pub sandbox: DirectSandbox,
    /// What must pass beside the minimum of `verdict.rs`.
    pub require: Vec<Requirement>,
    pub limits: Limits,
}

/// A barman-cloud archive in an S3-compatible store.
#[derive(Debug, Clone)]
pub struct ArchiveLocation {
    pub bucket: String,
    /// The path below the bucket, without leading or trailing slash; empty when there is none.
    pub path: String,
    pub server_name: String,
    /// None means AWS itself.
    pub endpoint: Option<String>,
    pub region: String,
    /// PEM file of a private certificate authority.
    pub ca_file: Option<PathBuf>,
    pub credentials: Credentials,
}

#[derive(Debug, Clone)]
pub enum Credentials {
    /// Read when the plan was made.
    Keys { access_key_id: SecretString, secret_access_key: SecretString, session_token: Option<SecretString> },
    /// What the AWS SDK finds by itself: environment, profile, web identity.
    Ambient,
}

/// How to reach the source's PostgreSQL with a read-only role.
#[derive(Debug, Clone)]
pub struct Connection {
    /// A host name or address, or the directory of a Unix socket (begins with `/`).
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<SecretString>,
    /// The database that is connected to first, to list the others.
    pub database: String,
    pub tls: Tls,
}

#[derive(Debug, Clone)]
pub enum Tls {
    Disabled,
    /// Verified against the operating system's authorities.
    System,
    /// Verified against the authorities in this PEM file.
    CaFile(PathBuf),
}

#[derive(Debug, Clone)]
pub enum Databases {
    /// All but templates, all user tables.
    All,
    Named(Vec<DatabaseSelection>),
}

#[derive(Debug, Clone)]
pub struct DatabaseSelection {
    pub name: String,
    /// None means all user tables.
    pub tables: Option<Vec<TableSelection>>,
}

#[derive(Debug, Clone)]
pub struct TableSelection {
    /// `public` unless the name was written `schema.table`.
    pub schema: String,
    pub name: String,
    pub timestamp: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Freshness {
    pub max_wal_age: Duration,
    pub max_backup_age: Duration,
}

#[derive(Debug, Clone, Default)]
pub struct Objectives {
    pub recovery_time: Option<Duration>,
    pub recovery_point: Option<Duration>,
    pub recovery_window: Option<Duration>,
}

/// Where recovery must stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Exactly at the baseline's LSN.
    Baseline,
    /// The end of the archive.
    Latest,
    /// This long before the run.
    Before(Duration),
    Time(Timestamp),
    Lsn(Lsn),
    Xid(u64),
    Name(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupChoice {
    Newest,
    Oldest,
    /// The newest one night, then older ones in turn.
    Rotate,
    Id(String),
}

/// A group of findings that a user can require to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// The recovery time, point and window objectives.
    Objectives,
    /// The `wal.stale` and `backup.stale` findings.
    Freshness,
    /// Every part of the baseline was captured exactly.
    ExactBaseline,
}

#[derive(Debug, Clone)]
pub struct DirectSandbox {
    /// Where sandboxes are made; each in a directory of its own.
    pub directory: PathBuf,
    /// The directory of `postgres` and `pg_controldata`; None means the one of the backup's major version where
    /// distributions put it.
    pub binaries: Option<PathBuf>,
    /// Who runs PostgreSQL when walproof is started as root.
    pub user: String,
    /// How many bytes of decompressed WAL may wait for replay.
    pub spool: u64,
}

#[derive(Debug, Clone)]
pub struct Limits {
    pub drill: Duration,
    pub baseline: Duration,
    pub statement: Duration,
    pub lock: Duration,
    /// How long a drill waits for the archive to reach the baseline; None means the source's `archive_timeout` and a
    /// minute.
    pub archive_wait: Option<Duration>,
}

/// A configured length of time as the arithmetic of moments wants it.
pub fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

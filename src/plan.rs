//! The plan: one source's configuration made whole and checked. Everything below knows a [`Plan`], never the file.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::archive::wal::Lsn;

mod archive;
mod checks;
mod completion;
mod publish;
mod query;
mod secrets;

pub use archive::{REGION_OF_OTHER_STORES, bucket_and_path};
pub use publish::{
    Address, Authorization, Comment, Endpoint, Forgejo, History, Issue, Publish, SecretPlace, parse_address,
};
pub use query::{Expectation, Query};
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
    pub archive: Archive,
    pub connection: Option<Connection>,
    pub databases: Databases,
    /// The user's own.
    pub queries: Vec<Query>,
    pub freshness: Freshness,
    pub objectives: Objectives,
    pub target: Target,
    pub backup: BackupChoice,
    pub sandbox: Sandbox,
    /// What must pass beside the minimum of `verdict.rs`.
    pub require: Vec<Requirement>,
    pub limits: Limits,
    pub history: Option<History>,
    pub publish: Publish,
}

/// Where the archive is found.
#[derive(Debug, Clone)]
pub enum Archive {
    S3(ArchiveLocation),
    FromCluster(FromCluster),
}

/// The archive that a CloudNativePG `Cluster` in the source's namespace names.
#[derive(Debug, Clone)]
pub struct FromCluster {
    pub namespace: String,
    pub cluster: String,
    /// The store's address for walproof itself, where it is not the `Cluster`'s.
    pub endpoint: Option<String>,
    /// None means production's own key.
    pub credentials: Option<Credentials>,
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
    /// Of a private certificate authority.
    pub authority: Option<Authority>,
    pub credentials: Credentials,
}

/// The certificates of an authority, in PEM.
#[derive(Debug, Clone)]
pub enum Authority {
    File(PathBuf),
    Pem(Vec<u8>),
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
    /// Verified against this authority.
    Authority(Authority),
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
    /// The application's own check.
    App,
    /// The rows of every compared table hold the baseline's values.
    Content,
    /// Tables and indexes were examined inside.
    Integrity,
}

/// Where the restore happens.
#[derive(Debug, Clone)]
pub enum Sandbox {
    Direct(DirectSandbox),
    Operator(OperatorSandbox),
}

/// A scratch `Cluster`, recovered by the operator.
#[derive(Debug, Clone)]
pub struct OperatorSandbox {
    pub namespace: String,
    pub image_override: Option<String>,
    /// From 1 to 20.
    pub storage_factor: f64,
    pub app: Option<App>,
}

/// The application's own check.
#[derive(Debug, Clone)]
pub struct App {
    pub image: String,
    /// Empty means the image's own.
    pub command: Vec<String>,
    pub limit: Duration,
    /// How many of its last lines a report may show.
    pub output_lines: u16,
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
    /// Fingerprinting rows, on the source and again on the restored server.
    pub content: Duration,
    /// Examining tables and indexes inside, on the restored server.
    pub integrity: Duration,
    /// How long a drill waits for the archive to reach the baseline; None means the source's `archive_timeout` and a
    /// minute.
    pub archive_wait: Option<Duration>,
}

/// A configured length of time as the arithmetic of moments wants it.
pub fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

//! One source as written: its archive, how to reach it, and what is asked of its backups.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistakes::Placed;
use super::query::Query;
use super::units::Period;

/// A database cluster whose backups are on trial.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Source {
    /// A name of its own, used in reports and metrics: letters, digits, `.`, `_` and `-`.
    pub name: Placed<String>,
    /// The Kubernetes namespace it runs in, where it runs in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Placed<String>>,
    /// Where its base backups and WAL are kept.
    pub archive: Archive,
    /// How to reach its PostgreSQL with a read-only role. Without it no baseline can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// Which databases are compared. Left out: all but templates, with all their user tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub databases: Option<Placed<Vec<Database>>>,
    /// Queries of your own, asked of the source and of the restored server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queries: Option<Placed<Vec<Query>>>,
    /// How old the newest WAL and the newest base backup may be.
    #[serde(default)]
    pub freshness: Freshness,
    /// What has been promised about recovery.
    #[serde(default)]
    pub objectives: Objectives,
    /// Where recovery must stop.
    #[serde(default)]
    pub target: Target,
    /// Which base backup is restored.
    #[serde(default)]
    pub backup: Backup,
}

/// Where base backups and WAL are kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Archive {
    /// A barman-cloud archive in an S3-compatible object store.
    S3(S3),
    /// The archive that a CloudNativePG `Cluster` of this Kubernetes writes, read from the `Cluster` itself.
    FromCluster(FromCluster),
}

/// A CloudNativePG `Cluster` in the source's `namespace`, in-tree (`barmanObjectStore`) or with the Barman Cloud plugin.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct FromCluster {
    /// The name of the `Cluster`. Left out: the source's `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Placed<String>>,
    /// Another address of the same object store, for a run outside of the cluster that production's address leads
    /// nowhere from. The sandbox keeps production's.
    #[schemars(example = "http://localhost:9000")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Placed<String>>,
    /// A key that can only read, for walproof and for the sandbox. Left out: production's own is read and copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Placed<Credentials>>,
}

/// A barman-cloud archive in an S3-compatible object store.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct S3 {
    /// The bucket and the path below it, as CloudNativePG's `destinationPath`: `s3://bucket/optional/path`.
    #[schemars(example = "s3://postgres-wal/")]
    pub url: Placed<String>,
    /// The directory of this cluster below the url, as CloudNativePG's `serverName`.
    pub server_name: Placed<String>,
    /// The object store's own address. Left out: AWS.
    #[schemars(example = "http://minio.minio:9000")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Placed<String>>,
    /// The store's region. Needed for AWS; `us-east-1` when an endpoint is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Placed<String>>,
    /// A PEM file of the certificate authority that signed the endpoint's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Placed<PathBuf>>,
    /// Where the access key comes from.
    pub credentials: Credentials,
}

/// Where the access key comes from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Credentials {
    /// Each part is the content of a file.
    Files(KeyFiles),
    /// Each part is the value of an environment variable.
    Environment(KeyVariables),
    /// What the AWS SDK finds by itself: its environment variables, profile or web identity.
    Ambient,
}

/// An access key in files; a line break at the end is not part of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KeyFiles {
    /// The file with the access key's id.
    pub access_key_id: Placed<PathBuf>,
    /// The file with the secret access key.
    pub secret_access_key: Placed<PathBuf>,
    /// The file with the session token of a temporary key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Placed<PathBuf>>,
}

/// An access key in environment variables.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KeyVariables {
    /// The variable with the access key's id.
    pub access_key_id: Placed<String>,
    /// The variable with the secret access key.
    pub secret_access_key: Placed<String>,
    /// The variable with the session token of a temporary key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Placed<String>>,
}

/// How to reach the source's PostgreSQL. Everything is read in read-only transactions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Connection {
    /// A host name or address, or the directory of a Unix socket (begins with `/`).
    pub host: Placed<String>,
    /// The port, also of a Unix socket.
    #[serde(default = "default_port")]
    pub port: Placed<u16>,
    /// The role, best one that can only read.
    pub user: Placed<String>,
    /// The file with the password. At most one of `passwordFile` and `passwordEnv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<Placed<PathBuf>>,
    /// The environment variable with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_env: Option<Placed<String>>,
    /// The database that is connected to first, to list the others.
    #[serde(default = "default_database")]
    pub database: Placed<String>,
    /// How the connection is protected. Needed for a host; nothing but `disable` is possible for a Unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Placed<Tls>>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Tls {
    /// Not at all.
    Disable,
    /// TLS, verified against the operating system's certificate authorities.
    System,
    /// TLS, verified against the certificate authorities in this PEM file.
    CaFile(Placed<PathBuf>),
}

/// A database to compare.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Database {
    /// The database's name.
    pub name: Placed<String>,
    /// Which tables are compared. Left out: all user tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<Placed<Vec<Table>>>,
}

/// A table to compare.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Table {
    /// The table's name; `schema.table` when the schema is not `public`.
    pub name: Placed<String>,
    /// The column that says when a row was last written: its newest value is compared too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Placed<String>>,
}

/// How old the newest WAL and the newest base backup may be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Freshness {
    /// The age of the newest archived WAL from which on it is stale.
    pub max_wal_age: Placed<Period>,
    /// The age of the newest completed base backup from which on it is stale.
    pub max_backup_age: Placed<Period>,
}

/// What has been promised about recovery; what is left out is measured, not judged.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Objectives {
    /// Recovery time objective: how long a restore may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rto: Option<Placed<Period>>,
    /// Recovery point objective: how much of the latest work may be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Placed<Period>>,
    /// How far back a restore must be possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_window: Option<Placed<Period>>,
}

/// Where recovery must stop.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Target {
    /// Exactly where the baseline was read, so that counts can be compared exactly.
    Baseline {},
    /// The end of the archive.
    Latest {},
    /// This long before the run.
    Before(Placed<Period>),
    /// This moment, with its offset from UTC.
    Time(#[schemars(extend("format" = "date-time"))] Placed<String>),
    /// This position in the WAL.
    Lsn(#[schemars(regex(pattern = "^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$"))] Placed<String>),
    /// This transaction's commit.
    Xid(#[schemars(range(min = 3, max = 4_294_967_295_u64))] Placed<u64>),
    /// The restore point of this name.
    Name(Placed<String>),
}

/// Which base backup is restored.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Backup {
    /// Always the newest.
    Newest,
    /// The newest one night, then older ones in turn.
    #[default]
    Rotate,
    /// Always the oldest: the longest replay.
    Oldest,
    /// The one with this barman backup id.
    Id(#[schemars(example = "20261121T012331")] Placed<String>),
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            max_wal_age: Period::from_seconds(15 * 60).into(),
            // A nightly backup may take two hours longer than the night before.
            max_backup_age: Period::from_seconds(26 * 60 * 60).into(),
        }
    }
}

impl Default for Target {
    fn default() -> Self {
        Self::Baseline {}
    }
}

fn default_port() -> Placed<u16> {
    5432.into()
}

fn default_database() -> Placed<String> {
    "postgres".to_owned().into()
}

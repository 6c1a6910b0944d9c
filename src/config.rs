//! The configuration file as written, and its schema. Nothing here is checked beyond its structure: [`crate::plan`]
//! makes it whole.

use std::path::PathBuf;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};

pub mod mistakes;
mod outline;
mod publish;
mod query;
mod reading;
mod source;
pub mod units;

pub use publish::{
    Authorization, Basic, Bearer, Comment, ConfigMaps, Forgejo, History, Issue, Publish, Pushgateway, Webhook,
};
pub use query::{Expectation, Query};
pub use source::{
    Archive, Backup, Connection, Credentials, Database, Freshness, FromCluster, KeyFiles, KeyVariables, Objectives, S3,
    Source, Table, Target, Tls,
};

use mistakes::Placed;
use units::{Period, Size};

/// One YAML file, the same for every command. Secrets are never written in it: it names the files or environment
/// variables that hold them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "walproof configuration")]
pub struct Config {
    /// The database clusters whose backups are on trial.
    pub sources: Placed<Vec<Source>>,
    /// Where restores happen.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// Groups of findings that must pass for the verdict PASS, beside the minimum that every drill needs.
    #[serde(default)]
    pub require: Vec<Requirement>,
    /// How long things may take.
    #[serde(default)]
    pub limits: Limits,
    /// Where former runs are kept. Left out: nowhere, unless `--state` names a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Whom a run tells.
    #[serde(default)]
    pub publish: Publish,
    /// What the file was called, for naming mistakes that are found later.
    #[serde(skip)]
    pub(crate) file_name: String,
}

/// Where restores happen.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Sandbox {
    /// walproof downloads the backup itself and runs PostgreSQL on it, on this machine.
    Direct(Direct),
    /// CloudNativePG recovers a scratch `Cluster` in a namespace of this Kubernetes, as in a real disaster.
    Operator(Operator),
}

/// A restore by the CloudNativePG operator. Needs `archive.fromCluster`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Operator {
    /// The namespace for scratch clusters: one of its own, never a source's.
    pub namespace: Placed<String>,
    /// The image to recover with instead of the source's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_override: Option<Placed<String>>,
    /// How many times the source's size the scratch volumes have: a repeated recovery keeps the former attempt's files.
    #[serde(default = "default_storage_factor")]
    #[schemars(range(min = 1, max = 20))]
    pub storage_factor: Placed<f64>,
    /// The application's own check of the restored database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
}

/// A program that looks at the restored database as the application does. It gets `DATABASE_URL`, for the role that
/// owns the application's database; exit code 0 is a pass.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct App {
    /// Its image.
    pub image: Placed<String>,
    /// The program and its arguments. Left out: the image's own.
    #[serde(default)]
    pub command: Vec<String>,
    /// How long it may take.
    #[serde(default = "default_app_limit")]
    pub limit: Placed<Period>,
    /// How many of its last lines the report shows. They may hold what the database holds, so none by default.
    #[serde(default = "default_output_lines")]
    #[schemars(range(max = 50))]
    pub output_lines: Placed<u16>,
}

/// A restore on this machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Direct {
    /// Where sandboxes are made, each in a directory of its own. Left out: the system's directory for temporary files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<Placed<PathBuf>>,
    /// The directory of `postgres` and its tools. Left out: where distributions put the backup's major version.
    #[schemars(example = "/usr/lib/postgresql/17/bin")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binaries: Option<Placed<PathBuf>>,
    /// Who runs PostgreSQL when walproof is started as root, which PostgreSQL refuses.
    pub user: Placed<String>,
    /// How many bytes of decompressed WAL may wait for replay.
    pub spool: Placed<Size>,
}

/// A group of findings that can be required to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Requirement {
    /// The recovery time, point and window objectives.
    Objectives,
    /// WAL and base backup are fresh.
    Freshness,
    /// Every part of the baseline was captured exactly.
    ExactBaseline,
    /// The application's own check.
    App,
    /// The rows of every compared table hold the baseline's values: all fitted into `limits.content`.
    Content,
    /// Tables and indexes of the restored server were examined inside: all fitted into `limits.integrity`.
    Integrity,
}

/// How long things may take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Limits {
    /// A whole drill, tear-down not counted.
    pub drill: Placed<Period>,
    /// Reading the baseline.
    pub baseline: Placed<Period>,
    /// One statement on the source.
    pub statement: Placed<Period>,
    /// Waiting for one lock on the source.
    pub lock: Placed<Period>,
    /// Fingerprinting the rows of tables: on the source within `baseline`, and again on the restored server. What does
    /// not fit is listed as not checked.
    pub content: Placed<Period>,
    /// Examining tables and indexes of the restored server inside. What does not fit is listed as not checked.
    pub integrity: Placed<Period>,
    /// How long a drill waits for the archive to reach the baseline. Left out: the source's `archive_timeout` and a
    /// minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_wait: Option<Placed<Period>>,
}

impl Config {
    /// The JSON schema (draft 2020-12) of the file.
    pub fn schema() -> serde_json::Value {
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Self>().to_value()
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::Direct(Direct::default())
    }
}

impl Default for Direct {
    fn default() -> Self {
        Self { directory: None, binaries: None, user: "postgres".to_owned().into(), spool: Size(1 << 30).into() }
    }
}

fn default_storage_factor() -> Placed<f64> {
    2.0.into()
}

fn default_output_lines() -> Placed<u16> {
    0.into()
}

fn default_app_limit() -> Placed<Period> {
    Period::from_seconds(10 * 60).into()
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drill: Period::from_seconds(4 * 60 * 60).into(),
            baseline: Period::from_seconds(10 * 60).into(),
            statement: Period::from_seconds(5 * 60).into(),
            lock: Period::from_seconds(2).into(),
            content: Period::from_seconds(2 * 60).into(),
            integrity: Period::from_seconds(10 * 60).into(),
            archive_wait: None,
        }
    }
}

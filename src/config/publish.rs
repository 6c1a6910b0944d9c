//! Whom a run tells, as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistakes::Placed;

/// Whom a run tells beside whoever reads its output. What cannot be delivered is kept in the history and sent by the
/// next run; it never changes a verdict.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Publish {
    /// A Prometheus Pushgateway for the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushgateway: Option<Pushgateway>,
    /// A Forgejo whose issues carry the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgejo: Option<Forgejo>,
    /// A URL that gets the JSON report of each run by POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// Where former runs are kept: what worked when, and what is not delivered yet.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum History {
    /// A directory with one file a source.
    Directory(Placed<PathBuf>),
    /// `ConfigMap`s of this Kubernetes, one a source: `walproof-history-<source>`.
    ConfigMaps(ConfigMaps),
}

/// The `ConfigMap`s that hold the history. They must exist; empty is enough.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ConfigMaps {
    /// Their namespace. Left out: the one that walproof itself runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Placed<String>>,
}

/// A Prometheus Pushgateway.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pushgateway {
    /// Its address, with the path that it is served under where there is one.
    #[schemars(example = "http://pushgateway.monitoring:9091")]
    pub url: Placed<String>,
    /// How it knows walproof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// A PEM file of the certificate authority that signed its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Placed<PathBuf>>,
}

/// A URL that gets reports.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Webhook {
    /// The URL. At most one of `url` and `urlFile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Placed<String>>,
    /// The file with the URL, for one that is a secret itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<Placed<PathBuf>>,
    /// How it knows walproof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// A PEM file of the certificate authority that signed its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Placed<PathBuf>>,
}

/// How a service knows walproof.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Authorization {
    /// A name and a password.
    Basic(Basic),
    /// A token.
    Bearer(Bearer),
}

/// A name and a password. One of `passwordFile` and `passwordEnv`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Basic {
    /// The name.
    pub user: Placed<String>,
    /// The file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<Placed<PathBuf>>,
    /// The environment variable with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_env: Option<Placed<String>>,
}

/// A token. One of `tokenFile` and `tokenEnv`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Bearer {
    /// The file with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<Placed<PathBuf>>,
    /// The environment variable with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_env: Option<Placed<String>>,
}

/// A repository on a Forgejo. The token needs the scope `write:issue` alone, and its user write access to issues. One of
/// `tokenFile` and `tokenEnv`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Forgejo {
    /// Its address, without `/api`.
    #[schemars(example = "https://forgejo.example.org")]
    pub url: Placed<String>,
    /// `owner/name`.
    #[schemars(example = "ops/dr-evidence")]
    pub repository: Placed<String>,
    /// The file with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<Placed<PathBuf>>,
    /// The environment variable with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_env: Option<Placed<String>>,
    /// A PEM file of the certificate authority that signed its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<Placed<PathBuf>>,
    /// The issue that carries the outcome.
    #[serde(default)]
    pub issue: Issue,
    /// Which drills are commented on. A check is commented on only when its verdict changed.
    #[serde(default)]
    pub comment: Comment,
    /// Whether a PASS closes a tracking issue; trouble opens it again.
    #[serde(default = "yes")]
    pub close_on_recovery: bool,
    /// Users and teams that a run which is no PASS mentions, without the `@`.
    #[serde(default)]
    pub mention: Vec<Placed<String>>,
    /// Whether text that PostgreSQL or the application printed is shown. It can hold what the database holds.
    #[serde(default)]
    pub show_output: bool,
}

/// The issue that carries the outcome.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Issue {
    /// One of walproof's own for each source and command, made when there is none.
    Tracking {},
    /// This one: it gets comments, and nothing else of it is touched.
    Number(Placed<u64>),
}

/// Which drills are commented on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Comment {
    /// Every one.
    #[default]
    Always,
    /// Those whose verdict differs from the former one's.
    Changes,
}

impl Default for Issue {
    fn default() -> Self {
        Self::Tracking {}
    }
}

fn yes() -> bool {
    true
}

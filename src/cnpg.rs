//! CloudNativePG's objects, as far as walproof reads them: the names of the operator's and the Barman Cloud plugin's
//! API. Unknown fields are ignored, missing ones are `None`, so that an older or newer operator's object can be read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::core::{ApiResource, GroupVersionKind, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the Barman Cloud plugin in `spec.plugins`.
pub const BARMAN_CLOUD_PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
/// On every pod of an instance: the version of the operator that made it.
pub const OPERATOR_VERSION_ANNOTATION: &str = "cnpg.io/operatorVersion";
/// On every object that belongs to a Cluster.
pub const CLUSTER_LABEL: &str = "cnpg.io/cluster";
/// `on` while the Cluster sleeps.
pub const HIBERNATION_ANNOTATION: &str = "cnpg.io/hibernation";
/// A JSON list of fenced instances, `["*"]` for all.
pub const FENCING_ANNOTATION: &str = "cnpg.io/fencedInstances";
/// With `enabled`, the server starts with `archive_mode` off.
pub const SKIP_WAL_ARCHIVING_ANNOTATION: &str = "cnpg.io/skipWalArchiving";

/// The phase of a Cluster that runs as it should.
pub const HEALTHY: &str = "Cluster in healthy state";

pub type Cluster = Object<ClusterSpec, ClusterStatus>;
pub type Backup = Object<BackupSpec, BackupStatus>;
pub type ScheduledBackup = Object<ScheduledBackupSpec, ScheduledBackupStatus>;
pub type ObjectStore = Object<ObjectStoreSpec, Value>;

pub fn clusters() -> ApiResource {
    resource("postgresql.cnpg.io", "Cluster")
}

pub fn backups() -> ApiResource {
    resource("postgresql.cnpg.io", "Backup")
}

pub fn scheduled_backups() -> ApiResource {
    resource("postgresql.cnpg.io", "ScheduledBackup")
}

pub fn object_stores() -> ApiResource {
    resource("barmancloud.cnpg.io", "ObjectStore")
}

fn resource(group: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind))
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterSpec {
    pub image_name: Option<String>,
    pub image_pull_secrets: Vec<SecretName>,
    pub bootstrap: Option<Value>,
    pub storage: Storage,
    pub wal_storage: Option<Storage>,
    pub tablespaces: Vec<Tablespace>,
    pub postgresql: Postgresql,
    pub backup: Option<BackupConfiguration>,
    pub plugins: Vec<Plugin>,
    pub replica: Option<Replica>,
    /// A Secret with the superuser's password that is not the operator's own.
    pub superuser_secret: Option<SecretName>,
    pub managed: Managed,
    pub resources: Option<Value>,
    pub env: Vec<Value>,
    #[serde(rename = "postgresUID")]
    pub postgres_uid: Option<i64>,
    #[serde(rename = "postgresGID")]
    pub postgres_gid: Option<i64>,
}

/// Roles that the operator keeps as they are written here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Managed {
    pub roles: Vec<ManagedRole>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedRole {
    pub password_secret: Option<SecretName>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretName {
    pub name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    /// A quantity, as `10Gi`.
    pub size: Option<String>,
    pub storage_class: Option<String>,
    pub pvc_template: Option<Value>,
}

impl Storage {
    /// The storage class that it asks for by name; None for the cluster's default one.
    pub fn class(&self) -> Option<&str> {
        let of_template = || self.pvc_template.as_ref()?.get("storageClassName")?.as_str();
        self.storage_class.as_deref().or_else(of_template)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tablespace {
    pub name: String,
    pub storage: Storage,
    pub owner: Option<Value>,
    pub temporary: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Postgresql {
    pub parameters: BTreeMap<String, String>,
    #[serde(rename = "shared_preload_libraries")]
    pub shared_preload_libraries: Vec<String>,
    /// Images with extensions that are mounted beside the server (PostgreSQL 18 on).
    pub extensions: Vec<Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupConfiguration {
    pub barman_object_store: Option<BarmanObjectStore>,
    pub volume_snapshot: Option<Value>,
}

/// Where barman-cloud keeps base backups and WAL; the same in a Cluster and in the plugin's `ObjectStore`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BarmanObjectStore {
    pub destination_path: String,
    #[serde(rename = "endpointURL")]
    pub endpoint_url: Option<String>,
    #[serde(rename = "endpointCA")]
    pub endpoint_ca: Option<SecretKey>,
    pub server_name: Option<String>,
    pub s3_credentials: Option<S3Credentials>,
    pub azure_credentials: Option<Value>,
    pub google_credentials: Option<Value>,
    pub wal: Option<Value>,
    pub data: Option<Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3Credentials {
    pub access_key_id: Option<SecretKey>,
    pub secret_access_key: Option<SecretKey>,
    pub session_token: Option<SecretKey>,
    pub region: Option<SecretKey>,
    #[serde(rename = "inheritFromIAMRole")]
    pub inherit_from_iam_role: bool,
}

/// One key of a Secret in the object's own namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretKey {
    pub name: String,
    pub key: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plugin {
    pub name: String,
    pub enabled: Option<bool>,
    pub parameters: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Replica {
    pub enabled: Option<bool>,
    pub primary: Option<String>,
    #[serde(rename = "self")]
    pub own_name: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterStatus {
    pub phase: Option<String>,
    pub phase_reason: Option<String>,
    pub conditions: Vec<Condition>,
    pub image: Option<String>,
    pub pg_data_image_info: Option<ImageInfo>,
    pub current_primary: Option<String>,
    pub ready_instances: Option<i64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageInfo {
    pub image: Option<String>,
    pub major_version: Option<u32>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    pub message: Option<String>,
    pub last_transition_time: Option<Timestamp>,
}

impl ClusterStatus {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupSpec {
    pub cluster: ClusterName,
    /// `barmanObjectStore`, `volumeSnapshot` or `plugin`.
    pub method: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClusterName {
    pub name: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupStatus {
    pub phase: Option<String>,
    pub backup_id: Option<String>,
    pub stopped_at: Option<Timestamp>,
    pub server_name: Option<String>,
    pub destination_path: Option<String>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScheduledBackupSpec {
    pub cluster: ClusterName,
    pub schedule: String,
    pub suspend: Option<bool>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScheduledBackupStatus {
    pub next_schedule_time: Option<Timestamp>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectStoreSpec {
    pub configuration: BarmanObjectStore,
    pub instance_sidecar_configuration: Option<Value>,
}

//! The operator sandbox: a scratch `Cluster` that CloudNativePG recovers, in a namespace of its own. Everything is named
//! after the run before the first request, owned by one ConfigMap, and removed on every path.

pub mod app;
mod changes;
pub mod connect;
pub mod diagnose;
pub mod evidence;
mod follow;
pub mod manifest;
pub mod names;
pub mod network;
pub mod permission;
pub mod pod;
pub mod recovery;
pub mod recovery_log;
pub mod room;
pub mod sweep;
mod tear_down;
pub mod trouble;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use tokio_postgres::Client;
use tokio_util::task::TaskTracker;

use crate::archive::wal::{Lsn, SegmentSize};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::{self, ApiError, ApiErrorKind, Kubernetes};
use crate::postgres::ConnectError;
use connect::Server;
use manifest::Manifest;
use names::Names;
use recovery_log::RecoveryLog;

/// The recovery's log, shared so that a wait that is cut short loses nothing of it.
pub type SharedLog = Arc<Mutex<RecoveryLog>>;

/// The log as far as it was read, even by a reader that failed.
pub fn locked(log: &Mutex<RecoveryLog>) -> MutexGuard<'_, RecoveryLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The objects of one drill in the sandbox's namespace.
pub struct Sandbox {
    pub kubernetes: Kubernetes,
    pub names: Names,
    /// Known once the owner ConfigMap is there.
    owner: Option<OwnerReference>,
    /// What was asked to be made, recorded before the request.
    made: Vec<Made>,
    /// Requests that make something: they are never dropped half-way, since only the answer tells what exists.
    making: TaskTracker,
    server: Option<Server>,
    /// It is left for a person, so that only its expiry makes it a leftover.
    is_kept: bool,
    /// A connection that must fail was seen to fail.
    pub egress_closed: bool,
    log: Option<SharedLog>,
}

/// One object that exists or may exist.
#[derive(Debug, Clone)]
struct Made {
    resource: ApiResource,
    name: String,
}

impl Sandbox {
    /// Names the sandbox; makes nothing yet.
    pub fn new(kubernetes: Kubernetes, names: Names, is_kept: bool) -> Self {
        Self {
            kubernetes,
            names,
            owner: None,
            made: Vec::new(),
            making: TaskTracker::new(),
            server: None,
            is_kept,
            egress_closed: false,
            log: None,
        }
    }

    pub fn owner(&self) -> Option<&OwnerReference> {
        self.owner.as_ref()
    }

    /// Makes the object that owns all others, and says who runs the drill. A sandbox that is to be kept has no holder.
    pub async fn create_owner(&mut self) -> Result<(), Box<Finding>> {
        let holder = if self.is_kept { None } else { kubernetes::holder::holder(&self.kubernetes) };
        let manifest = manifest::owner(&self.names, holder.as_deref());
        let made = self.make(&manifest).await?;
        self.owner = Some(OwnerReference {
            api_version: manifest.resource.api_version,
            kind: manifest.resource.kind,
            name: self.names.name.clone(),
            uid: made.metadata.uid.unwrap_or_default(),
            ..OwnerReference::default()
        });
        Ok(())
    }

    /// Makes one object. Dropping this future does not drop the request: tear-down waits for it.
    pub async fn make(&mut self, manifest: &Manifest) -> Result<DynamicObject, Box<Finding>> {
        let api = self.api(&manifest.resource);
        self.made.push(Made { resource: manifest.resource.clone(), name: manifest.name().to_owned() });
        let (object, doing) = (manifest.object.clone(), format!("create {}", manifest.text()));
        let request = self.making.spawn(async move { kubernetes::create(&api, &doing, &object).await });
        match request.await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(error)) => Err(Box::new(not_made(&manifest.text(), &error))),
            Err(_) => {
                Err(Box::new(Finding::not_checked(Code::RunFailed, "walproof itself failed").of(manifest.text())))
            }
        }
    }

    /// Removes one object before the tear-down does; what cannot be removed now is left to it.
    pub async fn remove(&mut self, resource: &ApiResource, name: &str) {
        let doing = format!("delete {} {}/{name}", resource.kind, self.names.namespace);
        let parameters = tear_down::parameters(None);
        if let Err(error) = kubernetes::delete(&self.api(resource), &doing, name, &parameters).await {
            tracing::debug!("{error}");
        }
    }

    /// Connects to a database of the restored server as its superuser, free to write.
    pub async fn connect(&self, database: &str) -> Result<Client, ConnectError> {
        match &self.server {
            Some(server) => server.connect(database).await,
            None => Err(ConnectError::Unreachable("the restored server never came up".to_owned())),
        }
    }

    /// True when something was asked to be made.
    pub fn exists(&self) -> bool {
        !self.made.is_empty()
    }

    /// How a person reaches a sandbox that is kept.
    pub fn kept(&self) -> String {
        format!(
            "kubectl -n {} exec -it {}-1 -c postgres -- psql   (until {})",
            self.names.namespace, self.names.name, self.names.expires
        )
    }

    /// Begins to keep what the recovery logs.
    pub fn begin_log(&mut self, size: SegmentSize) -> SharedLog {
        Arc::clone(self.log.insert(Arc::new(Mutex::new(RecoveryLog::new(size)))))
    }

    /// True when the recovery's log was read to the end of replay.
    pub fn log_is_whole(&self) -> bool {
        self.log.as_ref().is_some_and(|log| locked(log).is_whole())
    }

    /// The recovery's last complaint about a record, and the LSN from which WAL cannot be read.
    pub fn invalid_record(&self) -> Option<(String, Lsn)> {
        locked(self.log.as_ref()?).invalid_record().cloned()
    }

    pub fn attach(&mut self, server: Server) {
        self.server = Some(server);
    }

    fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.kubernetes.client.clone(), &self.names.namespace, resource)
    }
}

/// Why an object of the sandbox could not be made; never the backups' fault.
fn not_made(text: &str, error: &ApiError) -> Finding {
    let observed = error.to_string();
    let code = match error.kind {
        ApiErrorKind::Forbidden if observed.contains("exceeded quota") => Code::SandboxQuota,
        ApiErrorKind::Unreachable => Code::KubernetesUnreachable,
        _ => Code::SandboxUnusable,
    };
    let hint = match code {
        Code::SandboxQuota => "raise the quota of the sandbox's namespace, or lower `sandbox.operator.storageFactor`",
        _ => error.hint(),
    };
    Finding::failed(code, Blame::Environment, "an object of the sandbox could not be made")
        .of(text)
        .observed(observed)
        .hint(hint)
}

//! What stands around the source's `Cluster` in its namespace, read once for all gates.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;

use crate::cnpg::{self, Backup, CLUSTER_LABEL, ScheduledBackup};
use crate::kubernetes::{self, ApiError, Kubernetes};
use crate::source::cluster::SourceCluster;

/// Each part is there, or why it could not be read.
pub(super) struct Surroundings {
    pub pods: Result<Vec<Pod>, ApiError>,
    pub claims: Result<Vec<PersistentVolumeClaim>, ApiError>,
    /// Of this source, to an object store.
    pub backups: Result<Vec<Backup>, ApiError>,
    pub scheduled: Result<Vec<ScheduledBackup>, ApiError>,
}

impl Surroundings {
    pub async fn read(kubernetes: &Kubernetes, source: &SourceCluster) -> Self {
        let (client, namespace) = (&kubernetes.client, &source.namespace);
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
        let backups: Api<Backup> = Api::namespaced_with(client.clone(), namespace, &cnpg::backups());
        let scheduled: Api<ScheduledBackup> =
            Api::namespaced_with(client.clone(), namespace, &cnpg::scheduled_backups());
        let labels = format!("{CLUSTER_LABEL}={}", source.name);
        let doing = |what: &str| format!("list the {what} in namespace {namespace}");
        let (doing_pods, doing_claims) = (doing("pods"), doing("volume claims"));
        let (doing_backups, doing_scheduled) = (doing("Backups"), doing("ScheduledBackups"));
        let (pods, claims, backups, scheduled) = tokio::join!(
            kubernetes::list(&pods, &doing_pods, &labels),
            kubernetes::list(&claims, &doing_claims, &labels),
            // A Backup made by hand has no label.
            kubernetes::list(&backups, &doing_backups, ""),
            kubernetes::list(&scheduled, &doing_scheduled, ""),
        );
        let is_ours = |backup: &Backup| {
            backup.spec.cluster.name == source.name && backup.spec.method.as_deref() != Some("volumeSnapshot")
        };
        Self {
            pods,
            claims,
            backups: backups.map(|backups| backups.into_iter().filter(is_ours).collect()),
            scheduled: scheduled
                .map(|all| all.into_iter().filter(|scheduled| scheduled.spec.cluster.name == source.name).collect()),
        }
    }
}

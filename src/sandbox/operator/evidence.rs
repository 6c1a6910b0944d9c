//! What the sandbox looked like before it was torn down: conditions, events, pods, volumes and the recovery's log, for
//! whoever reads the report. Bounded, and without any content of rows.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::recovery::warnings_about;
use super::recovery_log::RecoveryLog;
use super::{Sandbox, locked, pod};
use crate::cnpg::{self, Cluster};
use crate::kubernetes;

const LINES: usize = 40;
const LINE_CHARACTERS: usize = 300;

/// Each line is one thing, as Kubernetes or the operator says it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxEvidence {
    /// The scratch Cluster's phase and conditions.
    pub conditions: Vec<String>,
    /// Warnings about the run's objects.
    pub events: Vec<String>,
    pub pods: Vec<String>,
    /// Claims with their volumes; a volume that is retained is found by this name.
    pub volumes: Vec<String>,
    /// The notable lines of the recovery's log.
    pub log: Vec<String>,
}

/// Reads what there is; what cannot be read is left out.
pub async fn collect(sandbox: &Sandbox) -> SandboxEvidence {
    let (client, names) = (&sandbox.kubernetes.client, &sandbox.names);
    let labels = names.cluster_selector();
    let of = format!("{}/{}", names.namespace, names.name);
    let (doing_cluster, doing_pods, doing_claims) =
        (format!("read the Cluster {of}"), format!("list the pods of {of}"), format!("list the volumes of {of}"));
    let clusters: Api<Cluster> = Api::namespaced_with(client.clone(), &names.namespace, &cnpg::clusters());
    let pods: Api<Pod> = Api::namespaced(client.clone(), &names.namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &names.namespace);
    let (cluster, pods, claims, warnings) = tokio::join!(
        kubernetes::get(&clusters, &doing_cluster, &names.name),
        kubernetes::list(&pods, &doing_pods, &labels),
        kubernetes::list(&claims, &doing_claims, &labels),
        warnings_about(sandbox),
    );
    let status = cluster.ok().flatten().and_then(|cluster| cluster.status).unwrap_or_default();
    let phase = status
        .phase
        .iter()
        .map(|phase| format!("phase: {phase} {}", status.phase_reason.as_deref().unwrap_or_default()));
    let conditions = status.conditions.iter().map(|condition| {
        format!("{}={} {}", condition.kind, condition.status, condition.message.as_deref().unwrap_or_default())
    });
    SandboxEvidence {
        conditions: bounded(phase.chain(conditions)),
        events: bounded(warnings.iter().map(|event| {
            format!(
                "{} {}: {}",
                event.involved_object.name.as_deref().unwrap_or_default(),
                event.reason.as_deref().unwrap_or_default(),
                event.message.as_deref().unwrap_or_default()
            )
        })),
        pods: bounded(pods.unwrap_or_default().iter().map(|found| {
            let node = found.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("no node");
            format!("{} {} on {node}", found.metadata.name.as_deref().unwrap_or_default(), pod::phase(found))
        })),
        volumes: bounded(claims.unwrap_or_default().iter().map(|claim| {
            let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or("no volume");
            let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("unknown");
            format!("{} {phase}: {volume}", claim.metadata.name.as_deref().unwrap_or_default())
        })),
        log: sandbox.log.as_ref().map(|log| excerpt(&locked(log))).unwrap_or_default(),
    }
}

fn excerpt(log: &RecoveryLog) -> Vec<String> {
    bounded(log.excerpt().map(str::to_owned))
}

/// The last lines, each cut.
fn bounded(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.map(|line| line.trim().chars().take(LINE_CHARACTERS).collect()).collect();
    let from = lines.len().saturating_sub(LINES);
    lines.drain(..from);
    lines
}

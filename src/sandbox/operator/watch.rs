//! What can be seen of the scratch Cluster at one moment, and what holds it up: a pure reading of the operator's phases
//! and of the pods' states. Each trouble has its patience; the wait itself is in [`super::recovery`].

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};

use super::pod;
use crate::cnpg::Cluster;
use crate::finding::{Blame, Code, Finding};

/// The operator's word for a Cluster that takes connections.
const HEALTHY: &str = "Cluster in healthy state";
/// All recovery Jobs have failed (from 1.28.4, 1.29.2 and 1.30.0 on).
const UNRECOVERABLE: &str = "Cluster is unrecoverable and needs manual intervention";

/// Long enough for a registry that hiccups, short enough for a name that is wrong.
const IMAGE_PATIENCE: Duration = Duration::from_secs(45);
/// Quotas and admission webhooks refuse again and again.
const REFUSED_PATIENCE: Duration = Duration::from_secs(30);
/// An autoscaler adds a node, a provisioner makes a volume within this.
const PLACE_PATIENCE: Duration = Duration::from_mins(5);
/// A plugin's pod may be restarting.
const PLUGIN_PATIENCE: Duration = Duration::from_mins(1);
/// An operator that watches the namespace writes a status within seconds.
const IGNORED_PATIENCE: Duration = Duration::from_mins(1);

/// The Cluster, its pods, and the warnings about them.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// None when it is not there.
    pub cluster: Option<Cluster>,
    pub pods: Vec<Pod>,
    pub warnings: Vec<Event>,
}

/// Something that keeps the recovery from going on.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The same words as long as it is the same trouble.
    pub key: String,
    /// How long it is borne.
    pub patience: Duration,
    pub finding: Finding,
}

impl Seen {
    fn phase(&self) -> &str {
        let status = self.cluster.as_ref().and_then(|cluster| cluster.status.as_ref());
        status.and_then(|status| status.phase.as_deref()).unwrap_or_default()
    }

    /// The primary's pod once the Cluster is healthy.
    pub fn primary(&self) -> Option<String> {
        let status = self.cluster.as_ref()?.status.as_ref()?;
        let is_ready = self.phase() == HEALTHY && status.ready_instances.is_some_and(|ready| ready >= 1);
        if is_ready { status.current_primary.clone() } else { None }
    }

    /// True when the operator has given the recovery up.
    pub fn is_unrecoverable(&self) -> bool {
        self.phase() == UNRECOVERABLE
    }

    /// In one line, for progress and for a wait that ends.
    pub fn text(&self) -> String {
        let status = self.cluster.as_ref().and_then(|cluster| cluster.status.as_ref());
        let reason = status.and_then(|status| status.phase_reason.as_deref()).filter(|reason| !reason.is_empty());
        let phase = if self.phase().is_empty() { "no status yet" } else { self.phase() };
        let pods: Vec<String> = self
            .pods
            .iter()
            .map(|found| format!("{} {}", found.metadata.name.as_deref().unwrap_or("a pod"), pod::phase(found)))
            .collect();
        let mut text = phase.to_owned();
        if let Some(reason) = reason {
            text.push_str(": ");
            text.push_str(reason);
        }
        if !pods.is_empty() {
            text.push_str("; ");
            text.push_str(&pods.join(", "));
        }
        text
    }

    /// What holds the recovery up now, the gravest first.
    pub fn trouble(&self) -> Option<Trouble> {
        let Some(cluster) = &self.cluster else {
            let summary = "the scratch Cluster has vanished";
            return Some(trouble("vanished", Duration::ZERO, Code::SandboxUnusable, summary).hint("who removed it?"));
        };
        let name = cluster.metadata.name.clone().unwrap_or_default();
        self.of_phase().or_else(|| self.of_pods()).or_else(|| self.of_warnings()).map(|mut trouble| {
            trouble.finding.object.get_or_insert(name);
            trouble
        })
    }

    fn of_phase(&self) -> Option<Trouble> {
        let reason = || self.text();
        let found = match self.phase() {
            "" => trouble("ignored", IGNORED_PATIENCE, Code::SandboxPending, "the operator does not act on the Cluster")
                .hint("does the operator run, and does it watch the sandbox's namespace (WATCH_NAMESPACE)?"),
            "Cluster cannot proceed to reconciliation due to an unknown plugin being required"
            | "Cluster cannot proceed to reconciliation due to an error while interacting with plugins" => {
                trouble("plugin", PLUGIN_PATIENCE, Code::OperatorVersion, "the operator cannot use the plugin")
                    .hint("is the Barman Cloud plugin of the cluster running, and as new as the operator needs?")
            }
            "Unable to create required cluster objects" => {
                let refused = "the operator could not make what the Cluster needs";
                trouble("objects", REFUSED_PATIENCE, self.refusal_code(), refused)
                    .hint("does a quota or an admission policy of the sandbox's namespace refuse it?")
            }
            "Invalid cluster definition" | "Cluster has incomplete or invalid image catalog" => {
                trouble("invalid", Duration::ZERO, Code::SandboxUnusable, "the operator refuses the scratch Cluster")
                    .hint("`walproof drill --plan` prints it; the observation says what is wrong with it")
            }
            _ => return None,
        };
        Some(found.observed(reason()))
    }

    fn of_pods(&self) -> Option<Trouble> {
        self.pods.iter().find_map(|found| {
            let name = found.metadata.name.clone().unwrap_or_default();
            if let Some(reason) = pod::stuck(found) {
                let summary = "a pod of the sandbox cannot start its image";
                return Some(
                    trouble("image", IMAGE_PATIENCE, Code::SandboxPending, summary)
                        .observed(reason)
                        .hint("is the image right and can this namespace pull it (`sandbox.operator.imageOverride`, pull secrets)?")
                        .of(name),
                );
            }
            let reason = pod::unschedulable(found)?;
            let warnings = self.warnings_text();
            let summary = "no node takes a pod of the sandbox";
            let observed = if warnings.is_empty() { reason } else { format!("{reason}; {warnings}") };
            Some(
                trouble("unschedulable", PLACE_PATIENCE, Code::SandboxPending, summary)
                    .observed(observed)
                    .hint("is there room on the nodes, and can its volumes be provisioned?")
                    .of(name),
            )
        })
    }

    /// Only while no pod runs: afterwards old warnings say nothing.
    fn of_warnings(&self) -> Option<Trouble> {
        let is_running = self.pods.iter().any(|found| matches!(pod::phase(found), "Running" | "Succeeded"));
        let refused = |event: &&Event| {
            matches!(
                event.reason.as_deref(),
                Some("FailedCreate" | "ProvisioningFailed" | "FailedMount" | "FailedAttachVolume")
            )
        };
        let event = self.warnings.iter().filter(|_| !is_running).rfind(refused)?;
        let patience = if event.reason.as_deref() == Some("FailedCreate") { REFUSED_PATIENCE } else { PLACE_PATIENCE };
        Some(
            trouble("warning", patience, self.refusal_code(), "Kubernetes could not make what the recovery needs")
                .observed(self.warnings_text())
                .hint("does a quota, an admission policy or the storage of the sandbox's namespace refuse it?"),
        )
    }

    fn refusal_code(&self) -> Code {
        let is_quota = self.text().contains("exceeded quota") || self.warnings_text().contains("exceeded quota");
        if is_quota { Code::SandboxQuota } else { Code::SandboxPending }
    }

    /// The newest warnings, each message once.
    pub fn warnings_text(&self) -> String {
        let mut texts: Vec<String> = Vec::new();
        for event in &self.warnings {
            let text = format!(
                "{}: {}",
                event.reason.as_deref().unwrap_or("Warning"),
                event.message.as_deref().unwrap_or_default()
            );
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let from = texts.len().saturating_sub(3);
        texts[from..].join("; ")
    }
}

fn trouble(key: &str, patience: Duration, code: Code, summary: &str) -> Trouble {
    Trouble { key: key.to_owned(), patience, finding: Finding::failed(code, Blame::Environment, summary) }
}

impl Trouble {
    fn of(mut self, object: String) -> Self {
        self.finding = self.finding.of(object);
        self
    }

    fn observed(mut self, observed: String) -> Self {
        self.finding = self.finding.observed(observed);
        self
    }

    fn hint(mut self, hint: &str) -> Self {
        self.finding = self.finding.hint(hint);
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(status: Value, pods: Value) -> Seen {
        let cluster = json!({"metadata": {"name": "walproof-x"}, "spec": {}, "status": status});
        Seen {
            cluster: Some(serde_json::from_value(cluster).unwrap()),
            pods: serde_json::from_value(pods).unwrap(),
            warnings: Vec::new(),
        }
    }

    fn pod(status: Value) -> Value {
        json!([{"metadata": {"name": "walproof-x-1-full-recovery-abcde"}, "status": status}])
    }

    #[test]
    fn a_healthy_cluster_is_ready_only_with_a_ready_primary() {
        let status = |ready: i64| json!({"phase": HEALTHY, "readyInstances": ready, "currentPrimary": "walproof-x-1"});
        assert_eq!(seen(status(1), json!([])).primary().as_deref(), Some("walproof-x-1"));
        assert_eq!(seen(status(0), json!([])).primary(), None);
        assert_eq!(seen(json!({"phase": "Setting up primary", "readyInstances": 1}), json!([])).primary(), None);
    }

    #[test]
    fn a_recovery_that_runs_is_no_trouble() {
        let seen = seen(json!({"phase": "Setting up primary"}), pod(json!({"phase": "Running"})));
        assert!(seen.trouble().is_none());
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_the_environments_fault() {
        let waiting = json!({"name": "full-recovery", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}});
        let seen = seen(
            json!({"phase": "Setting up primary"}),
            pod(json!({"phase": "Pending", "containerStatuses": [waiting]})),
        );
        let trouble = seen.trouble().unwrap();
        assert_eq!((trouble.finding.code, trouble.finding.blame), (Code::SandboxPending, Some(Blame::Environment)));
        assert!(trouble.finding.observed.unwrap().contains("ImagePullBackOff"));
    }

    #[test]
    fn a_pod_without_a_node_carries_the_warning_about_its_volume() {
        let condition = json!({"type": "PodScheduled", "status": "False", "message": "unbound PersistentVolumeClaims"});
        let mut seen = seen(
            json!({"phase": "Setting up primary"}),
            pod(json!({"phase": "Pending", "conditions": [condition]})),
        );
        let event = json!({"metadata": {}, "involvedObject": {}, "reason": "ProvisioningFailed",
            "message": "storageclass not found"});
        seen.warnings = vec![serde_json::from_value(event).unwrap()];
        let trouble = seen.trouble().unwrap();
        assert_eq!(trouble.patience, PLACE_PATIENCE);
        assert!(trouble.finding.observed.unwrap().contains("storageclass not found"));
    }

    #[test]
    fn a_refusal_by_quota_is_told_from_other_refusals() {
        let mut seen = seen(json!({"phase": "Setting up primary"}), json!([]));
        let event = |message: &str| {
            serde_json::from_value(json!({"metadata": {}, "involvedObject": {}, "reason": "FailedCreate",
                "message": message}))
            .unwrap()
        };
        seen.warnings = vec![event("pods \"x\" is forbidden: exceeded quota: small")];
        assert_eq!(seen.trouble().unwrap().finding.code, Code::SandboxQuota);
        seen.warnings = vec![event("admission webhook denied the request")];
        assert_eq!(seen.trouble().unwrap().finding.code, Code::SandboxPending);
    }

    #[test]
    fn an_operator_that_never_writes_a_status_is_noticed() {
        assert_eq!(seen(json!({}), json!([])).trouble().unwrap().key, "ignored");
        assert_eq!(Seen::default().trouble().unwrap().key, "vanished");
    }
}

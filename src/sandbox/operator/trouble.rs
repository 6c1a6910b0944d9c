//! What can be seen of the scratch Cluster at one moment, and what holds it up: a pure reading of the operator's phases
//! and of the pods' states. Each trouble has its patience; the wait itself is in [`super::recovery`].

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};

use super::follow::Attempts;
use super::pod;
use crate::cnpg::{Cluster, HEALTHY};
use crate::finding::{Blame, Code, Finding};

/// All recovery Jobs have failed (from 1.28.4, 1.29.2 and 1.30.0 on).
const UNRECOVERABLE: &str = "Cluster is unrecoverable and needs manual intervention";

/// Where the operator runs PostgreSQL once it is recovered.
const INSTANCE_CONTAINER: &str = "postgres";

/// Long enough for a registry that hiccups, short enough for a name that is wrong.
const IMAGE_PATIENCE: Duration = Duration::from_secs(45);
/// Quotas and admission webhooks refuse again and again.
const REFUSED_PATIENCE: Duration = Duration::from_secs(30);
/// An autoscaler adds a node, a provisioner makes a volume within this.
const PLACE_PATIENCE: Duration = Duration::from_mins(5);
/// A plugin's pod may be restarting.
const PLUGIN_PATIENCE: Duration = Duration::from_mins(1);
/// A server that cannot start is started again after 10, 20, 40, 80 seconds.
const CRASH_PATIENCE: Duration = Duration::from_mins(3);
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

    /// The recovery's container that was killed for its memory, in Kubernetes' words.
    pub fn out_of_memory(&self) -> Option<String> {
        let recovering = self.pods.iter().filter(|found| !Attempts::of(found).containers.is_empty());
        recovering.filter_map(pod::out_of_memory).next_back()
    }

    /// What holds the recovery up now, the gravest first.
    pub fn trouble(&self) -> Option<Trouble> {
        let Some(cluster) = &self.cluster else {
            let finding = failed(Code::SandboxUnusable, "the scratch Cluster has vanished").hint("who removed it?");
            return Some(trouble("vanished", Duration::ZERO, finding));
        };
        let name = cluster.metadata.name.clone().unwrap_or_default();
        self.of_phase().or_else(|| self.of_pods()).or_else(|| self.of_warnings()).map(|mut trouble| {
            trouble.finding.object.get_or_insert(name);
            trouble
        })
    }

    fn of_phase(&self) -> Option<Trouble> {
        let (key, patience, code, summary, hint) = match self.phase() {
            "" => (
                "ignored",
                IGNORED_PATIENCE,
                Code::SandboxPending,
                "the operator does not act on the Cluster",
                "does the operator run, and does it watch the sandbox's namespace (WATCH_NAMESPACE)?",
            ),
            "Cluster cannot proceed to reconciliation due to an unknown plugin being required"
            | "Cluster cannot proceed to reconciliation due to an error while interacting with plugins" => (
                "plugin",
                PLUGIN_PATIENCE,
                Code::OperatorVersion,
                "the operator cannot use the plugin",
                "is the Barman Cloud plugin of the cluster running, and as new as the operator needs?",
            ),
            "Unable to create required cluster objects" => (
                "objects",
                REFUSED_PATIENCE,
                self.refusal_code(),
                "the operator could not make what the Cluster needs",
                "does a quota or an admission policy of the sandbox's namespace refuse it?",
            ),
            "Invalid cluster definition" | "Cluster has incomplete or invalid image catalog" => (
                "invalid",
                Duration::ZERO,
                Code::SandboxUnusable,
                "the operator refuses the scratch Cluster",
                "`walproof drill --plan` prints it; the observation says what is wrong with it",
            ),
            _ => return None,
        };
        Some(trouble(key, patience, failed(code, summary).observed(self.text()).hint(hint)))
    }

    fn of_pods(&self) -> Option<Trouble> {
        self.pods.iter().find_map(|found| {
            let (key, patience, finding) = self.of_pod(found)?;
            Some(trouble(key, patience, finding.of(found.metadata.name.clone().unwrap_or_default())))
        })
    }

    fn of_pod(&self, found: &Pod) -> Option<(&'static str, Duration, Finding)> {
        if let Some(reason) = pod::stuck(found) {
            let finding = failed(Code::SandboxPending, "a pod of the sandbox cannot start its image")
                .observed(reason)
                .hint("is the image right and can this namespace pull it (`sandbox.operator.imageOverride`, pull secrets)?");
            return Some(("image", IMAGE_PATIENCE, finding));
        }
        if let Some(reason) = pod::crashing(found, INSTANCE_CONTAINER) {
            let hint = if reason.contains(pod::OUT_OF_MEMORY) {
                "`spec.resources` and shared_buffers are copied from the source: do they fit one another, and the limits of \
                 the sandbox's namespace?"
            } else {
                "do the copied shared_buffers, huge pages and preload libraries fit the sandbox's node and image? Run the \
                 drill with --keep and read the pod's log"
            };
            let summary = "the restored server ends again and again before it takes connections";
            return Some(("crash", CRASH_PATIENCE, failed(Code::SandboxPending, summary).observed(reason).hint(hint)));
        }
        let reason = pod::unschedulable(found)?;
        let warnings = self.warnings_text();
        let finding = failed(Code::SandboxPending, "no node takes a pod of the sandbox")
            .observed(if warnings.is_empty() { reason } else { format!("{reason}; {warnings}") })
            .hint("is there room on the nodes, and can its volumes be provisioned?");
        Some(("unschedulable", PLACE_PATIENCE, finding))
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
        let finding = failed(self.refusal_code(), "Kubernetes could not make what the recovery needs")
            .observed(self.warnings_text())
            .hint("does a quota, an admission policy or the storage of the sandbox's namespace refuse it?");
        Some(trouble("warning", patience, finding))
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

fn trouble(key: &str, patience: Duration, finding: Finding) -> Trouble {
    Trouble { key: key.to_owned(), patience, finding }
}

/// Nothing that is seen here is the backups' fault.
fn failed(code: Code, summary: &str) -> Finding {
    Finding::failed(code, Blame::Environment, summary)
}

#[cfg(test)]
mod tests;

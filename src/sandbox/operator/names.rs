//! The names and labels of a run's objects. All follow from the run id, so that tear-down needs no answer of any
//! request, and a sweep can tell ours from others.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cnpg::CLUSTER_LABEL;
use crate::run::{PREFIX, is_run_id};

pub const PROGRAM: &str = "walproof";
pub const RUN_LABEL: &str = "walproof.dev/run";
pub const SOURCE_LABEL: &str = "walproof.dev/source";
pub const EXPIRES_ANNOTATION: &str = "walproof.dev/expires";
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// An annotation against a mesh's sidecar, which would keep a pod from ending.
pub const NO_SIDECAR: (&str, &str) = ("sidecar.istio.io/inject", "false");

/// What one run calls its objects.
#[derive(Debug, Clone)]
pub struct Names {
    pub namespace: String,
    /// `walproof-<run id>`: the owner ConfigMap and the scratch Cluster.
    pub name: String,
    run: String,
    /// `<namespace>.<cluster>` of the source.
    source: String,
    /// From then on anybody may sweep it.
    pub expires: Timestamp,
}

impl Names {
    pub fn new(namespace: &str, run_id: &str, source: &str, expires: Timestamp) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: format!("{PREFIX}{run_id}"),
            run: run_id.to_owned(),
            source: source.to_owned(),
            expires,
        }
    }

    /// The run that an object of this name belongs to; None for a name that no run gives.
    pub fn run_of(name: &str) -> Option<&str> {
        name.strip_prefix(PREFIX).filter(|run| is_run_id(run))
    }

    /// The Secret with the key to the archive, and the plugin's ObjectStore.
    pub fn store(&self) -> String {
        format!("{}-store", self.name)
    }

    /// The Pod that tests the network.
    pub fn network(&self) -> String {
        format!("{}-network", self.name)
    }

    /// The Job of the application's check.
    pub fn app(&self) -> String {
        format!("{}-app", self.name)
    }

    /// The Service of the restored primary.
    pub fn service(&self) -> String {
        format!("{}-rw", self.name)
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.inherited_labels();
        labels.insert(SOURCE_LABEL.to_owned(), label_value(&self.source));
        labels
    }

    /// What the operator puts on everything that it makes for the scratch Cluster.
    pub fn inherited_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (MANAGED_BY_LABEL.to_owned(), PROGRAM.to_owned()),
            (RUN_LABEL.to_owned(), self.run.clone()),
            // A backup of the cluster's objects has no use for a copy of production's data.
            ("velero.io/exclude-from-backup".to_owned(), "true".to_owned()),
        ])
    }

    pub fn annotations(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(EXPIRES_ANNOTATION.to_owned(), self.expires.to_string())])
    }

    /// Selects what the operator made for the scratch Cluster.
    pub fn cluster_selector(&self) -> String {
        format!("{CLUSTER_LABEL}={}", self.name)
    }

    /// True for the labels of an object of this run, of whatever version of walproof.
    pub fn owns(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(MANAGED_BY_LABEL).is_some_and(|value| value == PROGRAM) && labels.get(RUN_LABEL) == Some(&self.run)
    }

    /// Selects everything of any run.
    pub fn any_selector() -> String {
        format!("{MANAGED_BY_LABEL}={PROGRAM}")
    }
}

/// Labels hold at most 63 bytes.
fn label_value(text: &str) -> String {
    text.chars().take(63).collect::<String>().trim_end_matches(['.', '-', '_']).to_owned()
}

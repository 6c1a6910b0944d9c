//! How a run reaches its source: the archive's store, and where the source is a `Cluster`, the API server and what it
//! says. Whatever cannot be reached is a finding, so that every run ends in a report.

use super::cluster::SourceCluster;
use crate::archive::store::Store;
use crate::error::{Error, chain};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::Kubernetes;
use crate::plan::{Archive, FromCluster, Plan};

/// What is there to ask.
pub struct Reach {
    /// The archive as a person writes it; the Cluster's name as long as it is not known.
    pub archive: String,
    pub store: Option<Store>,
    /// Only of a source in Kubernetes.
    pub kubernetes: Option<Kubernetes>,
    pub source: Option<SourceCluster>,
    /// Why something above is missing.
    pub findings: Vec<Finding>,
}

impl Reach {
    /// Finds the archive of `plan`. `impersonated` is the user to act as in Kubernetes. The only errors are mistakes of
    /// the configuration.
    pub async fn of(plan: &Plan, impersonated: Option<&str>) -> Result<Self, Error> {
        match &plan.archive {
            Archive::S3(location) => {
                let store = Store::open(location).await?;
                let archive = store.url();
                Ok(Self { archive, store: Some(store), kubernetes: None, source: None, findings: Vec::new() })
            }
            Archive::FromCluster(from) => match Kubernetes::connect(impersonated).await {
                Ok(kubernetes) => Ok(Self::through(from, kubernetes).await),
                Err(error) => {
                    let finding = Finding::failed(
                        Code::KubernetesUnreachable,
                        Blame::Environment,
                        "the Kubernetes API could not be asked",
                    );
                    let finding = finding.observed(error.to_string()).hint(error.hint());
                    Ok(Self::nothing(from, None, finding))
                }
            },
        }
    }

    /// As [`Reach::of`], by a connection to the API server that is there already.
    pub async fn through(from: &FromCluster, kubernetes: Kubernetes) -> Self {
        match SourceCluster::read(&kubernetes, from).await {
            Ok(source) => {
                let store = match Store::open(&source.location).await {
                    Ok(store) => store,
                    Err(error) => {
                        let finding = Finding::not_checked(Code::CredentialsUnusable, "the store cannot be talked to")
                            .of(source.text())
                            .observed(chain(&error));
                        return Self::nothing(from, Some(kubernetes), finding);
                    }
                };
                Self {
                    archive: store.url(),
                    store: Some(store),
                    kubernetes: Some(kubernetes),
                    source: Some(source),
                    findings: Vec::new(),
                }
            }
            Err(finding) => Self::nothing(from, Some(kubernetes), *finding),
        }
    }

    fn nothing(from: &FromCluster, kubernetes: Option<Kubernetes>, finding: Finding) -> Self {
        let archive = format!("of Cluster {}/{}", from.namespace, from.cluster);
        Self { archive, store: None, kubernetes, source: None, findings: vec![finding] }
    }
}

//! Tear-down by name: everything that was or may have been made is deleted until it is accepted, and waited for until
//! it is gone. Gone already is success; what stays is named.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Preconditions, PropagationPolicy};
use kube::core::metadata::PartialObjectMeta;
use kube::api::ListParams;

use super::{Made, Sandbox};
use crate::cnpg::CLUSTER_LABEL;
use crate::kubernetes::{self, ApiError};

/// A pod that has been told to stop, and a volume that a provisioner removes, are gone within this.
const LIMIT: Duration = Duration::from_mins(3);
/// Requests that make something are answered or given up by their own limit well within this.
const MAKING_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_secs(1);

/// What is known of one object that has to go.
struct Leaving {
    made: Made,
    /// The delete was accepted, for the object of this UID.
    accepted: Option<String>,
    last: String,
}

impl Sandbox {
    /// Deletes everything and waits until it is gone. Says what could not be removed. May be repeated.
    pub async fn tear_down(&mut self) -> Vec<String> {
        self.server = None;
        self.making.close();
        let is_quiet = tokio::time::timeout(MAKING_LIMIT, self.making.wait()).await.is_ok();
        if self.made.is_empty() {
            return Vec::new();
        }
        // The owner goes last: until then a sweep finds what is left by it.
        let mut leaving: Vec<Leaving> = self.made.iter().rev().cloned().map(Leaving::new).collect();
        let started = Instant::now();
        loop {
            self.step(&mut leaving).await;
            let dependants = if leaving.is_empty() { self.dependants().await } else { Ok(Vec::new()) };
            match dependants {
                Ok(names) if leaving.is_empty() && names.is_empty() && is_quiet => {
                    self.made.clear();
                    return Vec::new();
                }
                rest if started.elapsed() >= LIMIT => return self.left(&leaving, rest),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Asks for each deletion that is not accepted yet, and forgets what is gone.
    async fn step(&self, leaving: &mut Vec<Leaving>) {
        let mut rest = Vec::new();
        for mut one in std::mem::take(leaving) {
            let api = self.api(&one.made.resource);
            let text = format!("{} {}/{}", one.made.resource.kind, self.names.namespace, one.made.name);
            // Nothing else owns what the owner owns, so it must not go before the rest has.
            let is_owner = one.made.name == self.names.name && one.made.resource.kind == "ConfigMap";
            if is_owner && !rest.is_empty() {
                rest.push(one);
                continue;
            }
            match kubernetes::get(&api, &format!("read {text}"), &one.made.name).await {
                Ok(None) => continue,
                Ok(Some(object)) => self.delete(&api, &text, &object, &mut one).await,
                Err(error) => one.last = error.to_string(),
            }
            rest.push(one);
        }
        *leaving = rest;
    }

    async fn delete(&self, api: &Api<DynamicObject>, text: &str, object: &DynamicObject, one: &mut Leaving) {
        let uid = object.metadata.uid.clone();
        let is_ours = object.metadata.labels.as_ref().is_some_and(|labels| {
            self.names.inherited_labels().iter().all(|(name, value)| labels.get(name) == Some(value))
        });
        if !is_ours {
            "an object of this name is not ours".clone_into(&mut one.last);
            return;
        }
        if uid.is_some() && one.accepted == uid {
            "it is being deleted".clone_into(&mut one.last);
            return;
        }
        match kubernetes::delete(api, &format!("delete {text}"), &one.made.name, &parameters(uid.clone())).await {
            Ok(()) => one.accepted = uid,
            Err(error) => one.last = error.to_string(),
        }
    }

    /// What the operator made for the scratch Cluster and is still there.
    async fn dependants(&self) -> Result<Vec<String>, ApiError> {
        let labels = format!("{CLUSTER_LABEL}={}", self.names.name);
        let (pods, claims, secrets) = tokio::join!(
            self.metadata::<Pod>("list the sandbox's pods", &labels),
            self.metadata::<PersistentVolumeClaim>("list the sandbox's volumes", &labels),
            self.metadata::<Secret>("list the sandbox's secrets", &labels),
        );
        let mut names = Vec::new();
        for (kind, found) in [("Pod", pods?), ("PersistentVolumeClaim", claims?), ("Secret", secrets?)] {
            names.extend(found.into_iter().map(|name| format!("{kind} {}/{name}", self.names.namespace)));
        }
        Ok(names)
    }

    /// Names alone: the answer holds no secret.
    async fn metadata<K>(&self, doing: &str, labels: &str) -> Result<Vec<String>, ApiError>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.kubernetes.client.clone(), &self.names.namespace);
        let found = kubernetes::ask(doing, api.list_metadata(&ListParams::default().labels(labels))).await?;
        Ok(found.items.into_iter().filter_map(|object: PartialObjectMeta<K>| object.metadata.name).collect())
    }

    fn left(&self, leaving: &[Leaving], dependants: Result<Vec<String>, ApiError>) -> Vec<String> {
        let mut left: Vec<String> = leaving
            .iter()
            .map(|one| format!("{} {}/{}: {}", one.made.resource.kind, self.names.namespace, one.made.name, one.last))
            .collect();
        match dependants {
            Ok(names) => left.extend(names),
            Err(error) => left.push(format!("what belongs to Cluster {}: {error}", self.names.name)),
        }
        if left.is_empty() {
            left.push(format!("a request for {} was never answered", self.names.name));
        }
        left
    }
}

impl Leaving {
    fn new(made: Made) -> Self {
        Self { made, accepted: None, last: "it was not deleted yet".to_owned() }
    }
}

/// Deletes what belongs to the object too, in the background; only the object of this UID where one is given.
pub(super) fn parameters(uid: Option<String>) -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None }),
        ..DeleteParams::default()
    }
}

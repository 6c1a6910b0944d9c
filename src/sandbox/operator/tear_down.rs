//! Tear-down by name: everything that was or may have been made is deleted until it is accepted, and waited for until
//! it is gone. Gone already is success; what stays is named.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::Api;
use kube::api::ListParams;
use kube::api::{DeleteParams, DynamicObject, Preconditions, PropagationPolicy};
use kube::core::metadata::PartialObjectMeta;

use super::{Made, Sandbox};
use crate::kubernetes::{self, ApiError};

/// A pod that has been told to stop, and a volume that a provisioner removes, are gone within this.
const LIMIT: Duration = Duration::from_mins(3);
/// Requests that make something are answered or given up by their own limit well within this.
const MAKING_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_secs(1);
const OWNER_KIND: &str = "ConfigMap";

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
        // The owner goes last: as long as anything is there, a sweep finds it by its owner.
        let is_owner = |made: &Made| made.name == self.names.name && made.resource.kind == OWNER_KIND;
        let (owner, rest): (Vec<Made>, Vec<Made>) = self.made.iter().rev().cloned().partition(is_owner);
        let mut leaving: Vec<Leaving> = rest.into_iter().map(Leaving::new).collect();
        let mut owner: Vec<Leaving> = owner.into_iter().map(Leaving::new).collect();
        let deadline = Instant::now() + LIMIT;
        loop {
            self.step(&mut leaving, deadline).await;
            let mut dependants = Ok(Vec::new());
            if leaving.is_empty() {
                dependants = self.dependants().await;
                if dependants.as_ref().is_ok_and(Vec::is_empty) && is_quiet {
                    self.step(&mut owner, deadline).await;
                    if owner.is_empty() {
                        self.made.clear();
                        return Vec::new();
                    }
                }
            }
            if Instant::now() >= deadline {
                leaving.append(&mut owner);
                return self.left(&leaving, dependants);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Asks for each deletion that is not accepted yet, and forgets what is gone.
    async fn step(&self, leaving: &mut Vec<Leaving>, deadline: Instant) {
        let mut index = 0;
        while index < leaving.len() && Instant::now() < deadline {
            let one = &mut leaving[index];
            let api = self.api(&one.made.resource);
            let text = format!("{} {}/{}", one.made.resource.kind, self.names.namespace, one.made.name);
            match kubernetes::get(&api, &format!("read {text}"), &one.made.name).await {
                Ok(None) => {
                    leaving.remove(index);
                    continue;
                }
                Ok(Some(object)) => self.delete(&api, &text, &object, one).await,
                Err(error) => one.last = error.to_string(),
            }
            index += 1;
        }
    }

    async fn delete(&self, api: &Api<DynamicObject>, text: &str, object: &DynamicObject, one: &mut Leaving) {
        let uid = object.metadata.uid.clone();
        if !object.metadata.labels.as_ref().is_some_and(|labels| self.names.owns(labels)) {
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
        let labels = self.names.cluster_selector();
        let (pods, claims, secrets) = tokio::join!(
            self.metadata::<Pod>("pods", &labels),
            self.metadata::<PersistentVolumeClaim>("volumes", &labels),
            self.metadata::<Secret>("secrets", &labels),
        );
        let mut names = Vec::new();
        for (kind, found) in [("Pod", pods?), ("PersistentVolumeClaim", claims?), ("Secret", secrets?)] {
            names.extend(found.into_iter().map(|name| format!("{kind} {}/{name}", self.names.namespace)));
        }
        Ok(names)
    }

    /// Names alone: the answer holds no secret.
    async fn metadata<K>(&self, what: &str, labels: &str) -> Result<Vec<String>, ApiError>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.kubernetes.client.clone(), &self.names.namespace);
        let doing = format!("list the {what} of {}/{}", self.names.namespace, self.names.name);
        let found = kubernetes::ask(&doing, api.list_metadata(&ListParams::default().labels(labels))).await?;
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

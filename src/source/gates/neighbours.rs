//! Whether the archive shares the database's fate: on the same node, or behind the same storage class. Each step may be
//! refused; what is known then is said.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{self, PersistentVolumeClaim, Pod};
use kube::Api;

use super::surroundings::Surroundings;
use super::unread;
use crate::finding::{Code, Finding};
use crate::kubernetes::{self, ApiError, Kubernetes};
use crate::source::cluster::SourceCluster;
use crate::source::endpoint::{Endpoint, Service};

/// Where pods run and what they write to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    nodes: BTreeSet<String>,
    /// Storage classes of the claims; empty when they could not be read.
    classes: BTreeSet<String>,
}

pub(super) async fn ask(kubernetes: &Kubernetes, source: &SourceCluster, surroundings: &Surroundings) -> Finding {
    let url = source.store.endpoint_url.as_deref();
    let endpoint = Endpoint::of(source);
    let Some(Service { name: service, namespace }) = endpoint.as_ref().and_then(Endpoint::service) else {
        return elsewhere(url);
    };
    let namespace = namespace.unwrap_or(&source.namespace);
    let store = match store_place(kubernetes, service, namespace).await {
        Ok(Some(place)) => place,
        Ok(None) => return elsewhere(url),
        Err(error) => {
            let summary = "whether the archive lies beside the database is not known";
            let permission =
                format!("`get` and `list` on services, pods and persistentvolumeclaims in namespace {namespace}");
            return unread(Code::ArchiveBesideSource, summary, &error, &permission);
        }
    };
    let pods = match &surroundings.pods {
        Ok(pods) => pods,
        Err(error) => {
            let summary = "whether the archive lies beside the database is not known";
            return unread(Code::ArchiveBesideSource, summary, error, "`list` on pods in the source's namespace");
        }
    };
    let claims = surroundings.claims.as_deref().unwrap_or_default();
    judge(&format!("{namespace}/{service}"), &store, &Place { nodes: nodes(pods), classes: classes(claims) })
}

/// The pods behind the Service; None when there is no such Service, or it selects none.
async fn store_place(kubernetes: &Kubernetes, service: &str, namespace: &str) -> Result<Option<Place>, ApiError> {
    let services: Api<v1::Service> = Api::namespaced(kubernetes.client.clone(), namespace);
    let doing = format!("read the Service {namespace}/{service}");
    let found = kubernetes::get(&services, &doing, service).await?;
    let Some(selector) = found.and_then(|found| found.spec?.selector).filter(|selector| !selector.is_empty()) else {
        return Ok(None);
    };
    let labels = selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let pods: Api<Pod> = Api::namespaced(kubernetes.client.clone(), namespace);
    let pods = kubernetes::list(&pods, &format!("list the pods of Service {namespace}/{service}"), &labels).await?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(kubernetes.client.clone(), namespace);
    let claims = kubernetes::list(&claims, &format!("list the volume claims in namespace {namespace}"), "").await;
    let used: BTreeSet<String> = pods.iter().flat_map(claims_of).collect();
    let claims: Vec<PersistentVolumeClaim> = claims
        .unwrap_or_default()
        .into_iter()
        .filter(|claim| claim.metadata.name.as_ref().is_some_and(|name| used.contains(name)))
        .collect();
    let place = Place { nodes: nodes(&pods), classes: classes(&claims) };
    Ok((!place.nodes.is_empty()).then_some(place))
}

fn nodes(pods: &[Pod]) -> BTreeSet<String> {
    pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect()
}

fn classes(claims: &[PersistentVolumeClaim]) -> BTreeSet<String> {
    claims.iter().filter_map(|claim| claim.spec.as_ref()?.storage_class_name.clone()).collect()
}

fn claims_of(pod: &Pod) -> Vec<String> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    volumes.iter().filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.clone())).collect()
}

fn elsewhere(url: Option<&str>) -> Finding {
    let place = url.map_or("AWS itself".to_owned(), str::to_owned);
    let summary = format!("the archive is at {place}, which is no Service with pods in this cluster");
    Finding::note(Code::ArchiveBesideSource, summary).hint("make sure that it outlives this cluster's nodes and disks")
}

fn judge(store: &str, archive: &Place, source: &Place) -> Finding {
    let code = Code::ArchiveBesideSource;
    let common = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.intersection(other).cloned().collect::<Vec<_>>().join(", ")
    };
    let nodes = common(&archive.nodes, &source.nodes);
    let classes = common(&archive.classes, &source.classes);
    let mut shared = Vec::new();
    if !nodes.is_empty() {
        shared.push(format!("node {nodes}"));
    }
    if !classes.is_empty() {
        shared.push(format!("storage class {classes}"));
    }
    if !shared.is_empty() {
        return Finding::note(code, "what destroys the database may destroy its archive too")
            .of(store)
            .expected("another node and other disks, better another site")
            .observed(format!("both are on {}", shared.join(" and ")))
            .hint("copy the archive to a place that does not share this cluster's fate");
    }
    let unknown = if archive.classes.is_empty() || source.classes.is_empty() {
        "; their storage classes are not known"
    } else {
        " and another storage class"
    };
    Finding::note(code, format!("the object store runs on another node than the source{unknown}"))
        .of(store)
        .hint("both are in this cluster: copy the archive to a place that does not share its fate")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(nodes: &[&str], classes: &[&str]) -> Place {
        let set = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        Place { nodes: set(nodes), classes: set(classes) }
    }

    #[test]
    fn a_shared_node_or_storage_class_is_said() {
        let archive = place(&["a"], &["local"]);
        let observed = |source: Place| judge("minio/minio", &archive, &source).observed;
        assert_eq!(observed(place(&["b"], &["ceph"])), None);
        assert_eq!(observed(place(&["b"], &[])), None);
        assert_eq!(observed(place(&["a", "b"], &["ceph"])).unwrap(), "both are on node a");
        assert_eq!(observed(place(&["a"], &["local"])).unwrap(), "both are on node a and storage class local");
        assert_eq!(observed(place(&["b"], &["local"])).unwrap(), "both are on storage class local");
        let unknown = judge("minio/minio", &archive, &place(&["b"], &[]));
        assert!(unknown.summary.contains("not known"), "{}", unknown.summary);
    }
}

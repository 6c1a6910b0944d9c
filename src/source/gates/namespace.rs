//! The sandbox's namespace: there, and nobody else's.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::listed;
use crate::cnpg::{self, Cluster};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::{self, ApiError, ApiErrorKind, Kubernetes};
use crate::sandbox::operator::names::{MANAGED_BY_LABEL, PROGRAM};

pub(super) async fn ask(kubernetes: &Kubernetes, name: &str) -> Vec<Finding> {
    let namespaces: Api<Namespace> = Api::all(kubernetes.client.clone());
    let clusters: Api<Cluster> = Api::namespaced_with(kubernetes.client.clone(), name, &cnpg::clusters());
    let (doing_get, doing_list) = (format!("read namespace {name}"), format!("list the Clusters in namespace {name}"));
    let (namespace, clusters) =
        tokio::join!(kubernetes::get(&namespaces, &doing_get, name), kubernetes::list(&clusters, &doing_list, ""),);
    judge(name, &namespace, &clusters)
}

fn judge(
    name: &str,
    namespace: &Result<Option<Namespace>, ApiError>,
    clusters: &Result<Vec<Cluster>, ApiError>,
) -> Vec<Finding> {
    let code = Code::SandboxNamespace;
    let failed = |summary: &str| Finding::failed(code, Blame::Environment, summary).of(name);
    let is_ending = |namespace: &Namespace| namespace.metadata.deletion_timestamp.is_some();
    match (namespace, clusters) {
        (Ok(None), _) => {
            return vec![failed("the sandbox's namespace does not exist").hint(format!(
                "create it with the Role of docs/kubernetes.md, or correct `sandbox.operator.namespace`: {name}"
            ))];
        }
        (Ok(Some(namespace)), _) if is_ending(namespace) => {
            return vec![
                failed("the sandbox's namespace is being deleted").hint("wait until it is gone, and make it anew"),
            ];
        }
        (_, Err(error)) if error.kind == ApiErrorKind::Forbidden => {
            return vec![
                failed("the drill has no rights in the sandbox's namespace")
                    .observed(error.to_string())
                    .hint("bind the Role of docs/kubernetes.md there"),
            ];
        }
        (_, Err(error)) => {
            return vec![
                Finding::not_checked(code, "whether the sandbox's namespace can be used is not known")
                    .of(name)
                    .observed(error.to_string())
                    .hint(error.hint()),
            ];
        }
        // A Role in a namespace that does not exist is impossible, so the list is proof enough.
        (Ok(Some(_)) | Err(_), Ok(_)) => {}
    }
    let mut findings = vec![Finding::passed(code, "the sandbox's namespace is there").of(name)];
    findings.extend(foreign(name, clusters.as_deref().unwrap_or_default()));
    findings
}

/// What a sweep will never touch.
fn foreign(name: &str, clusters: &[Cluster]) -> Option<Finding> {
    let is_ours = |cluster: &&Cluster| {
        let labels = cluster.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(MANAGED_BY_LABEL)).is_some_and(|by| by == PROGRAM)
    };
    let foreign: Vec<String> = clusters
        .iter()
        .filter(|cluster| !is_ours(cluster))
        .filter_map(|cluster| cluster.metadata.name.clone())
        .collect();
    (!foreign.is_empty()).then(|| {
        Finding::note(Code::SandboxNamespace, "the sandbox's namespace holds Clusters that walproof did not make")
            .of(name)
            .observed(listed(&foreign))
            .hint("give the sandbox a namespace of its own; the drill leaves these alone")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::finding::Outcome;
    use crate::source::fixture::{api_error, object};

    #[test]
    fn a_namespace_that_can_be_listed_is_there() {
        let namespace = || object(json!({"metadata": {"name": "sandbox"}}));
        let ending = || object(json!({"metadata": {"name": "sandbox", "deletionTimestamp": "2026-11-21T12:00:00Z"}}));
        let own = || object(json!({"metadata": {"name": "r", "labels": {MANAGED_BY_LABEL: PROGRAM}}, "spec": {}}));
        let foreign = || object(json!({"metadata": {"name": "hers"}, "spec": {}}));
        for (name, namespace, clusters, expected) in [
            ("read and listed", Ok(Some(namespace())), Ok(vec![]), vec![Outcome::Passed]),
            ("only listed", Err(api_error(403)), Ok(vec![own()]), vec![Outcome::Passed]),
            ("with another's", Ok(Some(namespace())), Ok(vec![own(), foreign()]), vec![Outcome::Passed, Outcome::Note]),
            ("absent", Ok(None), Ok(vec![]), vec![Outcome::Failed]),
            ("being deleted", Ok(Some(ending())), Ok(vec![]), vec![Outcome::Failed]),
            ("no rights", Err(api_error(403)), Err(api_error(403)), vec![Outcome::Failed]),
            ("no answer", Ok(Some(namespace())), Err(api_error(500)), vec![Outcome::NotChecked]),
        ] {
            let outcomes: Vec<Outcome> =
                judge("sandbox", &namespace, &clusters).into_iter().map(|finding| finding.outcome).collect();
            assert_eq!(outcomes, expected, "{name}");
        }
    }
}

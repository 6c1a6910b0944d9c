//! The sandbox's volumes: whether they go with their claims, and how much they take.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;

use super::unread;
use crate::cnpg::Storage;
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::{self, ApiError, Kubernetes};
use crate::report::text::bytes;
use crate::sandbox::operator::room::Sizes;
use crate::source::cluster::SourceCluster;

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) async fn ask(kubernetes: &Kubernetes, source: &SourceCluster, sizes: &Sizes) -> Vec<Finding> {
    let classes: Api<StorageClass> = Api::all(kubernetes.client.clone());
    let nodes: Api<Node> = Api::all(kubernetes.client.clone());
    let (classes, nodes) = tokio::join!(
        kubernetes::list(&classes, "list the storage classes", ""),
        kubernetes::list(&nodes, "list the nodes", ""),
    );
    let storages = volumes(source);
    vec![retained(&storages, &classes), space(sizes, &nodes)]
}

/// Which classes the volumes ask for; None is the default one.
fn volumes(source: &SourceCluster) -> BTreeSet<Option<String>> {
    let spec = &source.cluster.spec;
    let class = |storage: &Storage| storage.class().map(str::to_owned);
    let tablespaces = spec.tablespaces.iter().map(|tablespace| &tablespace.storage);
    std::iter::once(&spec.storage).chain(&spec.wal_storage).chain(tablespaces).map(class).collect()
}

fn retained(wanted: &BTreeSet<Option<String>>, classes: &Result<Vec<StorageClass>, ApiError>) -> Finding {
    let code = Code::SandboxVolumesRetained;
    let classes = match classes {
        Ok(classes) => classes,
        Err(error) => {
            let summary = "whether the sandbox's volumes go with their claims is not known";
            return unread(code, summary, error, "`list` on storageclasses (optional, cluster-wide)");
        }
    };
    let name = |class: &StorageClass| class.metadata.name.clone().unwrap_or_default();
    let is_default = |class: &StorageClass| {
        class.metadata.annotations.as_ref().and_then(|all| all.get(DEFAULT_CLASS)).is_some_and(|value| value == "true")
    };
    let is_wanted =
        |class: &&StorageClass| wanted.contains(&Some(name(class))) || (wanted.contains(&None) && is_default(class));
    let used: Vec<&StorageClass> = classes.iter().filter(is_wanted).collect();
    let keeps = |class: &&&StorageClass| class.reclaim_policy.as_deref() == Some("Retain");
    let keeping: Vec<String> = used.iter().filter(keeps).map(|class| name(class)).collect();
    if !keeping.is_empty() {
        return Finding::note(code, "the storage class keeps volumes: a copy of the database stays after every drill")
            .of(keeping.join(", "))
            .expected("reclaimPolicy: Delete")
            .observed("reclaimPolicy: Retain")
            .hint("delete the released volumes of the sandbox's namespace, and their data, by hand or by a job");
    }
    if used.len() < wanted.len() {
        return Finding::note(code, "the storage class of the sandbox's volumes was not found among the cluster's")
            .hint("does the cluster have a default storage class?");
    }
    let names: Vec<String> = used.iter().map(|class| name(class)).collect();
    Finding::passed(code, format!("volumes of storage class {} go with their claims", names.join(", ")))
}

/// The API server knows no free bytes, but a node that is short of them says so.
fn space(sizes: &Sizes, nodes: &Result<Vec<Node>, ApiError>) -> Finding {
    let code = Code::SandboxNoSpace;
    let asks = format!("the sandbox asks for {} of volumes", bytes(sizes.bytes()));
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(error) => {
            let summary = format!("{asks}; whether a node is short of space is not known");
            return unread(code, &summary, error, "`list` on nodes (optional, cluster-wide)");
        }
    };
    let usable = nodes
        .iter()
        .filter(|node| node.spec.as_ref().is_none_or(|spec| spec.unschedulable != Some(true)) && is(node, "Ready"));
    let (full, free): (Vec<&Node>, Vec<&Node>) = usable.partition(|node| is(node, "DiskPressure"));
    if free.is_empty() && !full.is_empty() {
        let names: Vec<String> = full.iter().filter_map(|node| node.metadata.name.clone()).collect();
        return Finding::failed(code, Blame::Environment, "every node is short of disk space")
            .of(names.join(", "))
            .observed("condition DiskPressure")
            .hint("a restore would make it worse: free space on a node first");
    }
    Finding::note(code, format!("{asks}; how much is free behind their storage class, the API server does not know"))
}

fn is(node: &Node, condition: &str) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|known| known.type_ == condition && known.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::finding::Outcome;
    use crate::source::fixture::{api_error, object, source};

    fn class(name: &str, policy: &str, default: &str) -> StorageClass {
        object(json!({
            "metadata": {"name": name, "annotations": {DEFAULT_CLASS: default}},
            "provisioner": "x", "reclaimPolicy": policy
        }))
    }

    #[test]
    fn a_class_that_keeps_volumes_is_a_note() {
        let classes = vec![class("fast", "Delete", "true"), class("safe", "Retain", "false")];
        let some = |name: &str| Some(name.to_owned());
        for (wanted, expected) in [
            (vec![None], Outcome::Passed),
            (vec![some("fast")], Outcome::Passed),
            (vec![None, some("safe")], Outcome::Note),
            (vec![some("gone")], Outcome::Note),
        ] {
            let finding = retained(&wanted.iter().cloned().collect(), &Ok(classes.clone()));
            assert_eq!(finding.outcome, expected, "{wanted:?}");
        }
        let keeping = retained(&[some("safe")].into(), &Ok(classes));
        assert_eq!(keeping.observed.as_deref(), Some("reclaimPolicy: Retain"));
        assert_eq!(retained(&[None].into(), &Err(api_error(403))).outcome, Outcome::Note);
        assert_eq!(volumes(&source()), [None].into());
    }

    #[test]
    fn only_nodes_that_are_all_short_of_space_stop_a_drill() {
        let node = |pressure: &str, ready: &str| -> Node {
            object(json!({"metadata": {"name": "n"}, "status": {"conditions": [
                {"type": "DiskPressure", "status": pressure}, {"type": "Ready", "status": ready}
            ]}}))
        };
        let sizes = Sizes { data: "4096Mi".to_owned(), wal: None, tablespaces: vec![] };
        for (nodes, expected) in [
            (vec![node("False", "True")], Outcome::Note),
            (vec![node("True", "True"), node("False", "True")], Outcome::Note),
            (vec![node("True", "True")], Outcome::Failed),
            (vec![node("True", "True"), node("False", "False")], Outcome::Failed),
            (vec![], Outcome::Note),
        ] {
            assert_eq!(space(&sizes, &Ok(nodes.clone())).outcome, expected, "{nodes:?}");
        }
        let unread = space(&sizes, &Err(api_error(403)));
        assert_eq!(unread.outcome, Outcome::Note);
        assert!(unread.summary.starts_with("the sandbox asks for 4.0 GiB"), "{}", unread.summary);
    }
}

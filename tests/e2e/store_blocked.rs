//! The classic: the object store admits production, and nobody thought of the night when a restore needs it elsewhere.

use serde_json::json;

use crate::drill_pod::Drill;
use crate::source::{IN_TREE, PLUGIN};
use crate::{installation, kubectl, sandbox};

#[test]
fn a_store_that_admits_production_only_is_named_with_the_policy_that_opens_it() {
    let drill = Drill::of(&IN_TREE);
    let admitted = [IN_TREE.namespace, PLUGIN.namespace, installation::NAMESPACE];
    let _closed = kubectl::lend(vec![json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "e2e-production-only", "namespace": "minio"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"namespaceSelector": {"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "In", "values": admitted},
            ]}}]}],
        },
    })]);

    let judged = drill.run();

    let blocked = judged.is_inconclusive("network.store_blocked");
    let hint = blocked["hint"].as_str().unwrap_or_else(|| panic!("no hint\n{judged}"));
    assert!(hint.contains("NetworkPolicy") && hint.contains(sandbox::NAMESPACE), "{hint}");

    let _opened = kubectl::lend(kubectl::documents("optional/store-ingress.yaml"));
    Drill::of(&IN_TREE).run().passes();
}

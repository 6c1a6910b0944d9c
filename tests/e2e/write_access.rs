//! The drill's identity may write to production, by one verb that somebody granted in passing.

use serde_json::{Value, json};

use crate::drill_pod::Drill;
use crate::source::IN_TREE;
use crate::{installation, kubectl, sandbox};

#[test]
fn a_verb_that_writes_to_production_is_refused_and_nothing_is_made() {
    refused(&json!({"apiGroups": ["postgresql.cnpg.io"], "resources": ["clusters"], "verbs": ["patch"]}));
}

#[test]
fn so_is_one_that_is_granted_for_a_single_object_by_name() {
    refused(&json!({
        "apiGroups": ["postgresql.cnpg.io"],
        "resources": ["clusters"],
        "resourceNames": [IN_TREE.cluster],
        "verbs": ["patch"],
    }));
}

#[track_caller]
fn refused(granted: &Value) {
    let drill = Drill::of(&IN_TREE);
    let role = json!({"name": "e2e-writer", "namespace": IN_TREE.namespace});
    let api = "rbac.authorization.k8s.io";
    let version = format!("{api}/v1");
    let _lent = kubectl::lend(vec![
        json!({"apiVersion": version, "kind": "Role", "metadata": role, "rules": [granted]}),
        json!({
            "apiVersion": version,
            "kind": "RoleBinding",
            "metadata": role,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "e2e-writer"},
            "subjects": [{"kind": "ServiceAccount", "name": "walproof", "namespace": installation::NAMESPACE}],
        }),
    ]);
    let made = sandbox::Watch::begin();

    let judged = drill.run();

    let found = judged.is_inconclusive("access.can_write");
    assert!(found.to_string().contains("patch"), "{judged}");
    assert_eq!(made.end(), Vec::<String>::new(), "{judged}");
}

//! The sandbox's namespace may not have the volume that a restore needs.

use serde_json::json;

use crate::drill_pod::Drill;
use crate::source::IN_TREE;
use crate::{kubectl, sandbox};

#[test]
fn a_full_quota_is_inconclusive_before_anything_is_restored() {
    let drill = Drill::of(&IN_TREE);
    let _quota = kubectl::lend(vec![json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "e2e-full", "namespace": sandbox::NAMESPACE},
        "spec": {"hard": {"requests.storage": "1Gi"}},
    })]);

    let judged = drill.run();

    judged.is_inconclusive("sandbox.quota");
}

//! No key of walproof's own: production's is read and copied, where that is allowed, and the report says so.

use serde_json::json;

use crate::drill_pod::Drill;
use crate::kubectl;
use crate::source::IN_TREE;

#[test]
fn without_a_key_of_its_own_production_s_is_copied_and_said() {
    let drill = Drill::of(&IN_TREE).set("/sources/0/archive/fromCluster", json!({}));
    let _readable = kubectl::lend(kubectl::documents("optional/production-key.yaml"));

    let judged = drill.run();

    judged.passes();
    judged.finding("credentials.can_write", "note");
}

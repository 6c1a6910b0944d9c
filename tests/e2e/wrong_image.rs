//! An image that no registry has.

use serde_json::json;

use crate::drill_pod::Drill;
use crate::source::IN_TREE;

#[test]
fn an_image_that_cannot_be_pulled_is_inconclusive() {
    let image = "walproof.lab/postgresql:17.99";
    let judged = Drill::of(&IN_TREE).set("/sandbox/operator/imageOverride", json!(image)).run();

    let pending = judged.is_inconclusive("sandbox.pending");
    assert!(pending.to_string().contains(image), "{judged}");
}

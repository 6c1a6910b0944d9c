//! The database role of the baseline container cannot log in. The drill, which has no way into the database, says so.

use serde_json::json;

use crate::drill_pod::Drill;
use crate::source::IN_TREE;

#[test]
fn a_baseline_that_cannot_be_read_is_reported_by_the_drill() {
    let judged = Drill::of(&IN_TREE).set("/sources/0/connection/user", json!("nobody")).run();

    judged.is_inconclusive("source.unreachable");
}

//! A source that nobody writes to: nothing more is archived, and nothing is missing.

use serde_json::json;

use crate::drill_pod::Drill;
use crate::source::IN_TREE;

#[test]
fn an_idle_source_passes_although_its_last_position_is_never_archived() {
    let drill = Drill::of(&IN_TREE).idle().set("/limits/archiveWait", json!("75s"));
    IN_TREE.fall_idle();

    let judged = drill.run();

    judged.passes();
    judged.finding("recovery.transactions_missing", "passed");
    judged.finding("archive.behind_target", "note");
}

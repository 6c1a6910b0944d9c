//! WAL between the base backup and the baseline is gone from the object store.

use serde_json::json;

use crate::drill_pod::Drill;
use crate::source::IN_TREE;
use crate::store::Missing;

#[test]
fn a_segment_deleted_from_the_object_store_fails_by_name() {
    // A hole may close for as long as WAL may be late.
    let drill = Drill::of(&IN_TREE).set("/sources/0/freshness/maxWalAge", json!("5s"));
    let segment = IN_TREE.archive_a_segment();
    IN_TREE.archive_a_segment();
    let missing = Missing::segment(&IN_TREE, &segment);

    let judged = drill.run();

    let gap = judged.fails("wal.gap");
    assert!(gap["summary"].as_str().unwrap().contains(&segment), "{judged}");
    drop(missing);
    Drill::of(&IN_TREE).run().passes();
}

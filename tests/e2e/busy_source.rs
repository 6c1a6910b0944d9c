//! A source that is written to all the time: the ordinary night.

use crate::drill_pod::Drill;
use crate::source::IN_TREE;

/// What walproof itself may add to the operator's time, without the probes; in milliseconds.
const OWN_TIME: u64 = 10_000;

#[test]
fn a_source_under_load_passes_and_walproof_adds_less_than_ten_seconds() {
    let drill = Drill::of(&IN_TREE);
    let load = IN_TREE.load();
    let before = load.rows();

    let judged = drill.run();

    let report = judged.passes();
    assert!(load.rows() > before, "the source was written to meanwhile");
    assert!(report["restore"]["tables_compared"].as_u64() > Some(0), "{judged}");
    let own = judged.milliseconds(&["create", "connect"]);
    assert!(own < OWN_TIME, "{own} ms\n{judged}");
}

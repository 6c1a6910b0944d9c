//! SIGTERM while the operator restores: an eviction, a drained node, an impatient person.

use crate::drill_pod::Drill;
use crate::sandbox;
use crate::source::IN_TREE;

#[test]
fn a_drill_stopped_in_the_middle_of_a_restore_reports_and_leaves_nothing() {
    let running = Drill::of(&IN_TREE).start();
    sandbox::await_recovery();

    let judged = running.stop();

    judged.is("INCONCLUSIVE", 2);
}

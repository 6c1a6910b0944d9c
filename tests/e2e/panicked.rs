//! A bug in the middle of a restore.

use crate::drill_pod::Drill;
use crate::source::IN_TREE;

#[test]
fn a_panic_in_the_middle_of_a_restore_is_said_and_leaves_nothing() {
    let judged = Drill::of(&IN_TREE).environment("WALPROOF_PANIC_AT", "Recover").run();

    judged.is("INCONCLUSIVE", 70);
    judged.finding("run.failed", "not_checked");
}

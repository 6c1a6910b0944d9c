//! SIGKILL while the operator restores: nobody is left to clean up, but the next night.

use crate::drill_pod::Drill;
use crate::sandbox;
use crate::source::IN_TREE;

#[test]
fn what_a_killed_drill_left_is_swept_by_the_next_one_which_passes() {
    let running = Drill::of(&IN_TREE).sharing_processes().start();
    sandbox::await_recovery();
    let killed = running.kill();
    assert_eq!(killed.exit_code, 137);
    assert_ne!(sandbox::contents(), Vec::<String>::new(), "a killed drill cannot clean up");

    // The dead pod stays meanwhile, as a job's does.
    let judged = Drill::of(&IN_TREE).run();

    judged.passes();
    judged.finding("run.killed", "note");
}

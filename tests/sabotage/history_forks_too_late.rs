//! The history of the source's timeline is well written and lies: it forks off a segment too late. Replay goes on with
//! what the old primary wrote behind the true fork, and the new timeline does not continue that.
//!
//! Caught by `sandbox::complaint`: the new timeline's first record does not follow the last one that was replayed.

use crate::archives::TwoTimelines;

#[test]
fn a_history_that_forks_off_too_late_fails_the_drill() {
    let later = |archive: &_| TwoTimelines::fork_at(archive, |switch| switch + (16 << 20));
    let judged = TwoTimelines::get().trial(2, later).drill();
    judged.fails(&[("recovery.stop", "00000002")]);
    let stop = judged.finding("recovery.stop", "failed");
    assert!(stop["observed"].as_str().unwrap().contains("prev-link"), "{judged}");
}

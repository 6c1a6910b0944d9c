//! The first segment of the source's timeline is gone, in which the fork lies. The old primary archived its own segment
//! of that place to the end, so a recovery finds one: it goes on with what the source never had.
//!
//! Caught by `archive::gaps::gaps`, by which the parent's segment is none once the new timeline has later ones; where it
//! has none at all, by `target::only_the_parents`.

use crate::archives::TwoTimelines;

#[test]
fn the_segment_of_the_fork_missing_on_the_new_timeline_fails_by_name() {
    let two = TwoTimelines::get();
    let missing = two.fork_on_2();
    let lose = |archive: &crate::support::ArchiveCopy| archive.delete_segment(&missing);
    for trial in [two.trial(2, lose), two.trial_at_the_fork(lose)] {
        for judged in [trial.check(), trial.drill()] {
            judged.fails(&[("wal.gap", &missing)]);
            assert!(judged.report().get("restore").is_none(), "{judged}");
        }
    }
}

#[test]
fn a_new_timeline_that_has_only_its_history_is_inconclusive() {
    let two = TwoTimelines::get();
    let of_timeline_2 = |name: &&String| name.starts_with("00000002");
    let trial = two.trial_at_the_fork(|archive| {
        archive.segments().iter().filter(of_timeline_2).for_each(|name| archive.delete_segment(name));
    });
    let judged = trial.drill();
    judged.is_inconclusive(&[("target.outside_window", &two.fork_on_2())]);
    assert!(judged.report().get("restore").is_none(), "{judged}");
}

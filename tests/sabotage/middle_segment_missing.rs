//! A segment between the newest base backup and the baseline is gone, and later ones are there. PostgreSQL would end
//! at the gap and, told to go as far as it can, promote without a word.
//!
//! Caught by `check::wal::way_gap`, on which the drill ends before any restore.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_segment_missing_in_the_middle_fails_check_and_drill_by_name() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let missing = &between[between.len() / 2];
    let trial = Trial::of_prepared(|archive| archive.delete_segment(missing));

    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.gap", missing)]);
        let gap = judged.finding("wal.gap", "failed");
        assert!(gap["summary"].as_str().unwrap().contains(missing.as_str()), "{judged}");
        assert!(judged.report().get("restore").is_none(), "nothing is to be restored\n{judged}");
    }
}

#[test]
fn a_segment_missing_only_for_an_older_backup_fails_although_the_newest_would_do() {
    let prepared = Prepared::get();
    let for_newest = prepared.segments_between(&prepared.backups[1]);
    let between = prepared.segments_between(&prepared.backups[0]);
    let missing = between.first().filter(|name| !for_newest.contains(name)).unwrap();
    let trial = Trial::of_prepared(|archive| archive.delete_segment(missing));

    let check = trial.check();
    check.fails(&[("wal.gap", missing)]);
    let gap = check.finding("wal.gap", "failed");
    assert!(gap["observed"].as_str().unwrap().contains("newer base backups do not need it"), "{check}");
    trial.drill().fails(&[("wal.gap", missing)]);
}

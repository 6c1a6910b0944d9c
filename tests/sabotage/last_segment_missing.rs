//! The segment that holds the baseline's LSN is gone, with all that came after it: from the listing, this is an archive
//! that has not got so far yet. What the baseline saw committed is not in it, so it is no PASS; nobody can say from here
//! that it never will be, so it is no FAIL. With later segments there, with another one missing before it, or with the
//! source's word that its archiver fails, it is one.
//!
//! Caught by `probe::certificate::missing`, and by `check::wal::way_gap` where the listing is the evidence.

use serde_json::{Value, json};

use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

fn delete_from(archive: &ArchiveCopy, segment: &str) {
    for name in archive.segments().iter().filter(|name| name.as_str() >= segment) {
        archive.delete_segment(name);
    }
}

#[test]
fn an_archive_that_ends_before_the_baseline_is_inconclusive() {
    let prepared = Prepared::get();
    let trial = Trial::of_prepared(|archive| delete_from(archive, &prepared.baseline_segment));

    let judged = trial.drill();
    judged.is_inconclusive(&[("recovery.transactions_missing", ""), ("table.row_count", "")]);
    let missing = judged.finding("recovery.transactions_missing", "failed");
    assert_eq!(missing["blame"], "source", "{judged}");
    let behind = judged.finding("archive.behind_target", "note");
    assert_eq!(behind["object"], prepared.baseline_segment.as_str(), "{judged}");
}

#[test]
fn with_later_segments_there_it_is_a_gap() {
    let missing = &Prepared::get().baseline_segment;
    let trial = Trial::of_prepared(|archive| archive.delete_segment(missing));

    trial.check().fails(&[("wal.gap", missing)]);
    trial.drill().fails(&[("wal.gap", missing)]);
}

#[test]
fn an_earlier_gap_is_evidence_that_a_missing_end_does_not_hide() {
    let prepared = Prepared::get();
    let missing = prepared.segments_between(&prepared.backups[1]).first().unwrap().clone();
    let trial = Trial::of_prepared(|archive| {
        delete_from(archive, &prepared.baseline_segment);
        archive.delete_segment(&missing);
    });

    trial.check().fails(&[("wal.gap", &missing)]);
    trial.drill().fails(&[("wal.gap", &missing)]);
}

#[test]
fn the_sources_word_that_its_archiver_fails_is_evidence() {
    let prepared = Prepared::get();
    let mut baseline: Value = serde_json::from_slice(&std::fs::read(prepared.baseline()).unwrap()).unwrap();
    let archiver = baseline["archiver"].as_object_mut().expect("the baseline holds what the archiver said");
    archiver.insert("ready_count".to_owned(), json!(3));
    archiver.insert("oldest_ready_at".to_owned(), json!("2026-01-01T00:00:00Z"));
    let document = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(document.path(), baseline.to_string()).unwrap();
    let trial = Trial::of_prepared(|archive| delete_from(archive, &prepared.baseline_segment));

    let judged = trial.baseline(document.path()).drill();
    judged.fails(&[("recovery.transactions_missing", "")]);
    let missing = judged.finding("recovery.transactions_missing", "failed");
    assert!(missing["summary"].as_str().unwrap().contains("3 finished files wait to be archived"), "{judged}");
}

//! What a check asks of the object store, and what it finds there: few requests, every page, every odd object.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::archive::gunzip;
use support::prepared::SERVER;
use support::{ArchiveCopy, Operation, Outcome, Prepared, S3, Walproof};

/// How many requests `--depth freshness` may send, whatever the archive's size.
const FRESHNESS_REQUESTS: usize = 12;
/// How many keys S3 gives on one page.
const PAGE: usize = 1000;

fn check(s3: &S3, depth: &str) -> Outcome {
    Walproof::new(s3, SERVER).run(&["check", "--depth", depth, "--output", "json"])
}

#[track_caller]
fn observed(finding: &Value) -> &str {
    finding["observed"].as_str().unwrap_or_else(|| panic!("nothing observed: {finding:#}"))
}

#[test]
fn both_depths_find_a_whole_archive_whole() {
    let archive = ArchiveCopy::copy_of(Prepared::get()).aged(Duration::from_mins(1));
    let s3 = archive.serve();
    for depth in ["freshness", "full"] {
        s3.forget_requests();
        let outcome = check(&s3, depth);
        assert_eq!(outcome.exit_code, 0, "{depth}: {outcome}");
        assert_eq!(outcome.codes("failed"), [""; 0], "{outcome}");
        let requests = s3.requests();
        assert!(depth == "full" || requests.len() <= FRESHNESS_REQUESTS, "{requests:?}");
        assert!(requests.iter().all(|(operation, _)| matches!(operation, Operation::List | Operation::Get)));
        assert_eq!(outcome.report()["inventory"]["requests"], requests.len(), "{outcome}");
    }
}

/// The prepared archive and 2,500 segments that follow on its newest one, under small objects.
fn long_archive() -> ArchiveCopy {
    let prepared = Prepared::get();
    let archive = ArchiveCopy::copy_of(prepared);
    let newest = u64::from_str_radix(&prepared.segments.last().unwrap()[16..], 16).unwrap();
    for number in newest + 1..=newest + 2500 {
        let (high, low) = (number / 256, number % 256);
        let key = format!("{SERVER}/wals/00000001{high:08X}/00000001{high:08X}{low:08X}.gz");
        archive.replace(&key, b"no segment");
    }
    archive.aged(Duration::from_hours(1))
}

#[test]
fn every_page_of_a_listing_is_seen() {
    let archive = long_archive();
    let s3 = archive.serve();
    let outcome = check(&s3, "full");
    assert_eq!(outcome.report()["inventory"]["segments"], archive.segments().len(), "{outcome}");
    assert!(archive.segments().len() > 2500);
    outcome.finding("wal.gap", "passed");

    s3.forget_requests();
    let outcome = check(&s3, "freshness");
    assert!(s3.requests().len() <= FRESHNESS_REQUESTS, "{:?}", s3.requests());
    assert_eq!(outcome.report()["inventory"]["newest_segment"], *archive.segments().last().unwrap(), "{outcome}");
}

#[test]
fn a_gap_at_the_border_of_two_pages_is_seen() {
    let archive = long_archive();
    let on_pages = archive.wal_keys();
    let border: Vec<&String> = on_pages[PAGE - 1..=PAGE].iter().collect();
    for key in &border {
        archive.delete(key);
    }
    let outcome = check(&archive.serve(), "full");
    assert_eq!(outcome.exit_code, 1, "{outcome}");
    let gap = outcome.finding("wal.gap", "failed");
    for key in border {
        let name = key.rsplit('/').next().unwrap().trim_end_matches(".gz");
        assert!(observed(&gap).contains(name), "{name} is not in {gap:#}");
    }
}

#[test]
fn a_segment_under_two_extensions_is_noted() {
    let archive = ArchiveCopy::copy_of(Prepared::get()).aged(Duration::from_mins(1));
    let key = archive.wal_key(&archive.segments()[2]);
    let plain = gunzip(&archive.bytes(&key));
    archive.replace(key.trim_end_matches(".gz"), &plain);
    let outcome = check(&archive.serve(), "full");
    assert_eq!(outcome.exit_code, 0, "{outcome}");
    assert_eq!(observed(&outcome.finding("wal.duplicate", "note")), archive.segments()[2]);
}

#[test]
fn an_empty_object_is_found_and_counts_as_a_missing_segment() {
    let archive = ArchiveCopy::copy_of(Prepared::get());
    let segment = archive.segments()[5].clone();
    archive.truncate(&archive.wal_key(&segment), 0);
    let archive = archive.aged(Duration::from_hours(1));
    let outcome = check(&archive.serve(), "full");
    assert_eq!(outcome.exit_code, 1, "{outcome}");
    assert!(observed(&outcome.finding("wal.zero_length", "failed")).contains(&segment), "{outcome}");
    assert!(observed(&outcome.finding("wal.gap", "failed")).contains(&segment), "{outcome}");
}

#[test]
fn an_uncompressed_segment_of_the_wrong_size_fails_the_backups() {
    let archive = ArchiveCopy::copy_of(Prepared::get()).aged(Duration::from_mins(1));
    let segment = archive.segments()[5].clone();
    let key = archive.wal_key(&segment);
    let mut plain = gunzip(&archive.bytes(&key));
    plain.truncate(8 << 20);
    archive.delete(&key);
    archive.replace(key.trim_end_matches(".gz"), &plain);
    let outcome = check(&archive.serve(), "full");
    assert_eq!(outcome.exit_code, 1, "{outcome}");
    assert!(observed(&outcome.finding("wal.wrong_size", "failed")).contains(&segment), "{outcome}");
}

//! The object is a sound gzip of something that is no WAL at all: text, random bytes, zeros; or WAL of which only the
//! first page is left.
//!
//! Caught by `archive::wal::PageHeader::parse`: by `check` in its sample, by the drill for each segment it serves. Behind
//! the first page, by PostgreSQL, whose word `sandbox::complaint` knows.

use crate::support::Prepared;
use crate::trial::Trial;

const SEGMENT: usize = 16 << 20;
const PAGE: usize = 8192;

fn middle() -> String {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    between[between.len() / 2].clone()
}

/// Bytes without order, the same in every run.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..SEGMENT).map(next).collect()
}

#[test]
fn what_is_no_wal_fails_check_and_drill_by_the_segments_name() {
    let wrong = middle();
    let contents = [b"this was never WAL\n".repeat(SEGMENT / 19), noise(), vec![0; SEGMENT]];
    for content in contents {
        let trial = Trial::of_prepared(|archive| archive.rewrite_segment(&wrong, |wal| *wal = content));
        trial.check().fails(&[("wal.segment_invalid", &wrong)]);
        trial.drill().fails(&[("wal.segment_damaged", &wrong), ("wal.segment_invalid", &wrong)]);
    }
}

#[test]
fn a_segment_that_is_zeros_behind_its_first_page_fails_the_drill_by_name() {
    let wrong = middle();
    let trial = Trial::of_prepared(|archive| archive.rewrite_segment(&wrong, |wal| wal[PAGE..].fill(0)));
    trial.drill().fails(&[("recovery.stop", &wrong)]);
}

#[test]
fn a_segment_that_goes_on_with_an_older_ones_pages_fails_the_drill_by_name() {
    let prepared = Prepared::get();
    let wrong = middle();
    let trial = Trial::of_prepared(|archive| {
        let mut older = Vec::new();
        archive.rewrite_segment(&prepared.segments[0], |wal| older.clone_from(wal));
        archive.rewrite_segment(&wrong, |wal| wal[PAGE..].copy_from_slice(&older[PAGE..]));
    });
    trial.drill().fails(&[("recovery.stop", &wrong)]);
}

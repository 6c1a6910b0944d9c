//! Every row is there, and the newest is an hour older than it was: an older version of the row came back.
//!
//! Caught by `probe::tables::timestamps`, which compares the oldest and the newest value with the baseline's.

use crate::trial::Trial;

/// PostgreSQL's timestamps count microseconds since the year 2000.
const HOUR: i64 = 3_600_000_000;
const FEBRUARY_2026: i64 = 9528 * 24 * HOUR;

#[test]
fn a_newest_value_that_is_older_than_the_sources_fails_the_drill() {
    let trial = Trial::of_pages("vault", "accounts", |pages| {
        let newest = pages.live_row(b"account 500");
        let hours = |hours: i64| (FEBRUARY_2026 + hours * HOUR).to_le_bytes();
        pages.replace(newest, &hours(500), &hours(499));
    });

    let judged = trial.drill();
    judged.fails(&[("table.content", "vault: public.accounts"), ("table.timestamps", "vault: public.accounts")]);
    let shifted = judged.finding("table.timestamps", "failed");
    assert_eq!(shifted["expected"], "2026-02-01 01:00:00+00 to 2026-02-21 20:00:00+00", "{judged}");
    assert_eq!(shifted["observed"], "2026-02-01 01:00:00+00 to 2026-02-21 19:00:00+00", "{judged}");
    judged.finding("table.row_count", "passed");
}

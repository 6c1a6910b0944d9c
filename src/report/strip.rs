//! What a picture of the recovery window needs of the listing: base backups, unbroken runs of WAL, what is missing
//! between them, and where segments were read. Bounded: the newest of each.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::inventory::{Backup, Inventory};
use crate::archive::wal::{Segment, Timeline};
use crate::archive::wal_listing::{Extent, Run};

/// How many backups, runs and gaps are kept.
const NEWEST: usize = 60;

/// One base backup of the listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupSummary {
    pub id: String,
    /// Absent when its backup.info does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    pub restorable: bool,
    /// As stored.
    pub bytes: u64,
}

/// Segments of one timeline, none missing between them. The times are those at which the first and the last were stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WalRun {
    pub timeline: Timeline,
    pub first: String,
    pub last: String,
    #[schemars(with = "String")]
    pub from: Timestamp,
    #[schemars(with = "String")]
    pub to: Timestamp,
    pub segments: u64,
}

/// Segments that the way from the oldest restorable base backup to the archive's end needs, and the listing lacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MissingWal {
    pub timeline: Timeline,
    pub first: String,
    pub last: String,
    pub segments: u64,
    /// When the last segment before it was stored; absent when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<Timestamp>,
    /// When the first segment after it was stored; absent when nothing follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub to: Option<Timestamp>,
}

/// A segment whose head was read and is what its name says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReadSegment {
    pub segment: String,
    pub timeline: Timeline,
    /// About when it was stored: between the times of the first and the last segment of its run.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// The newest base backups, oldest first.
pub(super) fn backups(inventory: &Inventory) -> Vec<BackupSummary> {
    newest(inventory.backups.iter().map(|backup: &Backup| BackupSummary {
        id: backup.id.clone(),
        ended_at: backup.end_time(),
        restorable: backup.is_restorable(),
        bytes: backup.bytes,
    }))
}

/// The newest runs: timelines upwards, each in the order of its segments.
pub(super) fn runs(inventory: &Inventory) -> Vec<WalRun> {
    let size = inventory.wal.segment_size;
    let of_timelines = inventory.wal.timelines.iter();
    newest(of_timelines.flat_map(|(&timeline, runs)| runs.iter().map(move |run| (timeline, run))).map(
        |(timeline, run)| WalRun {
            timeline,
            first: Segment { timeline, number: run.first }.name(size),
            last: Segment { timeline, number: run.last }.name(size),
            from: run.first_modified,
            to: run.last_modified,
            segments: run.last - run.first + 1,
        },
    ))
}

/// The newest gaps on the way; none when only the end of the archive was listed.
pub(super) fn missing(inventory: &Inventory) -> Vec<MissingWal> {
    if inventory.wal.extent != Extent::All {
        return Vec::new();
    }
    let size = inventory.wal.segment_size;
    let way = || {
        let history = inventory.history(inventory.wal.newest_timeline()?).ok()?;
        let (last, _) = inventory.newest_along(&history)?;
        let oldest = inventory.leading_along(&history, inventory.system_identifier()).next()?;
        Some(inventory.gaps_from(oldest, &history, last.number))
    };
    newest(way().unwrap_or_default().into_iter().map(|gap| MissingWal {
        timeline: gap.timeline,
        first: gap.first_segment().name(size),
        last: Segment { timeline: gap.timeline, number: gap.last }.name(size),
        segments: gap.count(),
        from: gap.before,
        to: gap.after,
    }))
}

/// Where the segments that were read lie in time; what the listing no longer shows is left out.
pub(super) fn read(inventory: &Inventory, segments: &[Segment]) -> Vec<ReadSegment> {
    let size = inventory.wal.segment_size;
    newest(segments.iter().filter_map(|&segment| {
        let run = inventory.wal.run_of(segment)?;
        Some(ReadSegment { segment: segment.name(size), timeline: segment.timeline, at: about(run, segment.number) })
    }))
}

/// Only the times of a run's ends are known; in between, segments are taken to have come evenly.
fn about(run: &Run, number: u64) -> Timestamp {
    let span = i128::from(run.last_modified.as_millisecond()) - i128::from(run.first_modified.as_millisecond());
    let (part, whole) = (number.saturating_sub(run.first), run.last - run.first);
    let after = if whole == 0 { 0 } else { span * i128::from(part) / i128::from(whole) };
    let after = SignedDuration::from_millis(i64::try_from(after).unwrap_or(0));
    run.first_modified.checked_add(after).unwrap_or(run.first_modified)
}

/// The last ones.
fn newest<T>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.drain(..all.len().saturating_sub(NEWEST));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::inventory::fixture::{inventory, now};

    #[test]
    fn a_hole_ends_a_run_and_is_named_with_the_times_around_it() {
        let inventory = inventory(&[(1, 3)], &[(1, 2..=5), (1, 8..=9)]);
        let runs: Vec<(String, u64)> = runs(&inventory).into_iter().map(|run| (run.last, run.segments)).collect();
        assert_eq!(runs, [("000000010000000000000005".to_owned(), 4), ("000000010000000000000009".to_owned(), 2)]);
        let missing = missing(&inventory);
        assert_eq!(missing.len(), 1);
        assert_eq!((missing[0].first.as_str(), missing[0].segments), ("000000010000000000000006", 2));
        assert_eq!((missing[0].from, missing[0].to), (Some(now()), Some(now())));
    }

    #[test]
    fn what_no_backup_needs_is_not_missing() {
        assert_eq!(missing(&inventory(&[(1, 6)], &[(1, 2..=3), (1, 6..=9)])), []);
        assert_eq!(missing(&inventory(&[], &[(1, 2..=3), (1, 6..=9)])), []);
    }

    #[test]
    fn of_a_listing_of_the_end_nothing_is_called_missing() {
        let mut inventory = inventory(&[(1, 3)], &[(1, 8..=9)]);
        inventory.wal.extent = Extent::End;
        assert_eq!(missing(&inventory), []);
    }

    #[test]
    fn the_newest_sixty_runs_are_kept() {
        let holes: Vec<_> = (0..100).map(|n| (1, n * 2..=n * 2)).collect();
        let runs = runs(&inventory(&[], &holes));
        assert_eq!((runs.len(), runs[59].last.as_str()), (60, "0000000100000000000000C6"));
    }

    #[test]
    fn a_segment_lies_in_time_between_the_ends_of_its_run() {
        let mut inventory = inventory(&[(1, 3)], &[(1, 2..=6)]);
        let run = &mut inventory.wal.timelines.get_mut(&Timeline(1)).unwrap()[0];
        run.last_modified = run.first_modified + SignedDuration::from_secs(40);
        let segments = [3, 6, 7].map(|number| Segment { timeline: Timeline(1), number });
        let after: Vec<i64> =
            read(&inventory, &segments).iter().map(|read| read.at.duration_since(now()).as_secs()).collect();
        assert_eq!(after, [10, 40], "the listing does not show the third");
    }
}

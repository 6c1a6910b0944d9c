//! Waits until the archive covers the baseline's LSN, bounded: an idle source may never archive its last records.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::prove::End;
use crate::archive::inventory::{Depth, Inventory};
use crate::archive::store::Store;
use crate::archive::wal::Segment;
use crate::check;
use crate::finding::{Blame, Code, Finding};
use crate::plan::{Plan, signed};
use crate::source::baseline::Baseline;
use crate::target;

/// Archiving a segment takes some time beyond the timeout that makes the source switch to it.
const MARGIN: Duration = Duration::from_mins(1);
const FIRST_POLL: Duration = Duration::from_millis(250);
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// How the wait ended.
#[derive(Debug)]
pub enum Awaited {
    /// The archive reaches the baseline's LSN on a timeline that leads there.
    Covered(Inventory),
    /// It does not, within the limit. `Finding` says so.
    Short(Inventory, Finding),
    /// A fail-over took another way before the LSN: the baseline can never be reached.
    Void(Finding),
}

/// Waits. `inventory` was taken before the baseline.
pub async fn await_archive(
    plan: &Plan,
    store: &Store,
    inventory: Inventory,
    baseline: &Baseline,
) -> Result<Awaited, End> {
    let limit = limit(plan, Some(baseline));
    let started = Instant::now();
    let mut poll = FIRST_POLL;
    let mut inventory = inventory;
    let containing = Segment::containing(baseline.server.timeline, baseline.lsn, inventory.wal.segment_size);
    let name = containing.name(inventory.wal.segment_size);
    loop {
        if target::covering_timeline(&inventory, baseline).is_some() {
            return Ok(Awaited::Covered(inventory));
        }
        if let Some(fork) = target::fork_before(&inventory, baseline) {
            return Ok(Awaited::Void(
                Finding::failed(
                    Code::BaselineVoid,
                    Blame::Baseline,
                    "the source failed over and the baseline's LSN lies on the branch that was left",
                )
                .expected(format!("LSN {} on timeline {}", baseline.lsn, baseline.server.timeline))
                .observed(fork)
                .hint("run the drill again: it reads a new baseline from the new primary"),
            ));
        }
        if started.elapsed() >= limit {
            let waited = crate::report::text::duration(signed(limit));
            let summary = format!("segment {name}, which holds the baseline's LSN, was not archived within {waited}");
            return Ok(Awaited::Short(
                inventory,
                Finding::note(Code::ArchiveBehindTarget, summary).of(name).hint(
                    "an idle source does not archive its last records; whether anything is missing is asked below",
                ),
            ));
        }
        tokio::time::sleep(poll.min(limit.saturating_sub(started.elapsed()))).await;
        poll = (poll * 2).min(LONGEST_POLL);
        // The wait asks for one name at a time, and lists in full when something has changed.
        if arrived(store, containing, &inventory).await? || started.elapsed() >= limit {
            inventory = Inventory::take(store, Depth::Full, Timestamp::now())
                .await
                .map_err(|error| End::because(check::unreadable(store, &error)))?;
        }
    }
}

/// How long the archive is waited for: long enough for the source's `archive_timeout` to end a segment.
pub fn limit(plan: &Plan, baseline: Option<&Baseline>) -> Duration {
    let archive_timeout = baseline.map_or(0, |baseline| baseline.server.archive_timeout_seconds);
    plan.limits.archive_wait.unwrap_or(Duration::from_secs(archive_timeout) + MARGIN)
}

/// True when the segment, or a timeline history that was not there before, has arrived.
async fn arrived(store: &Store, segment: Segment, inventory: &Inventory) -> Result<bool, End> {
    let size = inventory.wal.segment_size;
    let unreadable = |error| End::because(check::unreadable(store, &error));
    let mut found = false;
    let prefix = format!("wals/{}/{}", segment.directory(size), segment.name(size));
    store.for_each(&prefix, |_| found = true).await.map_err(unreadable)?;
    let next = format!("wals/{:08X}.history", segment.timeline.0 + 1);
    let known = inventory.histories.keys().any(|timeline| timeline.0 == segment.timeline.0 + 1);
    if !found && !known {
        store.for_each(&next, |_| found = true).await.map_err(unreadable)?;
    }
    Ok(found)
}

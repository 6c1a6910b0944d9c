//! Where recovery really stopped: the last line of the new timeline's history file, which promotion writes. The same
//! on every backend, without logs.

use jiff::Timestamp;
use tokio_postgres::Client;

use super::not_asked;
use crate::archive::timeline::{StopLine, StopReason};
use crate::archive::wal::{Lsn, Segment, SegmentSize};
use crate::finding::{Blame, Code, Finding};
use crate::source::baseline::Baseline;
use crate::target::{Choice, Stop};

/// What the restored server says of its own recovery.
#[derive(Debug, Clone)]
pub struct Recovery {
    pub stop: StopLine,
    /// The commit time of the last transaction that was replayed.
    pub last_commit: Option<Timestamp>,
    /// The first transaction id that belongs to the copy itself: N in docs/what-is-proven.md.
    pub next_xid: u64,
    /// Why `next_xid` is only a bound from above, where others have used the copy before us.
    pub next_xid_unknown: Option<String>,
}

/// Whether somebody else used the restored server before us, and took transaction ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    Never,
    ByOperator,
}

/// Must be the first thing asked on the restored server, before anything of ours takes a transaction id there.
pub async fn read(client: &Client, touched: Touched) -> Result<Recovery, Finding> {
    let next_xid = client.query_one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8", &[]).await;
    let next_xid: i64 = next_xid.map_err(|error| not_asked(Code::RecoveryStop, &error))?.get(0);
    let question = "SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8),
            pg_read_file('pg_wal/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) || '.history'),
            pg_last_xact_replay_timestamp()";
    let row = client.query_one(question, &[]).await.map_err(|error| not_asked(Code::RecoveryStop, &error))?;
    let (timeline, history, last_commit): (String, String, Option<Timestamp>) = (row.get(0), row.get(1), row.get(2));
    let timeline = u32::from_str_radix(&timeline, 16).unwrap_or(0);
    let stop = StopLine::parse(&history).map_err(|defect| {
        Finding::not_checked(Code::RecoveryStop, format!("the history of timeline {timeline} cannot be read: {defect}"))
    })?;
    let next_xid = u64::try_from(next_xid).unwrap_or(0);
    let (next_xid, next_xid_unknown) = match touched {
        Touched::Never => (next_xid, None),
        Touched::ByOperator => match first_behind(client, stop.switch).await {
            Ok(first) => (first.map_or(next_xid, |first| widen(first, next_xid)), None),
            Err(error) => (next_xid, Some(crate::postgres::reason(&error))),
        },
    };
    Ok(Recovery { stop, last_commit, next_xid, next_xid_unknown })
}

/// The smallest transaction with a record behind the stop: it began after promotion. None when nobody wrote anything.
async fn first_behind(client: &Client, switch: Lsn) -> Result<Option<u32>, tokio_postgres::Error> {
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect WITH SCHEMA pg_catalog").await?;
    let question = format!(
        "SELECT min(xid::text::int8) FROM pg_get_wal_records_info('{switch}', pg_current_wal_flush_lsn())
         WHERE xid::text <> '0'"
    );
    let first: Option<i64> = client.query_one(&question, &[]).await?.get(0);
    Ok(first.and_then(|first| u32::try_from(first).ok()))
}

/// A transaction id as WAL has it, with the epoch that makes it the newest at or below `next`.
fn widen(xid: u32, next: u64) -> u64 {
    let widened = (next & !u64::from(u32::MAX)) | u64::from(xid);
    if widened <= next { widened } else { widened.saturating_sub(1 << 32) }
}

/// Compares the stop with what was chosen. `unreadable` is the server's last complaint about a record, and the LSN from
/// which WAL cannot be read: without a target, PostgreSQL takes damage for the end of WAL.
pub fn judge(
    stop: &StopLine,
    choice: &Choice,
    baseline: Option<&Baseline>,
    size: SegmentSize,
    unreadable: Option<&(String, Lsn)>,
) -> Finding {
    let observed = format!("{} at {} on timeline {}", stop.reason, stop.switch, stop.parent);
    if stop.parent != choice.history.timeline {
        return Finding::failed(
            Code::RecoveryStop,
            Blame::Backups,
            "recovery followed another timeline than the source's",
        )
        .expected(format!("timeline {}", choice.history.timeline))
        .observed(observed)
        .hint("which server wrote that timeline into this archive? A restored copy with archiving on does so");
    }
    let passed = |summary: String| Finding::passed(Code::RecoveryStop, summary);
    let failed = |blame, summary: &str, expected: String| {
        Finding::failed(Code::RecoveryStop, blame, summary).expected(expected).observed(observed.clone())
    };
    match (&choice.stop, &stop.reason) {
        // The switch LSN is the end of the last replayed record, the reason names the record it stopped before.
        (Stop::BeforeLsn(target), StopReason::BeforeLsn(record)) if stop.switch <= *target && target <= record => {
            passed(format!("stopped {observed}"))
        }
        (Stop::Time(_), StopReason::Time { .. })
        | (Stop::Xid(_), StopReason::AfterTransaction(_))
        | (Stop::RestorePoint(_), StopReason::RestorePoint(_)) => passed(format!("stopped {observed}")),
        (Stop::EndOfArchive, StopReason::EndOfArchive) => {
            let broken = |&lsn: &Lsn| Segment::containing(choice.history.timeline, lsn, size);
            let damage = unreadable.filter(|(_, lsn)| {
                // An earlier complaint was got over; one behind the last segment is about what is not archived.
                stop.switch <= *lsn && broken(lsn).number <= choice.last_segment.number
            });
            if let Some((complaint, lsn)) = damage {
                let name = broken(lsn).name(size);
                return Finding::failed(
                    Code::RecoveryStop,
                    Blame::Backups,
                    format!(
                        "WAL cannot be read from {lsn} on, in segment {name}, so nothing behind it can be recovered"
                    ),
                )
                .of(name)
                .expected(format!("replay to the end of segment {}", choice.last_segment.name(size)))
                .observed(format!("{observed}: {complaint}"))
                .hint("make a new base backup now; then find out what changed this segment after it was archived");
            }
            let start = choice.last_segment.start(size);
            if stop.switch <= start {
                // A record longer than a segment may end in one that is not archived yet, and no complaint is made.
                return failed(
                    if unreadable.is_some() { Blame::Backups } else { Blame::Unknown },
                    "replay ended before the end of the archive",
                    format!("more than {start}, where segment {} begins", choice.last_segment.name(size)),
                )
                .hint("run the drill again when more WAL is archived; if replay ends there again, WAL is damaged");
            }
            match baseline.filter(|_| choice.short_of_baseline) {
                Some(baseline) => idle(stop.switch, baseline, size, &observed),
                None => passed(format!("replayed to the end of the archive: {observed}")),
            }
        }
        _ => failed(
            Blame::Unknown,
            "recovery ended without reaching its target",
            format!("recovery to {}", choice.stop.text()),
        )
        .hint("run the drill with --keep and read postgresql.log in the sandbox"),
    }
}

/// An idle source's last records are never archived; the archive has everything if it reaches the segment that the
/// baseline lies in. Whether a transaction is missing is asked separately.
fn idle(switch: Lsn, baseline: &Baseline, size: SegmentSize, observed: &str) -> Finding {
    let containing = Segment::containing(baseline.server.timeline, baseline.lsn, size);
    if switch >= containing.start(size) {
        return Finding::passed(
            Code::RecoveryStop,
            format!("replayed to the end of the archive, up to the baseline's own unfinished segment: {observed}"),
        );
    }
    Finding::not_checked(Code::RecoveryStop, "the archive ends before the baseline's segment")
        .expected(format!("WAL up to {}", containing.start(size)))
        .observed(observed)
        .hint("archiving lags behind: see wal.stale, or give `limits.archiveWait` more time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::timeline::History;
    use crate::archive::wal::Timeline;
    use crate::finding::Outcome;

    fn stopped(choice_stop: Stop, line: &str) -> Finding {
        stopped_with(choice_stop, line, None)
    }

    fn stopped_with(choice_stop: Stop, line: &str, unreadable: Option<Lsn>) -> Finding {
        let size = SegmentSize::DEFAULT;
        let history = History::root(Timeline(1));
        let last_segment = Segment { timeline: Timeline(1), number: 12 };
        let choice = Choice { backup: "b".into(), stop: choice_stop, history, last_segment, short_of_baseline: false };
        let unreadable = unreadable.map(|lsn| (format!("incorrect checksum in record at {lsn}"), lsn));
        judge(&StopLine::parse(line).unwrap(), &choice, None, size, unreadable.as_ref())
    }

    #[test]
    fn a_transaction_of_the_wal_belongs_to_the_newest_possible_epoch() {
        assert_eq!(widen(731, 773), 731);
        let epoch = 5 << 32;
        assert_eq!(widen(731, epoch + 773), epoch + 731);
        assert_eq!(widen(u32::MAX, (5 << 32) + 3), (4 << 32) + u64::from(u32::MAX));
    }

    #[test]
    fn a_target_right_behind_a_page_header_is_reached() {
        // Seen on a real cluster: the target lies behind the header, the switch before it.
        let finding = stopped(Stop::BeforeLsn(Lsn(0x0C00_0028)), "1\t0/C000000\tbefore LSN 0/C000028\n");
        assert_eq!(finding.outcome, Outcome::Passed);
    }

    #[test]
    fn a_record_before_the_target_is_too_early() {
        let finding = stopped(Stop::BeforeLsn(Lsn(0x0C00_0028)), "1\t0/B000000\tbefore LSN 0/B000028\n");
        assert_eq!(finding.outcome, Outcome::Failed);
    }

    #[test]
    fn the_same_lsn_on_another_timeline_is_not_the_target() {
        let finding = stopped(Stop::BeforeLsn(Lsn(0x0C00_0028)), "2\t0/C000000\tbefore LSN 0/C000028\n");
        assert!(finding.blames_backups(), "{finding:?}");
    }

    #[test]
    fn an_end_before_the_archives_end_is_the_backups_fault_when_replay_complained() {
        let line = |switch| format!("1\t{switch}\tno recovery target specified\n");
        let complained = stopped_with(Stop::EndOfArchive, &line("0/B000000"), Some(Lsn(0x0B00_0000)));
        assert!(complained.blames_backups(), "{complained:?}");
        assert_eq!(stopped(Stop::EndOfArchive, &line("0/B000000")).blame, Some(Blame::Unknown));
        assert_eq!(stopped(Stop::EndOfArchive, &line("0/C000100")).outcome, Outcome::Passed);
    }

    #[test]
    fn damage_in_the_last_segment_is_not_the_end_of_the_archive() {
        let stopped = |switch, unreadable| {
            let line = format!("1\t{switch}\tno recovery target specified\n");
            stopped_with(Stop::EndOfArchive, &line, Some(Lsn(unreadable)))
        };
        assert!(stopped("0/C000000", 0x0C00_0028).blames_backups());
        let finding = stopped("0/C000100", 0x0C00_0100);
        assert!(finding.blames_backups(), "{finding:?}");
        assert_eq!(finding.object.as_deref(), Some("00000001000000000000000C"));
        // Got over by replay; and in a segment that is not archived.
        assert_eq!(stopped("0/C000100", 0x0B00_0100).outcome, Outcome::Passed);
        assert_eq!(stopped("0/D000000", 0x0D00_0000).outcome, Outcome::Passed);
    }

    #[test]
    fn an_end_of_archive_is_no_lsn() {
        let finding = stopped(Stop::BeforeLsn(Lsn(0x0C00_0028)), "1\t0/C000000\tno recovery target specified\n");
        assert_eq!(finding.outcome, Outcome::Failed);
    }
}

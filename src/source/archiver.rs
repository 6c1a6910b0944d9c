//! What the source itself says about its archiving: how far it has written, how far it has archived, and what waits.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::archive::wal::{Lsn, Segment, SegmentSize, Timeline};
use crate::error::Reason;
use crate::postgres::reason;

/// One observation. The counters are those of `pg_stat_archiver`, which are per server and empty on a standby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archiver {
    /// By the source's clock.
    pub observed_at: Timestamp,
    #[serde(default)]
    pub in_recovery: bool,
    /// How far it has written, or on a standby replayed.
    pub current_lsn: Lsn,
    /// The segment that holds it.
    pub current_segment: String,
    pub timeline: Timeline,
    pub archive_mode: String,
    pub last_archived_segment: Option<String>,
    pub last_archived_at: Option<Timestamp>,
    pub failed_count: u64,
    pub last_failed_segment: Option<String>,
    pub last_failed_at: Option<Timestamp>,
    /// How many finished files wait to be archived. Absent when the role may not look (it needs `pg_monitor`).
    pub ready_count: Option<u64>,
    /// Since when the oldest of them waits.
    pub oldest_ready_at: Option<Timestamp>,
}

/// Where the server stands: the expressions for its LSN and its timeline. During recovery neither of a primary's
/// functions may be called; the timeline of the last checkpoint may lag behind a promotion.
pub(super) const LSN: &str =
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END";
pub(super) const TIMELINE: &str = "CASE WHEN pg_is_in_recovery()
    THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int4 END";

/// Asks the server.
pub async fn observe(client: &Client) -> Result<Archiver, Reason> {
    let sql = format!(
        "SELECT clock_timestamp(), pg_is_in_recovery(), ({LSN})::text, {TIMELINE},
            (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size'), current_setting('archive_mode'),
            last_archived_wal, last_archived_time, failed_count, last_failed_wal, last_failed_time
        FROM pg_stat_archiver"
    );
    let row = client.query_one(&sql, &[]).await.map_err(|error| Reason(reason(&error)))?;
    let lsn: Option<String> = row.get(2);
    let current_lsn: Lsn =
        lsn.unwrap_or_default().parse().map_err(|_| Reason("the server does not say its LSN".to_owned()))?;
    let timeline = row.get::<_, Option<i32>>(3).and_then(|timeline| u32::try_from(timeline).ok());
    let timeline = timeline.map(Timeline).ok_or_else(|| Reason("the server does not say its timeline".to_owned()))?;
    let size = u64::try_from(row.get::<_, i64>(4)).ok().and_then(SegmentSize::new).unwrap_or(SegmentSize::DEFAULT);

    let ready = "SELECT count(*), min(modification) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
    let ready: Option<(i64, Option<Timestamp>)> = match client.query_one(ready, &[]).await {
        Ok(row) => Some((row.get(0), row.get(1))),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => None,
        Err(error) => return Err(Reason(reason(&error))),
    };
    Ok(Archiver {
        observed_at: row.get(0),
        in_recovery: row.get(1),
        current_lsn,
        current_segment: Segment::containing(timeline, current_lsn, size).name(size),
        timeline,
        archive_mode: row.get(5),
        last_archived_segment: row.get(6),
        last_archived_at: row.get(7),
        failed_count: u64::try_from(row.get::<_, i64>(8)).unwrap_or(0),
        last_failed_segment: row.get(9),
        last_failed_at: row.get(10),
        ready_count: ready.and_then(|(count, _)| u64::try_from(count).ok()),
        oldest_ready_at: ready.and_then(|(_, oldest)| oldest),
    })
}

impl Archiver {
    /// Says why when finished WAL has not been archived for longer than `max_wal_age`, or never will be. A failure that
    /// is younger, or that a success has followed, is no trouble. A standby says nothing of its primary.
    pub fn is_failing(&self, now: Timestamp, max_wal_age: Duration) -> Option<String> {
        if self.in_recovery {
            return None;
        }
        if self.archive_mode == "off" {
            return Some("archive_mode is off".to_owned());
        }
        let max_age = SignedDuration::try_from(max_wal_age).unwrap_or(SignedDuration::MAX);
        let is_old = |since: Timestamp| now.duration_since(since) > max_age;
        let failed = self.last_failed_at.filter(|&failed| self.last_archived_at.is_none_or(|done| failed > done));
        let failure = match (failed, &self.last_failed_segment) {
            (Some(at), Some(segment)) => format!("; archiving {segment} failed at {at}, {} in all", self.failed_count),
            _ => String::new(),
        };
        match (self.ready_count, self.oldest_ready_at) {
            (Some(count), Some(oldest)) if is_old(oldest) => {
                Some(format!("{count} finished files wait to be archived, the oldest since {oldest}{failure}"))
            }
            (Some(_), _) => None,
            // Without sight of what waits: the last word is a recent failure, and the last success is long ago.
            (None, _) => {
                let is_failing = failed.is_some_and(|at| !is_old(at)) && self.last_archived_at.is_none_or(is_old);
                let last = self.last_archived_at.map_or("never".to_owned(), |at| format!("at {at}"));
                is_failing.then(|| format!("a file was last archived {last}{failure}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn ago(minutes: i64) -> Timestamp {
        NOW - SignedDuration::from_mins(minutes)
    }

    /// Archived ten minutes ago, never failed, nothing waits.
    fn healthy() -> Archiver {
        Archiver {
            observed_at: NOW,
            in_recovery: false,
            current_lsn: Lsn(0x0300_0028),
            current_segment: "000000010000000000000003".to_owned(),
            timeline: Timeline(1),
            archive_mode: "on".to_owned(),
            last_archived_segment: Some("000000010000000000000002".to_owned()),
            last_archived_at: Some(ago(10)),
            failed_count: 0,
            last_failed_segment: None,
            last_failed_at: None,
            ready_count: Some(0),
            oldest_ready_at: None,
        }
    }

    fn failed(archived: Option<i64>, failed: i64) -> Archiver {
        Archiver {
            last_archived_at: archived.map(ago),
            failed_count: 7,
            last_failed_segment: Some("000000010000000000000003".to_owned()),
            last_failed_at: Some(ago(failed)),
            ..healthy()
        }
    }

    fn waiting(minutes: i64, archiver: Archiver) -> Archiver {
        Archiver { ready_count: Some(3), oldest_ready_at: Some(ago(minutes)), ..archiver }
    }

    fn unseen(archiver: Archiver) -> Archiver {
        Archiver { ready_count: None, oldest_ready_at: None, ..archiver }
    }

    #[test]
    fn an_archiver_fails_when_finished_wal_waits_too_long_or_nothing_is_archived_at_all() {
        let off = Archiver { archive_mode: "off".to_owned(), ..healthy() };
        let standby = Archiver { in_recovery: true, ..waiting(60, off.clone()) };
        let cases = [
            ("healthy", healthy(), false),
            ("idle for a day", Archiver { last_archived_at: Some(ago(1440)), ..healthy() }, false),
            ("never had anything to archive", Archiver { last_archived_at: None, ..healthy() }, false),
            ("off", off, true),
            ("a standby says nothing of its primary", standby, false),
            ("files wait a minute", waiting(1, healthy()), false),
            ("files wait an hour", waiting(60, healthy()), true),
            ("files wait an hour, and it fails", waiting(60, failed(Some(70), 1)), true),
            ("failed a minute ago after an idle day", waiting(1, failed(Some(1440), 1)), false),
            ("failed once, succeeded since", failed(Some(1), 5), false),
            ("failed last, yet nothing waits any more", failed(Some(70), 60), false),
            ("unseen, healthy", unseen(healthy()), false),
            ("unseen, fails since an hour", unseen(failed(Some(70), 1)), true),
            ("unseen, never succeeded", unseen(failed(None, 1)), true),
            ("unseen, failed but archived a short time ago", unseen(failed(Some(5), 1)), false),
            ("unseen, gave up failing long ago", unseen(failed(Some(700), 600)), false),
        ];
        for (name, archiver, expected) in cases {
            let failing = archiver.is_failing(NOW, Duration::from_mins(15));
            assert_eq!(failing.is_some(), expected, "{name}: {failing:?}");
        }
    }

    #[test]
    fn the_reason_names_what_waits_and_what_failed() {
        let reason = waiting(60, failed(Some(70), 1)).is_failing(NOW, Duration::from_mins(15)).unwrap();
        assert_eq!(
            reason,
            "3 finished files wait to be archived, the oldest since 2027-01-15T07:00:00Z; archiving \
             000000010000000000000003 failed at 2027-01-15T07:59:00Z, 7 in all"
        );
    }
}

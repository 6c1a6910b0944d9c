//! Snapshots and the LSN that belongs to them. A holder is a transaction that takes one, exports it, and touches no
//! table; the tables are read by others, each in a short transaction of its own.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio_postgres::{Client, SimpleQueryRow};

use super::archiver::LSN;
use super::server::{Identity, mixed, not_captured};
use super::snapshot::Snapshot;
use crate::archive::wal::Lsn;
use crate::finding::{Blame, Code, Finding};
use crate::postgres::rows;

/// How long the WAL up to the LSN may take to reach the disk. On an idle server the last records may stay unflushed,
/// and then nobody commits either.
const FLUSH_LIMIT: Duration = Duration::from_millis(250);
const FLUSH_POLL: Duration = Duration::from_millis(2);
/// How long a standby may take to replay one more record, or the rest of what it received.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// One database's snapshot, held open by its connection's transaction.
#[derive(Debug, Clone)]
pub struct Held {
    pub snapshot: Snapshot,
    pub lsn: Lsn,
    /// The name under which other transactions may use the snapshot.
    pub exported: String,
}

/// The snapshots of all databases, and what became of them until the last LSN was known.
#[derive(Debug)]
pub struct Taken {
    /// In the order of the holders.
    pub held: Vec<Held>,
    /// The largest of their LSNs.
    pub lsn: Lsn,
    pub second: Snapshot,
    pub exact: bool,
    /// Commits that were already in WAL and waited for the disk or a synchronous standby, still invisible.
    pub waiting_commits: u64,
}

/// Takes a snapshot on each connection at nearly the same moment, then the second one on `observer`.
pub async fn take(holders: &[&Client], observer: &Client, identity: &Identity) -> Result<Taken, Box<Finding>> {
    let held = try_join_all(holders.iter().map(|client| hold(client, identity))).await?;
    let mut lsn = held.iter().map(|held| held.lsn).max().unwrap_or(Lsn(0));
    if identity.in_recovery {
        lsn = settled(observer, lsn).await?;
    }
    let (second, waiting_commits) = second(observer, identity, lsn).await?;
    let exact = waiting_commits == 0
        && held.iter().all(|held| {
            held.snapshot.is_decided(identity.in_recovery) && held.snapshot.finished_between(&second).count == 0
        });
    Ok(Taken { held, lsn, second, exact, waiting_commits })
}

/// Ends the transactions that hold the snapshots.
pub async fn release(holders: &[&Client]) {
    // A connection that is broken has nothing to release.
    futures_util::future::join_all(holders.iter().map(|client| client.batch_execute("ROLLBACK"))).await;
}

/// One message, so that nothing delays the LSN after the snapshot. The LSN is read after the snapshot was taken, and a
/// commit is in WAL before any snapshot shows it: all that the snapshot shows lies before the LSN.
async fn hold(client: &Client, identity: &Identity) -> Result<Held, Box<Finding>> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
        SELECT pg_current_snapshot()::text, ({LSN})::text;
        {};
        SELECT pg_export_snapshot()",
        Identity::sql()
    );
    let rows = rows(client, &sql).await.map_err(|error| not_captured("take a snapshot", &error))?;
    let [position, identified, exported] = rows.as_slice() else { return Err(Box::new(unexpected("a snapshot"))) };
    identity.agree(&Identity::of(identified).ok_or_else(|| unexpected("its identity"))?)?;
    let (snapshot, lsn) = position_of(position).ok_or_else(|| unexpected("a snapshot"))?;
    let exported = exported.get(0).ok_or_else(|| unexpected("an exported snapshot"))?.to_owned();
    Ok(Held { snapshot, lsn, exported })
}

/// A commit is in WAL before it is visible: it waits for the disk, and maybe for a synchronous standby. So the second
/// snapshot is taken once the WAL before `lsn` is flushed, and is made to reach over every transaction that still runs.
/// Whatever committed before `lsn` is then either finished in it or below its xmax.
async fn second(observer: &Client, identity: &Identity, lsn: Lsn) -> Result<(Snapshot, u64), Box<Finding>> {
    let is_flushed = wait_until_flushed(observer, lsn).await?;
    let waits = if is_flushed { "'syncrep'" } else { "'syncrep', 'walsync', 'walwrite'" };
    let sql = format!(
        "SELECT coalesce(string_agg(xid::text, ','), ''), count(*) FILTER (WHERE waits)
            FROM (SELECT backend_xid, lower(wait_event) IN ({waits}) FROM pg_stat_activity
                UNION ALL SELECT transaction, false FROM pg_prepared_xacts) AS running (xid, waits)
            WHERE xid IS NOT NULL;
        SELECT pg_current_snapshot()::text, ({LSN})::text;
        {}",
        Identity::sql()
    );
    let rows = rows(observer, &sql).await.map_err(|error| not_captured("take the second snapshot", &error))?;
    let [running, position, identified] = rows.as_slice() else {
        return Err(Box::new(unexpected("a second snapshot")));
    };
    identity.agree(&Identity::of(identified).ok_or_else(|| unexpected("its identity"))?)?;
    let (snapshot, later) = position_of(position).ok_or_else(|| unexpected("a second snapshot"))?;
    if later < lsn {
        return Err(Box::new(mixed(&format!("an LSN of at least {lsn}"), &format!("{later}, asked later"))));
    }
    let waiting = running.get(1).and_then(|count| count.parse().ok()).ok_or_else(|| unexpected("who waits"))?;
    let xids: Vec<u32> = running.get(0).unwrap_or_default().split(',').filter_map(|xid| xid.parse().ok()).collect();
    let snapshot = snapshot.reaching(&xids).ok_or_else(|| {
        let summary = "too many transactions run to tell which of them the snapshot shows";
        let finding = Finding::failed(Code::BaselineNotCaptured, Blame::Source, summary);
        finding.hint("run it at a time without bulk loads in thousands of subtransactions")
    })?;
    Ok((snapshot, waiting))
}

/// A standby shows a commit a moment before it counts the record as replayed, so the LSN beside a snapshot may lie before
/// a commit that the snapshot shows. Once replay has gone on, or has nothing left of what was received, it does not.
async fn settled(observer: &Client, lsn: Lsn) -> Result<Lsn, Box<Finding>> {
    let sql = "SELECT pg_last_wal_replay_lsn()::text, pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()";
    let started = Instant::now();
    loop {
        let rows = rows(observer, sql).await.map_err(|error| not_captured("ask how far it has replayed", &error))?;
        let row = rows.first().ok_or_else(|| unexpected("how far it has replayed"))?;
        let replayed: Lsn = row.get(0).and_then(|lsn| lsn.parse().ok()).ok_or_else(|| unexpected("its LSN"))?;
        if replayed > lsn || row.get(1) == Some("t") {
            return Ok(replayed);
        }
        if started.elapsed() > SETTLE_LIMIT {
            let summary = "the standby does not go on replaying, so what its snapshot shows has no certain LSN";
            let finding = Finding::failed(Code::SourceReplicaLag, Blame::Source, summary);
            return Err(Box::new(
                finding.hint("read the baseline from the primary, or let the standby stream from it"),
            ));
        }
        tokio::time::sleep(FLUSH_POLL).await;
    }
}

async fn wait_until_flushed(observer: &Client, lsn: Lsn) -> Result<bool, Box<Finding>> {
    let sql = format!(
        "SELECT CASE WHEN pg_is_in_recovery() THEN 't' WHEN pg_current_wal_flush_lsn() >= '{lsn}' THEN 't' END"
    );
    let started = Instant::now();
    loop {
        let rows = rows(observer, &sql).await.map_err(|error| not_captured("ask how far WAL is flushed", &error))?;
        let is_flushed = rows.first().is_some_and(|row| row.get(0).is_some());
        if is_flushed || started.elapsed() > FLUSH_LIMIT {
            return Ok(is_flushed);
        }
        tokio::time::sleep(FLUSH_POLL).await;
    }
}

fn position_of(row: &SimpleQueryRow) -> Option<(Snapshot, Lsn)> {
    Some((row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?))
}

fn unexpected(what: &str) -> Finding {
    let summary = format!("the server gave an unexpected answer when asked for {what}");
    let finding = Finding::failed(Code::BaselineNotCaptured, Blame::Environment, summary);
    finding.hint("is `connection.host` PostgreSQL 13 or later itself, not a pooler?")
}

//! The certificate: which transactions the copy holds beyond the baseline (K), and whether one of the baseline's is
//! missing. With K empty, every count must match exactly.

use tokio_postgres::Client;

use super::not_asked;
use crate::archive::wal::Lsn;
use crate::finding::{Blame, Code, Finding};
use crate::source::baseline::Baseline;
use crate::source::snapshot::Snapshot;
use crate::target::Stop;

/// More candidates than this are not asked one by one; they are counted as if all had committed.
const ASKED: u64 = 1_000_000;

/// The transactions that may have committed between one database's snapshot and the stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// In progress at the snapshot; below the copy's own first transaction.
    pub in_progress: Vec<u64>,
    /// Not yet begun, or not finished, at the snapshot: `from..to`.
    pub from: u64,
    pub to: u64,
    /// How many of them committed: |K|.
    pub committed: u64,
    /// The smallest that committed; without meaning when none did.
    pub first: u64,
}

impl Certificate {
    /// Nothing committed between the snapshot and the stop.
    pub fn is_exact(&self) -> bool {
        self.committed == 0
    }

    /// SQL that is true for every row that K may have written, or the copy's own transactions: from the smallest of
    /// them on. A snapshot does not list the subtransactions of those in progress, so [`Self::wrote_row`] may miss
    /// rows; this does not. `next_xid` is the copy's own first transaction, `now` lies behind its last.
    pub fn may_have_written_row(&self, next_xid: u64, now: u64) -> String {
        let from = if self.is_exact() { next_xid } else { self.first.min(next_xid) };
        match now.saturating_sub(from) {
            0 => "false".to_owned(),
            range => {
                format!("((xmin::text::int8 - {} + 4294967296) % 4294967296 < {range})", from & 0xFFFF_FFFF)
            }
        }
    }

    /// SQL that is true for a row that one of these transactions wrote. `xmin` has 32 bits, so the comparison is
    /// modulo 2^32.
    pub fn wrote_row(&self) -> String {
        let low = |xid: u64| xid & 0xFFFF_FFFF;
        let list: Vec<String> = self.in_progress.iter().map(|&xid| low(xid).to_string()).collect();
        format!(
            "(xmin::text::int8 = ANY ('{{{}}}'::int8[]) OR (xmin::text::int8 - {} + 4294967296) % 4294967296 < {})",
            list.join(","),
            low(self.from),
            self.to.saturating_sub(self.from)
        )
    }
}

/// The candidates for K: not visible in the snapshot, and below the bound.
pub fn candidates(snapshot: &Snapshot, baseline: &Baseline, stop: &Stop, next_xid: u64) -> Certificate {
    // A transaction at or above the second snapshot's end finished after the target. Without that stop there is no
    // such bound.
    let to = match stop {
        Stop::BeforeLsn(lsn) if *lsn == baseline.lsn => baseline.second_snapshot.xmax.min(next_xid),
        _ => next_xid,
    };
    let in_progress = snapshot.in_progress.iter().copied().filter(|&xid| xid < to.min(snapshot.xmax)).collect();
    // A standby's snapshot lists nothing as in progress, so all that may have been counts.
    let from = if baseline.server.in_recovery { snapshot.xmin } else { snapshot.xmax };
    Certificate { in_progress, from, to: to.max(from), committed: 0, first: from }
}

/// Counts the committed ones on the restored server.
pub async fn certify(
    client: &Client,
    snapshot: &Snapshot,
    baseline: &Baseline,
    stop: &Stop,
    next_xid: u64,
) -> Result<Certificate, Finding> {
    let mut certificate = candidates(snapshot, baseline, stop, next_xid);
    let range = certificate.to - certificate.from;
    if range > ASKED {
        certificate.committed = range;
        certificate.first = certificate.in_progress.iter().copied().fold(certificate.from, u64::min);
        return Ok(certificate);
    }
    let list: Vec<String> = certificate.in_progress.iter().map(u64::to_string).collect();
    // A status that is no longer known (null) belongs to a transaction so old that it cannot be one of these.
    let question = format!(
        "SELECT count(*)::int8, min(xid) FROM (SELECT unnest('{{{}}}'::int8[]) UNION ALL SELECT generate_series({}::int8, {}::int8)) x(xid)
         WHERE pg_xact_status(xid::text::xid8) = 'committed'",
        list.join(","),
        certificate.from,
        i128::from(certificate.to) - 1,
    );
    let row = client.query_one(&question, &[]).await.map_err(|error| not_asked(Code::RecoveryCertificate, &error))?;
    certificate.committed = u64::try_from(row.get::<_, i64>(0)).unwrap_or(0);
    let first = row.get::<_, Option<i64>>(1).and_then(|first| u64::try_from(first).ok());
    certificate.first = first.unwrap_or(certificate.from);
    Ok(certificate)
}

/// Says how exact the comparison will be.
pub fn describe(certificates: &[(String, Certificate)]) -> Finding {
    let beyond: Vec<String> = certificates
        .iter()
        .filter(|(_, certificate)| !certificate.is_exact())
        .map(|(database, certificate)| format!("{database}: {}", certificate.committed))
        .collect();
    if beyond.is_empty() {
        Finding::passed(
            Code::RecoveryCertificate,
            "no transaction beyond the baseline was replayed: counts must be equal",
        )
    } else {
        Finding::note(
            Code::RecoveryCertificate,
            "transactions beyond the baseline were replayed; their rows are told apart",
        )
        .observed(beyond.join(", "))
    }
}

/// The newest of the copy's `uncommitted` transactions that the source had committed before the snapshots: its commit
/// lies behind the archive's end. Both lists are as [`transactions::uncommitted`] makes them.
///
/// [`transactions::uncommitted`]: crate::source::transactions::uncommitted
pub fn commit_missing(baseline: &Baseline, uncommitted: &[u64]) -> Option<u64> {
    let is_finished = |xid| baseline.databases.iter().any(|database| database.snapshot.is_finished(xid));
    let is_missing = |xid: &u64| baseline.uncommitted.binary_search(xid).is_err() && is_finished(*xid);
    uncommitted.iter().copied().filter(is_missing).max()
}

/// Nothing missing: every transaction that the baseline saw finished lies below the copy's own first one, and
/// `commit_missing` found none.
pub fn missing(
    baseline: &Baseline,
    next_xid: u64,
    commit_missing: Option<u64>,
    switch: Lsn,
    archiving_failing: Option<&str>,
) -> Finding {
    let unknown = baseline.databases.iter().filter_map(|database| database.snapshot.all_finished_below(next_xid)).max();
    let Some(largest) = unknown.max(commit_missing) else {
        return Finding::passed(
            Code::RecoveryTransactionsMissing,
            format!("every transaction that the baseline saw is below {next_xid}, the copy's own first"),
        );
    };
    let finding = match archiving_failing {
        Some(reason) => Finding::failed(
            Code::RecoveryTransactionsMissing,
            Blame::Backups,
            format!("transactions of the baseline never reached the archive: {reason}"),
        )
        .hint("see the source's log for archive_command; every hour adds to what would be lost"),
        // Not yet archived is not the same as lost.
        None if switch < baseline.lsn => Finding::failed(
            Code::RecoveryTransactionsMissing,
            Blame::Source,
            "transactions of the baseline have not reached the archive yet",
        )
        .hint("this is what would be lost now: lower archive_timeout, or give `limits.archiveWait` more time"),
        None => Finding::failed(
            Code::RecoveryTransactionsMissing,
            Blame::Backups,
            "transactions of the baseline are missing though recovery passed its LSN",
        )
        .hint("the archive's WAL is not the source's: which server wrote it?"),
    };
    finding.expected(format!("transactions up to {largest}")).observed(match unknown {
        Some(_) => format!("the copy ends before transaction {next_xid}, at LSN {switch}"),
        None => format!("the copy ends at LSN {switch}, before the commit of transaction {largest}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_behind_the_archives_end_is_told_from_what_the_source_did_not_commit_either() {
        let document = r#"{"schema_version": 2, "source": "s", "captured_at": "2026-01-02T03:04:05Z", "duration_ms": 1,
            "walproof_version": "0.1.0", "lsn": "0/3000028", "second_snapshot": "731:731:", "uncommitted": [728],
            "server": {"system_identifier": "7500000000000000000", "version_number": 150020, "version": "15.20",
            "timeline": 1, "segment_size": 16777216, "in_recovery": false, "superuser": "postgres",
            "archive_mode": "on", "archive_timeout_seconds": 300, "data_checksums": true},
            "exact": true, "attempts": 1, "databases": [{"name": "d", "oid": 5, "snapshot": "730:731:730",
            "lsn": "0/3000028", "tables": []}], "not_read": [], "notes": []}"#;
        let baseline: Baseline = serde_json::from_str(document).unwrap();
        assert_eq!(commit_missing(&baseline, &[728]), None, "the source did not commit it either");
        assert_eq!(commit_missing(&baseline, &[730]), None, "it was not finished");
        assert_eq!(commit_missing(&baseline, &[728, 729, 730]), Some(729));

        let judged = |commit_missing| missing(&baseline, 731, commit_missing, Lsn(0x300_0000), None);
        assert_eq!(judged(Some(729)).blame, Some(Blame::Source));
        assert_eq!(judged(None).blame, None);
    }

    #[test]
    fn rows_are_told_apart_across_the_wrap_of_32_bits() {
        let certificate = Certificate {
            in_progress: vec![(1 << 32) + 5],
            from: (2 << 32) - 1,
            to: (2 << 32) + 2,
            committed: 1,
            first: (2 << 32) - 1,
        };
        assert_eq!(
            certificate.wrote_row(),
            "(xmin::text::int8 = ANY ('{5}'::int8[]) OR (xmin::text::int8 - 4294967295 + 4294967296) % 4294967296 < 3)"
        );
        assert_eq!(
            certificate.may_have_written_row((2 << 32) + 2, (2 << 32) + 4),
            "((xmin::text::int8 - 4294967295 + 4294967296) % 4294967296 < 5)"
        );
    }

    #[test]
    fn without_transactions_beyond_the_baseline_only_the_copys_own_can_have_written() {
        let certificate = Certificate { in_progress: vec![], from: 700, to: 720, committed: 0, first: 700 };
        assert_eq!(certificate.may_have_written_row(720, 720), "false");
        assert_eq!(
            certificate.may_have_written_row(720, 722),
            "((xmin::text::int8 - 720 + 4294967296) % 4294967296 < 2)"
        );
    }
}

//! Data checksums: PostgreSQL verifies a page when it reads it from disk, and counts those that fail.

use tokio_postgres::Client;

use crate::finding::{Blame, Code, Finding};
use crate::probe::not_asked;
use crate::report::text::{bytes, count};

const QUESTION: &str = "SELECT current_setting('data_checksums') = 'on',
    (SELECT coalesce(sum(checksum_failures), 0)::int8 FROM pg_stat_database),
    (SELECT string_agg(coalesce(datname, 'shared catalogs'), ', ' ORDER BY datname)
        FROM pg_stat_database WHERE checksum_failures > 0)";

/// To be asked last: `read` bytes of tables and indexes were read whole before.
pub async fn probe(client: &Client, read: u64) -> Finding {
    match client.query_one(QUESTION, &[]).await {
        Ok(row) => judge(row.get(0), u64::try_from(row.get::<_, i64>(1)).unwrap_or(0), row.get(2), read),
        Err(error) => not_asked(Code::IntegrityChecksums, &error),
    }
}

fn judge(are_on: bool, failures: u64, databases: Option<String>, read: u64) -> Finding {
    let code = Code::IntegrityChecksums;
    if !are_on {
        return Finding::note(code, "the source keeps no data checksums, so a changed byte in a page may go unseen")
            .hint("turn them on with pg_checksums while the source is stopped, or in a new cluster");
    }
    if failures > 0 {
        let reads = count(failures, "read of a page", "reads of pages");
        let summary = format!("{reads} failed by the data checksum");
        return Finding::failed(code, Blame::Backups, summary)
            .expected("every page that is read as PostgreSQL wrote it")
            .observed(format!("in {}", databases.unwrap_or_else(|| "an unknown database".to_owned())))
            .hint("make a new base backup now and keep this one; the server's log names the pages (--keep)");
    }
    if read == 0 {
        return Finding::not_checked(code, "no table and no index was read whole, so checksums prove nothing");
    }
    Finding::passed(code, format!("no page failed its data checksum; {} were read whole", bytes(read)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    #[test]
    fn checksums_hold_only_where_something_was_read() {
        assert_eq!(judge(true, 0, None, 1 << 20).outcome, Outcome::Passed);
        assert_eq!(judge(true, 0, None, 0).outcome, Outcome::NotChecked);
        assert_eq!(judge(false, 0, None, 1 << 20).outcome, Outcome::Note);
        assert!(judge(true, 1, Some("shop".to_owned()), 0).blames_backups());
    }
}

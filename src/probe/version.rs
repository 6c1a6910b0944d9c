//! Does the restored server run the source's PostgreSQL? The major version must be the same, or nothing would have come
//! up; a minor one may differ, and what is then proven is proven of that one.

use tokio_postgres::Client;

use super::not_asked;
use crate::finding::{Code, Finding};
use crate::source::baseline::Server;

/// What the restored server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As `server_version_num`.
    pub number: u32,
    pub text: String,
    pub data_checksums: bool,
    pub segment_bytes: u64,
}

/// Reads and judges.
pub async fn probe(client: &Client, source: &Server) -> Finding {
    let question = "SELECT current_setting('server_version_num')::int8, current_setting('server_version'),
        current_setting('data_checksums') = 'on', (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size')";
    match client.query_one(question, &[]).await {
        Ok(row) => {
            let number = |index| row.get::<_, i64>(index);
            let version = Version {
                number: u32::try_from(number(0)).unwrap_or(0),
                text: row.get(1),
                data_checksums: row.get(2),
                segment_bytes: u64::try_from(number(3)).unwrap_or(0),
            };
            judge(&version, source)
        }
        Err(error) => not_asked(Code::ServerVersion, &error),
    }
}

/// Judges. A difference blames nobody: the data came back under another version, or from before a change.
pub fn judge(restored: &Version, source: &Server) -> Finding {
    let checksums = |on: bool| if on { "with data checksums" } else { "without data checksums" };
    let text = |version: &str, on: bool, bytes: u64| {
        format!("PostgreSQL {version}, {}, WAL segments of {} MB", checksums(on), bytes >> 20)
    };
    let expected = text(&source.version, source.data_checksums, source.segment_size.bytes());
    let observed = text(&restored.text, restored.data_checksums, restored.segment_bytes);
    let note = |summary: &str| Finding::note(Code::ServerVersion, summary).expected(&expected).observed(&observed);
    if restored.number < source.version_number {
        note("the restored server runs an older PostgreSQL than the source")
            .hint("restore with the source's own version: an older one has faults that are mended there")
    } else if restored.number > source.version_number {
        note("the restored server runs a newer PostgreSQL than the source")
            .hint("what was proven is proven of that version; restore with the source's own to know of it too")
    } else if restored.data_checksums != source.data_checksums {
        note("data checksums were turned on or off since the base backup was made")
            .hint("make a new base backup, so that a restore has what the source has")
    } else if restored.segment_bytes != source.segment_size.bytes() {
        note("the size of WAL segments was changed since the base backup was made")
            .hint("make a new base backup: WAL of another size cannot be replayed on the old one")
    } else {
        Finding::passed(Code::ServerVersion, format!("{observed}, as on the source"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    fn source() -> Server {
        let json = r#"{"system_identifier": "7500000000000000000", "version_number": 150014, "version": "15.14",
            "timeline": 1, "segment_size": 16777216, "in_recovery": false, "superuser": "postgres",
            "archive_mode": "on", "archive_timeout_seconds": 300, "data_checksums": true}"#;
        serde_json::from_str(json).unwrap()
    }

    fn restored() -> Version {
        Version { number: 150_014, text: "15.14".to_owned(), data_checksums: true, segment_bytes: 16 << 20 }
    }

    #[test]
    fn the_same_version_passes_and_says_so() {
        let finding = judge(&restored(), &source());
        assert_eq!(finding.outcome, Outcome::Passed);
        assert_eq!(finding.summary, "PostgreSQL 15.14, with data checksums, WAL segments of 16 MB, as on the source");
    }

    #[test]
    fn every_difference_is_a_note_with_both_sides() {
        for other in [
            Version { number: 150_010, text: "15.10".to_owned(), ..restored() },
            Version { number: 150_015, text: "15.15".to_owned(), ..restored() },
            Version { data_checksums: false, ..restored() },
            Version { segment_bytes: 64 << 20, ..restored() },
        ] {
            let finding = judge(&other, &source());
            assert_eq!(finding.outcome, Outcome::Note, "{finding:?}");
            assert!(finding.expected.is_some() && finding.observed.is_some() && finding.hint.is_some(), "{finding:?}");
        }
    }
}

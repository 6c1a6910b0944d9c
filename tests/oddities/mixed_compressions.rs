//! WAL in every compression that barman knows, one after the other, as changes of the configuration leave it.

use std::time::Duration;

use crate::support::ArchiveCopy;
use crate::support::prepared::SERVER;
use crate::support::process::eventually;
use crate::{Source, assert_nothing_differs};

/// barman's options, and what it appends to the names.
const COMPRESSIONS: [(&str, &str); 7] = [
    ("--gzip", ".gz"),
    ("--bzip2", ".bz2"),
    ("--xz", ".xz"),
    ("--snappy", ".snappy"),
    ("--zstd", ".zst"),
    ("--lz4", ".lz4"),
    ("", ""),
];

#[test]
fn wal_in_seven_compressions_is_one_way() {
    let source = Source::start();
    for (option, extension) in COMPRESSIONS {
        let command = source.barman().archive_command(SERVER, &[option]).replace('\'', "''");
        let sql = format!("ALTER SYSTEM SET archive_command = '{command}'; SELECT pg_reload_conf()");
        source.postgres.sql("postgres", &sql);
        // The archiver may take one more segment before it reads its settings again.
        eventually(&format!("a segment is archived with {option}"), Duration::from_mins(2), || {
            source.write();
            let segment = source.postgres.archive_wal();
            let key = ArchiveCopy::copy(source.s3.root(), SERVER).wal_key(&segment);
            key.ends_with(&format!("{segment}{extension}")).then_some(())
        });
    }
    let document = source.baseline_now("mixed.json");

    assert_nothing_differs(&source.archive_and_drill_with(&document));
}

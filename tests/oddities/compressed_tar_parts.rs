//! Base backups in several tars of each compression that barman offers, in one archive.

use serde_json::json;

use crate::support::prepared::SERVER;
use crate::support::{ArchiveCopy, Postgres};
use crate::{Source, assert_nothing_differs, drill};

#[test]
fn a_base_backup_in_several_parts_comes_back_in_every_compression() {
    let source = Source::without_backup(Postgres::builder());
    // What cannot be compressed fills the parts.
    let sql = "CREATE EXTENSION pgcrypto; CREATE TABLE noise AS
        SELECT n AS id, gen_random_bytes(1000) AS bytes FROM generate_series(1, 14000) n";
    source.postgres.sql("postgres", sql);
    let backups = ["--gzip", "--bzip2", "--snappy", "--lz4", ""].map(|option| {
        let mut options = vec!["--max-archive-size", "8MB", "--min-chunk-size", "5MB"];
        options.extend((!option.is_empty()).then_some(option));
        source.barman().backup(&source.postgres, SERVER, &options)
    });
    let document = source.baseline_now("parts.json");
    source.write();
    source.postgres.archive_wal();
    let keys = ArchiveCopy::copy(source.s3.root(), SERVER).keys();

    for backup in backups {
        let parts = keys.iter().filter(|key| key.contains(&backup) && key.contains("/data")).count();
        assert!(parts >= 2, "{backup}: {keys:?}");
        let walproof = source.walproof().baseline(&document).set("/sources/0/backup", json!({"id": backup}));
        assert_nothing_differs(&drill(&walproof));
    }
}

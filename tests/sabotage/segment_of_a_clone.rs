//! A copy of the data directory was started beside the source, without recovery: it stays on the source's timeline, has
//! its system identifier, and archives segments of the same names over the source's. Each is whole and in its place.
//!
//! Caught by `probe::tables::judge`, counts and timestamps alike: what the clone wrote in the place of the source's rows is not what the source had.

use std::fs;

use crate::support::postgres::Stop;
use crate::support::prepared::{SERVER, create_databases, write_rows};
use crate::support::{ArchiveCopy, Barman, Postgres, S3, Walproof};
use crate::trial::{AGE, Trial};

#[test]
fn a_segment_that_a_clone_archived_over_the_sources_fails_the_drill_by_the_tables() {
    let s3 = S3::temporary();
    let barman = Barman::new(&s3);
    let source = Postgres::builder().archive_command(barman.archive_command(SERVER, &["--gzip"])).start();
    create_databases(&source);
    write_rows(&source);
    barman.backup(&source, SERVER, &["--gzip"]);
    let mut clone = source.standby();
    clone.wait_until_caught_up_with(&source);
    clone.stop(Stop::Fast);
    fs::remove_file(clone.data_directory().join("standby.signal")).unwrap();
    clone.start();

    source.sql("shop", "INSERT INTO orders (amount) SELECT n FROM generate_series(1, 50) n");
    let documents = tempfile::tempdir().unwrap();
    let document = documents.path().join("baseline.json");
    let walproof = Walproof::new(&s3, SERVER).connection(&source);
    let outcome = walproof.run(&["baseline", "--output-file", document.to_str().unwrap()]);
    assert_eq!(outcome.exit_code, 0, "{outcome}");
    let segment = source.archive_wal();
    let archived = || Trial::of_archive(ArchiveCopy::copy(s3.root(), SERVER).aged(AGE), &document);
    archived().drill().passes();

    clone.sql("shop", "UPDATE orders SET amount = 0; DELETE FROM orders WHERE id % 2 = 0");
    assert_eq!(clone.archive_wal(), segment, "both write the same segment");
    archived().drill().fails(&[
        ("sequence.behind", "shop: public.orders_id_seq"),
        ("table.row_count", "shop: public.orders"),
        ("table.timestamps", "shop: public.orders"),
    ]);
}

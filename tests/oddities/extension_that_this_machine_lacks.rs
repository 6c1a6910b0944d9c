//! The source has an extension whose library is not on the machine of the direct sandbox, and one that is only to be used
//! preloaded. Neither says anything of the backups.

use crate::{Source, assert_passes, finding};

#[test]
fn a_library_that_this_machine_lacks_is_a_note() {
    let source = Source::start();
    let sql = "CREATE FUNCTION distance() RETURNS trigger LANGUAGE c AS 'tsm_system_rows', 'tsm_system_rows_handler';
        UPDATE pg_proc SET probin = '$libdir/postgis-3' WHERE proname = 'distance'";
    source.postgres.sql("postgres", sql);
    let document = source.baseline(&source.walproof().connection(&source.postgres), "extension.json");
    source.postgres.archive_wal();

    let outcome = source.drill_with(&document);

    assert_passes(&outcome);
    let missing = finding(&outcome, "integrity.library", "note");
    assert_eq!(missing["object"], "$libdir/postgis-3");
    assert!(missing["summary"].as_str().unwrap().contains("this machine has no library"), "{outcome}");
}

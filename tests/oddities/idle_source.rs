//! The baseline's LSN lies among records that an idle source never archives: checkpoints and the like move the LSN, and
//! no segment ends for their sake.

use crate::{Source, assert_passes, drill, finding};

#[test]
fn an_idle_source_passes_although_its_lsn_is_never_archived() {
    let source = Source::start();
    source.write();
    source.postgres.archive_wal();
    source.postgres.sql("postgres", "CHECKPOINT");

    let outcome = drill(&source.walproof().connection(&source.postgres));

    assert_passes(&outcome);
    let short = finding(&outcome, "archive.behind_target", "note");
    assert!(short["summary"].as_str().unwrap().contains("was not archived within 1.0 s"), "{outcome}");
    finding(&outcome, "recovery.transactions_missing", "passed");
    finding(&outcome, "recovery.certificate", "passed");
    assert_eq!(outcome.report()["restore"]["target"], "the end of the archive", "{outcome}");
    assert!(outcome.report()["restore"]["tables"][0]["rows_observed"].is_u64(), "{outcome}");
}

//! A whole database is gone from the base backup's catalog. Its files came back, and nobody can connect to it.
//!
//! Caught by `probe::objects::judge`, which wants every database of the baseline, and by `drill::probes::compare`, which
//! finds none to connect to.

use crate::trial::Trial;

#[test]
fn a_lost_database_fails_the_drill_by_its_name() {
    let trial = Trial::of_pages("vault", "pg_database", |pages| pages.lose(pages.live_row(b"vault\0")));

    let judged = trial.drill();
    judged.fails(&[
        ("integrity.table", "postgres: pg_catalog.pg_database"),
        ("role.definition", "the server: database vault"),
        ("server.objects", ""),
        ("table.row_count", "vault"),
    ]);
    assert_eq!(judged.finding("server.objects", "failed")["observed"], "database vault is missing", "{judged}");
}

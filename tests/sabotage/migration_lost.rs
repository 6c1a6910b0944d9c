//! One applied migration is gone from the table in which the migration tool keeps them: the next deployment would apply
//! it again.
//!
//! Caught by `probe::migrations::judge`, which names it, and by `probe::tables::judge`, which counts.

use crate::trial::Trial;

#[test]
fn a_lost_migration_fails_the_drill_by_its_version() {
    let trial = Trial::of_pages("vault", "schema_migrations", |pages| {
        let migration = pages.live_row(b"20260103120000");
        pages.lose(migration);
    });

    let judged = trial.drill();
    let table = "vault: public.schema_migrations";
    judged.fails(&[("schema.migrations", table), ("table.row_count", table)]);
    let summary = judged.finding("schema.migrations", "failed")["summary"].to_string();
    assert!(summary.contains("20260103120000"), "{judged}");
}

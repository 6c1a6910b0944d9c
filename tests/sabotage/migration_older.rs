//! The one row of Alembic's table names another revision than the source's: no count tells.
//!
//! Caught by `probe::migrations::judge`, which compares the digest of the versions.

use crate::trial::Trial;

#[test]
fn another_revision_fails_the_drill_by_its_table() {
    let trial = Trial::of_pages("vault", "alembic_version", |pages| {
        let revision = pages.live_row(b"ae1027a6acf4");
        pages.replace(revision, b"ae1027a6acf4", b"1975ea83b712");
    });

    let judged = trial.drill();
    let table = "vault: public.alembic_version";
    judged.fails(&[("integrity.index", table), ("schema.migrations", table), ("table.content", table)]);
    let observed = judged.finding("schema.migrations", "failed")["observed"].to_string();
    assert!(observed.contains("1975ea83b712"), "{judged}");
}

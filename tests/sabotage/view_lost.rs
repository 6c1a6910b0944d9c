//! A view is no longer in `pg_class`. No table misses a row.
//!
//! Caught by `probe::catalog::differences` on the schema, which tells neither the view's columns nor its owner again.

use crate::trial::Trial;

#[test]
fn a_lost_view_fails_the_drill_by_its_name() {
    let trial = Trial::of_pages("vault", "pg_class", |pages| {
        let view = pages.live_row(b"wealthy_accounts\0");
        pages.lose(view);
    });

    trial.drill().fails(&[
        ("integrity.table", "vault: pg_catalog.pg_class"),
        ("schema.objects", "vault: view public.wealthy_accounts"),
    ]);
}

//! An extension is no longer in `pg_extension`: its types and functions still work, and no upgrade or dump knows them.
//!
//! Caught by `probe::catalog::differences` on the schema.

use crate::trial::Trial;

#[test]
fn a_lost_extension_fails_the_drill_by_its_name() {
    let trial = Trial::of_pages("vault", "pg_extension", |pages| {
        let extension = pages.live_row(b"citext\0");
        pages.lose(extension);
    });

    trial.drill().fails(&[("schema.objects", "vault: extension citext")]);
}

//! A byte of a large object is another one. No table of the user's holds it, so no row count and no dump of a table
//! shows it.
//!
//! Caught by `probe::content::Contents::large_objects`.

use crate::trial::Trial;

#[test]
fn a_large_object_that_differs_in_one_byte_fails_the_drill_by_its_databases_name() {
    let trial = Trial::of_pages("vault", "pg_largeobject", |pages| {
        let page = pages.live_row(b"a large object");
        pages.replace(page, b"a large object", b"a large 0bject");
    });

    let judged = trial.drill();
    judged.fails(&[("large_object.content", "vault")]);
    judged.finding("table.content", "passed");
}

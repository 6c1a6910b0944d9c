//! A function computes something else: one letter of its body in `pg_proc`.
//!
//! Caught by `probe::catalog::differences` on the schema, by the hash of the body.

use crate::trial::Trial;

#[test]
fn a_function_with_another_body_fails_the_drill_by_its_name() {
    let trial = Trial::of_pages("vault", "pg_proc", |pages| {
        let function = pages.live_row(b"SELECT balance * 0.02");
        pages.replace(function, b"balance * 0.02", b"balance * 0.03");
    });

    trial.drill().fails(&[("schema.objects", "vault: function public.interest(numeric)")]);
}

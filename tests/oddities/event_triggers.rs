//! Event triggers that log every change of a definition, or refuse it: they act in the copy as in the source.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[
        ("postgres", "CREATE DATABASE guarded"),
        (
            "guarded",
            "CREATE TABLE changes (id serial PRIMARY KEY, tag text, created_at timestamptz DEFAULT now());
            CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
                'BEGIN INSERT INTO public.changes (tag) VALUES (tg_tag); END';
            CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note();
            CREATE TABLE guarded (id int); INSERT INTO guarded SELECT generate_series(1, 19)",
        ),
    ],
    after: &[(
        "guarded",
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no changes here''; END';
        CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse();
        INSERT INTO guarded VALUES (20)",
    )],
};

#[test]
fn a_database_that_refuses_changes_of_definitions_comes_back() {
    settled().holds("guarded", "public", "guarded", 20);
    // One line each for the table, and for the function that refuses.
    settled().holds("guarded", "public", "changes", 2);
}

//! Definitions change while the baseline is read: the catalogs of now are no longer those of the snapshot.

use crate::{Source, assert_nothing_differs, read_document, rows_in};

#[test]
fn columns_indexes_and_constraints_that_come_and_go_meanwhile_do_no_harm() {
    let source = Source::start();
    let sql = "CREATE TABLE b_grown (id int, created_at timestamptz); CREATE TABLE c_shrunk (LIKE b_grown);
        CREATE TABLE d_rewritten (LIKE b_grown); CREATE TYPE shade AS ENUM ('dark', 'light');
        CREATE TABLE e_shaded (shade shade, id serial); CREATE TABLE f_same (LIKE b_grown);
        CREATE VIEW seen AS SELECT id FROM f_same; CREATE ROLE editor; GRANT SELECT ON b_grown TO editor;
        CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 41';
        INSERT INTO b_grown SELECT n, now() FROM generate_series(1, 100) n;
        INSERT INTO c_shrunk TABLE b_grown; INSERT INTO d_rewritten TABLE b_grown; INSERT INTO f_same TABLE b_grown;
        INSERT INTO e_shaded SELECT 'dark' FROM generate_series(1, 100)";
    source.postgres.sql("postgres", sql);

    let document = source.baseline_while(
        "changed.json",
        "ALTER TABLE b_grown ADD note text DEFAULT 'x' NOT NULL; CREATE INDEX ON b_grown (id);
        ALTER TABLE b_grown ADD CHECK (id > 0); ALTER TABLE c_shrunk DROP created_at;
        ALTER TABLE d_rewritten ALTER id TYPE bigint; ALTER TYPE shade RENAME VALUE 'dark' TO 'darker';
        ALTER TABLE f_same RENAME created_at TO made_at; DROP VIEW seen; CREATE VIEW seen AS SELECT 1 AS one;
        REVOKE SELECT ON b_grown FROM editor; GRANT UPDATE ON f_same TO editor; CREATE ROLE successor;
        ALTER TABLE e_shaded OWNER TO successor; COMMENT ON TABLE b_grown IS 'changed';
        CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42'; CREATE EXTENSION citext;
        ALTER TABLE f_same ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON f_same USING (true);
        ALTER SEQUENCE e_shaded_id_seq RESTART WITH 1",
    );
    let outcome = source.archive_and_drill_with(&document);

    let document = read_document(&document);
    for table in ["b_grown", "c_shrunk", "d_rewritten", "e_shaded", "f_same"] {
        assert_eq!(rows_in(&document, "postgres", ("public", table)), Some(100), "{table}");
    }
    assert_nothing_differs(&outcome);
}

#[test]
fn definitions_that_change_after_the_baseline_are_not_its_business() {
    let source = Source::start();
    source.postgres.sql("postgres", "CREATE TABLE kept AS SELECT generate_series(1, 10) AS id; CREATE ROLE leaver");
    let document = source.baseline_now("before.json");
    let sql = "ALTER TABLE kept ADD note text; CREATE INDEX ON kept (id); ALTER TABLE kept RENAME id TO number;
        DROP ROLE leaver; CREATE ROLE newcomer; GRANT SELECT ON kept TO newcomer; CREATE DATABASE later";
    source.postgres.sql("postgres", sql);

    assert_nothing_differs(&source.archive_and_drill_with(&document));
}

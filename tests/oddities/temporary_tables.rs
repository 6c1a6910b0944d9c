//! Temporary tables of sessions that were open during the base backup and the baseline: the catalogs of the copy know
//! them, their files are gone, and nobody misses them.

use crate::support::Postgres;
use crate::support::prepared::SERVER;
use crate::{Session, Source, assert_nothing_differs, read_document};

const MAKE: &str =
    "CREATE TEMPORARY TABLE scratch (id serial PRIMARY KEY, created_at timestamptz DEFAULT now(), body text);
    INSERT INTO scratch (body) SELECT repeat(md5(n::text), 200) FROM generate_series(1, 1000) n;
    CREATE INDEX ON scratch (body); CREATE TEMPORARY VIEW seen AS TABLE scratch; CREATE TYPE pg_temp.kind AS ENUM ('a');
    CREATE FUNCTION pg_temp.one() RETURNS int LANGUAGE sql AS 'SELECT 1'";

#[test]
fn temporary_tables_of_living_and_of_killed_sessions_are_left_out() {
    let source = Source::without_backup(Postgres::builder());
    let mut long_lived = Session::open(&source.postgres);
    long_lived.run(MAKE);
    let mut killed = Session::open(&source.postgres);
    killed.run(MAKE);
    source.barman().backup(&source.postgres, SERVER, &[]);
    let mut in_transaction = Session::open(&source.postgres);
    in_transaction.run(&format!("BEGIN; {MAKE}; CREATE TEMPORARY TABLE brief (id int) ON COMMIT DROP"));

    let document = source.baseline_now("temporary.json");
    drop((long_lived, killed, in_transaction));
    let outcome = source.archive_and_drill_with(&document);

    assert!(!read_document(&document).to_string().contains("pg_temp"));
    assert_nothing_differs(&outcome);
}

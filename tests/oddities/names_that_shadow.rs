//! Objects of the user's with the names of PostgreSQL's own, in a database whose search path puts them first: a question
//! that leaves out the schema, or takes `t` for the whole row, gets another answer.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[
        ("postgres", "CREATE DATABASE shadows"),
        (
            "shadows",
            "CREATE FUNCTION nothing(bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT 0::bigint';
            CREATE AGGREGATE count(*) (SFUNC = nothing, STYPE = bigint, INITCOND = '0');
            CREATE FUNCTION isfinite(timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT false';
            CREATE FUNCTION md5(text) RETURNS text LANGUAGE sql AS 'SELECT ''same''';
            CREATE FUNCTION hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
            CREATE FUNCTION pg_relation_filenode(oid) RETURNS oid LANGUAGE sql AS 'SELECT 0::oid';
            CREATE FUNCTION to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT 0::regclass';
            CREATE FUNCTION pg_xact_status(xid8) RETURNS text LANGUAGE sql AS 'SELECT ''committed''';
            CREATE FUNCTION same(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
            CREATE OPERATOR <> (LEFTARG = oid, RIGHTARG = oid, FUNCTION = same);
            CREATE TABLE public.pg_class (oid oid, relname text); CREATE TABLE pg_namespace (oid oid);
            CREATE TABLE pg_stat_activity (pid int); CREATE TABLE pg_authid (rolname text);
            CREATE TABLE t (t text, count int, min int, max int, \"row\" int, \"Xmin\" int, \"CTID\" int, oid int,
                created_at text, updated_at timestamptz, ts timestamptz[], \"time\" time);
            CREATE DOMAIN moment AS timestamptz;
            CREATE TABLE \"table\" (created_at moment, updated_at timestamptz, \"only\" int);
            INSERT INTO public.pg_class SELECT n, 'mine' FROM generate_series(1, 21) n;
            INSERT INTO t SELECT 't', n, n, n, n, n, n, n, 'soon', '2026-01-01', ARRAY['2026-01-01'::timestamptz], '12:00'
                FROM generate_series(1, 22) n;
            INSERT INTO \"table\" SELECT '2026-01-01', '2026-01-01', n FROM generate_series(1, 23) n",
        ),
        ("postgres", "ALTER DATABASE shadows SET search_path = public, pg_catalog"),
    ],
    after: &[("shadows", "DELETE FROM \"table\" WHERE \"only\" = 1")],
};

#[test]
fn the_users_own_names_answer_no_question_of_ours() {
    settled().holds("shadows", "public", "pg_class", 21);
    settled().holds("shadows", "public", "t", 22);
    settled().holds("shadows", "public", "table", 22);
    for document in settled().documents() {
        let tables = document["databases"].as_array().unwrap().iter().flat_map(|it| it["tables"].as_array().unwrap());
        let table = tables.clone().find(|table| table["name"] == "t").unwrap();
        let expected = serde_json::json!([
            {"column": "updated_at", "min": "2026-01-01 00:00:00+00", "max": "2026-01-01 00:00:00+00"},
        ]);
        assert_eq!(table["timestamps"], expected);
    }
}

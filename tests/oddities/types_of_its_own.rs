//! Types of the user's own and rare ones: enums whose labels changed, composites, domains, arrays, ranges, values such as
//! NaN and -0, and columns that hold OIDs and names of other objects.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION IF NOT EXISTS citext;
        CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy'); CREATE TYPE place AS (street text, house int);
        CREATE DOMAIN positive AS numeric CHECK (VALUE > 0); CREATE DOMAIN addresses AS place[];
        CREATE TYPE span AS RANGE (SUBTYPE = float8);
        CREATE TABLE motley (
            id int PRIMARY KEY, mood mood, moods mood[], home place, homes addresses, amount positive, span span,
            spans nummultirange, tree ltree, pairs hstore, name citext, flags bit(5), more varbit, price money, page xml,
            document jsonb, plain json, words tsvector, query tsquery, point point, shape polygon, net inet, card macaddr8,
            key uuid, every interval, exact numeric, rough float8, short real, raw bytea, letter \"char\", old name,
            class regclass, function regprocedure, role regrole, position pg_lsn, xid xid8, snapshot pg_snapshot,
            path jsonpath, matrix int[][], clock timetz);
        CREATE INDEX ON motley (mood, name, amount); CREATE TYPE street AS (name text, house int); CREATE TABLE of_type OF street;
        ALTER TABLE motley ALTER raw SET STORAGE EXTERNAL, ALTER document SET COMPRESSION lz4;
        INSERT INTO of_type SELECT 'street', n FROM generate_series(1, 8) n;
        INSERT INTO motley SELECT
            n, 'sad', '{sad,NULL,happy}', ROW('a \"b\"', n)::place, ARRAY[ROW('c,d', 1)::place], n, '[1,2.5)', '{[1,2],(3,)}', 'a.b',
            'k=>NULL', 'Name' || n, B'10101', B'', n, '<a b=\"c\"/>', '{\"a\": [1, null]}', '{\"a\":1,\"a\":2}', 'a:1A b',
            'a & !b', '(1,-0)', '((0,0),(1,1),(1,0))', '192.0.2.1/24', '08:00:2b:01:02:03:04:05', gen_random_uuid(),
            '1 mon -1 day 00:00:00.000001', CASE n % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' ELSE '1.5e-40' END::numeric,
            CASE n % 3 WHEN 0 THEN '-0' WHEN 1 THEN 'NaN' ELSE '5e-324' END::float8, '1e-45', decode(repeat(md5(n::text), 300), 'hex'),
            '\\200', 'old', 'motley', 'pg_catalog.sum(int4)', 'postgres', '16/B374D848', '4294967299', '10:20:10,14,15',
            '$.a[*]', '[2:3][0:1]={{1,2},{3,4}}', '12:00:00+05:30' FROM generate_series(1, 70) n",
    )],
    after: &[
        (
            "postgres",
            "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'; ALTER TYPE mood ADD VALUE 'so-so' BEFORE 'fine';
            ALTER TYPE place ADD ATTRIBUTE town text; ALTER DOMAIN positive ADD CHECK (VALUE < 1000) NOT VALID",
        ),
        ("postgres", "UPDATE motley SET mood = 'so-so' WHERE id > 60; DELETE FROM motley WHERE id = 1"),
    ],
};

#[test]
fn values_of_every_type_come_back() {
    settled().holds("postgres", "public", "motley", 69);
    settled().holds("postgres", "public", "of_type", 8);
}

//! Names with quotes, spaces, line breaks, other scripts, and as many bytes as PostgreSQL takes, for everything that has
//! a name.

use crate::settled::{Situation, settled};

/// A role that may only read, and whose name every layer must quote. It is ASCII: PostgreSQL refuses a role by another
/// name in a database whose encoding has no such bytes.
pub const READER: &str = "o'Brien \"the reader\" \\ -- $1; %s";

/// Has quotes of both kinds, percent signs, and characters of several bytes.
const DATABASE: &str = "Lager 100 % „frei“ it's \"quoted\" \\ -- /* 倉庫 */";

pub const SITUATION: Situation = Situation {
    before: &[
        (
            "postgres",
            r#"CREATE ROLE "o'Brien ""the reader"" \ -- $1; %s" LOGIN BYPASSRLS;
            GRANT pg_monitor, pg_read_all_data TO "o'Brien ""the reader"" \ -- $1; %s";
            CREATE ROLE "Prüferin ""日本""; DROP TABLE x" NOLOGIN;
            CREATE DATABASE "Lager 100 % „frei“ it's ""quoted"" \ -- /* 倉庫 */" OWNER "Prüferin ""日本""; DROP TABLE x""#,
        ),
        (
            DATABASE,
            r#"CREATE SCHEMA "a.b"; CREATE SCHEMA "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄx";
            CREATE TABLE "a.b"."c.d" ("e.f" int, "created_at" timestamptz, "g""h" text, "$1" text, "%s" text);
            CREATE TABLE "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄx"."ÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖy" (
                "ÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜz" timestamptz, "SELECT" serial, "Created_At" timestamp);
            CREATE TABLE "two
lines	and a tab" (" " int, "
" int);
            CREATE TABLE "select" ("from" int PRIMARY KEY, "where" text CHECK ("where" <> ''''), "updatedAt" date);
            CREATE TABLE "Select" (LIKE "select" INCLUDING ALL);
            CREATE FUNCTION "f""'\"(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
            CREATE VIEW "v '' ""w""" AS SELECT * FROM "select";
            ALTER TABLE "select" OWNER TO "Prüferin ""日本""; DROP TABLE x";
            GRANT SELECT ("from") ON "Select" TO "Prüferin ""日本""; DROP TABLE x";
            INSERT INTO "a.b"."c.d" SELECT n, '2026-01-01', '''"\', '$2', '%d' FROM generate_series(1, 40) n;
            INSERT INTO "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄx"."ÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖÖy"
                SELECT '2026-01-01' FROM generate_series(1, 41);
            INSERT INTO "two
lines	and a tab" SELECT n, n FROM generate_series(1, 42) n;
            INSERT INTO "select" SELECT n, 'x', '2026-01-01' FROM generate_series(1, 43) n"#,
        ),
    ],
    after: &[(DATABASE, r#"INSERT INTO "Select" SELECT * FROM "select"; DELETE FROM "select" WHERE "from" = 1"#)],
};

#[test]
fn whatever_a_name_holds_it_is_one_name() {
    let longest = |letter: &str, last: &str| letter.repeat(31) + last;
    settled().holds(DATABASE, "a.b", "c.d", 40);
    settled().holds(DATABASE, &longest("Ä", "x"), &longest("Ö", "y"), 41);
    settled().holds(DATABASE, "public", "two\nlines\tand a tab", 42);
    settled().holds(DATABASE, "public", "select", 42);
    settled().holds(DATABASE, "public", "Select", 43);
}

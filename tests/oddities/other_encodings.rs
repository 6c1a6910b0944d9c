//! Databases whose text is not UTF-8: converted on its way, or, in `SQL_ASCII`, bytes that are no text at all.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[
        (
            "postgres",
            "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
            CREATE DATABASE japanese TEMPLATE template0 ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C';
            CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
        ),
        (
            "latin",
            "SET client_encoding = 'UTF8'; CREATE TABLE größen (länge text PRIMARY KEY, created_at timestamptz);
            INSERT INTO größen SELECT 'äöüßÿ£' || n, '2026-01-01' FROM generate_series(1, 60) n;
            CREATE TYPE farbe AS ENUM ('grün', 'weiß'); CREATE TABLE \"Möbel\" (farbe farbe DEFAULT 'grün', n int)",
        ),
        (
            "japanese",
            "SET client_encoding = 'UTF8'; CREATE TABLE 倉庫 (名前 text); INSERT INTO 倉庫 VALUES ('日本語'), ('ひらがな')",
        ),
        (
            "bytes",
            "SET client_encoding = 'SQL_ASCII'; CREATE TABLE raw (content text, created_at timestamptz);
            CREATE INDEX ON raw (content); INSERT INTO raw SELECT E'\\xff\\xfe\\x80' || n, now() FROM generate_series(1, 61) n",
        ),
    ],
    after: &[
        ("latin", "SET client_encoding = 'UTF8'; INSERT INTO \"Möbel\" SELECT 'weiß', n FROM generate_series(1, 5) n"),
        ("bytes", "SET client_encoding = 'SQL_ASCII'; UPDATE raw SET content = E'\\xc3' WHERE content LIKE '%1'"),
    ],
};

#[test]
fn text_in_other_encodings_and_bytes_in_none_come_back() {
    settled().holds("latin", "public", "größen", 60);
    settled().holds("latin", "public", "Möbel", 5);
    settled().holds("japanese", "public", "倉庫", 2);
    settled().holds("bytes", "public", "raw", 61);
}

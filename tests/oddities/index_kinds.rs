//! Indexes of every kind, and one on a function that only works with the application's own search path: whoever looks
//! into it with another one gets an error that says nothing of the index.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE EXTENSION btree_gist; CREATE EXTENSION pg_trgm; CREATE EXTENSION bloom;
        CREATE FUNCTION normal_form(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)';
        CREATE FUNCTION normalised(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN normal_form($1); END';
        CREATE TABLE books (
            id int PRIMARY KEY, title text, body tsvector, place point, tags int[], lent tstzrange,
            EXCLUDE USING gist (id WITH =, lent WITH &&));
        CREATE INDEX books_normalised ON books (normalised(title));
        CREATE INDEX books_hash ON books USING hash (title);
        CREATE INDEX books_gin ON books USING gin (body);
        CREATE INDEX books_array ON books USING gin (tags);
        CREATE INDEX books_gist ON books USING gist (title gist_trgm_ops);
        CREATE INDEX books_spgist ON books USING spgist (place);
        CREATE INDEX books_brin ON books USING brin (id);
        CREATE INDEX books_bloom ON books USING bloom (id);
        CREATE INDEX books_partial ON books (title) INCLUDE (id) WHERE id % 2 = 0;
        CREATE INDEX books_reversed ON books (title text_pattern_ops DESC NULLS LAST, id) WITH (fillfactor = 50);
        CREATE UNIQUE INDEX books_unique ON books (id, title) NULLS NOT DISTINCT;
        INSERT INTO books SELECT n, 'title ' || md5(n::text), to_tsvector('english', 'word ' || n), point(n, n), ARRAY[n, n % 7],
            tstzrange('2026-01-01', '2026-01-02') FROM generate_series(1, 500) n",
    )],
    after: &[(
        "postgres",
        "DELETE FROM books WHERE id % 5 = 0; UPDATE books SET title = NULL, body = NULL WHERE id % 7 = 0;
        INSERT INTO books (id, title) SELECT n, 'late ' || n FROM generate_series(1001, 1100) n",
    )],
};

#[test]
fn indexes_of_every_kind_come_back_also_one_that_needs_a_search_path() {
    settled().holds("postgres", "public", "books", 500);
}

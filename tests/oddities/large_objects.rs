//! Large objects: empty ones, sparse ones, ones that go away, and an owner other than the role that reads.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE ROLE archivist;
        CREATE TABLE scans (name text, content oid);
        INSERT INTO scans SELECT 'scan ' || n, lo_from_bytea(0, convert_to(repeat(md5(n::text), 400), 'UTF8'))
            FROM generate_series(1, 20) n;
        INSERT INTO scans VALUES ('empty', lo_create(0)), ('sparse', lo_create(0)), ('gone', 4294967294);
        SELECT lo_put(content, 20000000, '\\x00ff00'::bytea) FROM scans WHERE name = 'sparse';
        DO $$ BEGIN EXECUTE (SELECT format('ALTER LARGE OBJECT %s OWNER TO archivist', content)
            FROM scans WHERE name = 'scan 1'); END $$",
    )],
    after: &[(
        "postgres",
        "SELECT lo_unlink(content) FROM scans WHERE name IN ('scan 2', 'scan 3');
        SELECT lo_put(content, 3, '\\xdeadbeef'::bytea) FROM scans WHERE name = 'scan 4'",
    )],
};

#[test]
fn large_objects_come_back_the_sparse_and_the_empty_ones_too() {
    settled().holds("postgres", "public", "scans", 23);
}

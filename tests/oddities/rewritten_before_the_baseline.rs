//! Between base backup and baseline everything moves to new files: VACUUM FULL, CLUSTER, REINDEX, of
//! PostgreSQL's own catalogs too. Only a file that changes *after* the baseline says something.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE TABLE rewritten (id int PRIMARY KEY, body text, created_at timestamptz);
        INSERT INTO rewritten SELECT n, repeat(md5(n::text), 100), '2026-01-01' FROM generate_series(1, 500) n;
        CREATE TABLE emptied AS SELECT generate_series(1, 50) AS id",
    )],
    after: &[
        (
            "postgres",
            "DELETE FROM rewritten WHERE id % 2 = 0; VACUUM FULL rewritten; CLUSTER rewritten USING rewritten_pkey;
            ALTER TABLE rewritten ALTER id TYPE bigint; REINDEX TABLE rewritten; REINDEX TABLE CONCURRENTLY rewritten;
            TRUNCATE emptied RESTART IDENTITY; INSERT INTO emptied VALUES (1);
            VACUUM FULL pg_class; VACUUM FULL pg_attribute; VACUUM FULL pg_authid; VACUUM FULL pg_database;
            VACUUM FULL pg_largeobject; REINDEX SYSTEM postgres; VACUUM (FREEZE)",
        ),
        ("postgres", "UPDATE rewritten SET body = 'short' WHERE id < 100; CHECKPOINT"),
    ],
};

#[test]
fn tables_that_were_rewritten_since_the_base_backup_come_back() {
    settled().holds("postgres", "public", "rewritten", 250);
    settled().holds("postgres", "public", "emptied", 1);
}

//! A table with as many columns as PostgreSQL allows, and one that has lost most of its columns again: both fill up
//! what a query's list may hold.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "DO $$ BEGIN
            EXECUTE (SELECT 'CREATE TABLE wide (' || string_agg(format('column_%s int', n), ', ' ORDER BY n) || ')'
                FROM generate_series(1, 1600) n);
            EXECUTE (SELECT 'INSERT INTO wide SELECT ' || string_agg('g + ' || n, ', ' ORDER BY n) || '
                FROM generate_series(1, 20) g' FROM generate_series(1, 1600) n);
            CREATE TABLE shrunk (id int, created_at timestamptz DEFAULT '2026-01-01');
            FOR i IN 1..300 LOOP
                EXECUTE format('ALTER TABLE shrunk ADD former_%s text DEFAULT ''x''', i);
            END LOOP;
            INSERT INTO shrunk SELECT generate_series(1, 30);
            FOR i IN 1..300 LOOP
                EXECUTE format('ALTER TABLE shrunk DROP former_%s', i);
            END LOOP;
        END $$",
    )],
    after: &[(
        "postgres",
        "UPDATE wide SET column_1600 = 0 WHERE column_1 > 11; INSERT INTO shrunk VALUES (31, now())",
    )],
};

#[test]
fn tables_with_sixteen_hundred_columns_or_as_many_dropped_ones_come_back() {
    settled().holds("postgres", "public", "wide", 20);
    settled().holds("postgres", "public", "shrunk", 31);
}

//! Foreign tables have their rows elsewhere, here on a server and in a file that do not answer. Asking them would wait
//! for a network or fail, in production and in the sandbox.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE EXTENSION postgres_fdw;
        CREATE EXTENSION file_fdw;
        CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '192.0.2.1', port '1');
        CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'nobody', password 'confidential');
        CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
        CREATE FOREIGN TABLE far_away (id int, created_at timestamptz) SERVER elsewhere;
        CREATE FOREIGN TABLE no_such_file (line text) SERVER files OPTIONS (filename '/does/not/exist');
        CREATE TABLE near (id int, created_at timestamptz);
        CREATE FOREIGN TABLE far_child () INHERITS (near) SERVER elsewhere;
        INSERT INTO near SELECT n, '2026-01-01' FROM generate_series(1, 25) n;
        CREATE TABLE regions (region text, id int) PARTITION BY LIST (region);
        CREATE TABLE regions_here PARTITION OF regions FOR VALUES IN ('here');
        CREATE FOREIGN TABLE regions_there PARTITION OF regions FOR VALUES IN ('there') SERVER elsewhere;
        INSERT INTO regions SELECT 'here', generate_series(1, 15);
        CREATE VIEW everywhere AS SELECT id FROM near UNION ALL SELECT id FROM far_away;
        CREATE MATERIALIZED VIEW far_copy AS SELECT id FROM far_away WITH NO DATA",
    )],
    after: &[("postgres", "ALTER FOREIGN TABLE far_away ADD note text")],
};

#[test]
fn foreign_tables_are_left_out_and_their_local_parents_are_counted_without_them() {
    settled().leaves_out("postgres", "public", "far_away");
    settled().leaves_out("postgres", "public", "no_such_file");
    settled().holds("postgres", "public", "near", 25);
    settled().holds("postgres", "public", "regions_here", 15);
}

#[test]
fn the_password_of_a_user_mapping_is_in_no_document() {
    for document in settled().documents() {
        assert!(!document.to_string().contains("confidential"));
    }
}

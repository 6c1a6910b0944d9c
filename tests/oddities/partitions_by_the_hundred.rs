//! Partitions by the hundred, on two levels, and tables that inherit: each row is counted once, where it lies.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE TABLE measurements (id bigint, taken_at timestamptz, created_at timestamptz, PRIMARY KEY (id, taken_at))
            PARTITION BY RANGE (taken_at);
        DO $$ BEGIN FOR day IN 0..149 LOOP
            EXECUTE format('CREATE TABLE measurements_%s PARTITION OF measurements FOR VALUES FROM (%L) TO (%L)', day,
                '2026-01-01 UTC'::timestamptz + day * interval '24 hours',
                '2026-01-01 UTC'::timestamptz + (day + 1) * interval '24 hours');
        END LOOP; END $$;
        CREATE TABLE measurements_late PARTITION OF measurements FOR VALUES FROM ('2027-01-01 UTC') TO ('2028-01-01 UTC')
            PARTITION BY HASH (id);
        CREATE TABLE measurements_late_0 PARTITION OF measurements_late FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE measurements_late_1 PARTITION OF measurements_late FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE TABLE measurements_default PARTITION OF measurements DEFAULT;
        INSERT INTO measurements SELECT n, '2026-01-01 UTC'::timestamptz + n * interval '1 hour', now()
            FROM generate_series(0, 3599) n;
        INSERT INTO measurements SELECT n, '2027-06-01 UTC', now() FROM generate_series(1, 100) n;
        INSERT INTO measurements VALUES (1, '2030-01-01 UTC', now());
        CREATE TABLE animals (name text); CREATE TABLE dogs (breed text) INHERITS (animals);
        INSERT INTO animals SELECT 'animal ' || n FROM generate_series(1, 11) n;
        INSERT INTO dogs SELECT 'dog ' || n, 'x' FROM generate_series(1, 12) n",
    )],
    after: &[(
        "postgres",
        "DROP TABLE measurements_0; ALTER TABLE measurements DETACH PARTITION measurements_1;
        UPDATE measurements SET taken_at = '2027-06-02 UTC' WHERE taken_at < '2026-01-03 02:00 UTC'",
    )],
};

#[test]
fn every_partition_is_a_table_of_its_own() {
    settled().leaves_out("postgres", "public", "measurements");
    settled().leaves_out("postgres", "public", "measurements_0");
    settled().holds("postgres", "public", "measurements_1", 24);
    settled().holds("postgres", "public", "measurements_2", 22);
    settled().holds("postgres", "public", "measurements_149", 24);
    settled().holds("postgres", "public", "measurements_default", 1);
    settled().holds("postgres", "public", "animals", 11);
    settled().holds("postgres", "public", "dogs", 12);
}

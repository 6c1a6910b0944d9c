//! An index that `CREATE INDEX CONCURRENTLY` left invalid: the source has it too, so the copy's is no defect of the
//! backups.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE TABLE duplicates (id int, created_at timestamptz);
        INSERT INTO duplicates SELECT n % 50, '2026-01-01' FROM generate_series(1, 100) n;
        \\set ON_ERROR_STOP off
        CREATE UNIQUE INDEX CONCURRENTLY unfinished ON duplicates (id);
        \\set ON_ERROR_STOP on
        DO $$ BEGIN ASSERT (SELECT NOT indisvalid FROM pg_index WHERE indexrelid = 'unfinished'::regclass); END $$",
    )],
    after: &[("postgres", "INSERT INTO duplicates VALUES (1, now()), (1, now())")],
};

#[test]
fn an_index_that_is_invalid_in_the_source_is_no_defect_of_the_copy() {
    settled().holds("postgres", "public", "duplicates", 102);
}

//! Sequences run ahead of their rows: each session takes a hundred numbers at once, what a transaction rolls back stays
//! taken, and WAL counts 32 ahead. Some count down, in circles, or were never used.

use crate::settled::{Situation, settled};

const NUMBERS: (&str, &str) = (
    "postgres",
    "SELECT nextval('cached'), nextval('falling'), nextval('circling'), nextval('small');
    INSERT INTO numbered DEFAULT VALUES; BEGIN; INSERT INTO numbered DEFAULT VALUES; ROLLBACK",
);

pub const SITUATION: Situation = Situation {
    before: &[
        (
            "postgres",
            "CREATE SEQUENCE cached CACHE 100; CREATE SEQUENCE falling INCREMENT -7 CACHE 10;
            CREATE SEQUENCE circling MAXVALUE 5 CYCLE; CREATE SEQUENCE small AS smallint START -5 MINVALUE -100;
            CREATE SEQUENCE never_used; CREATE UNLOGGED SEQUENCE forgetful; SELECT nextval('forgetful');
            CREATE SEQUENCE restarted; SELECT setval('restarted', 1000);
            CREATE TABLE numbered (id bigint GENERATED ALWAYS AS IDENTITY (CACHE 50) PRIMARY KEY, second serial);
            CREATE SEQUENCE owned OWNED BY numbered.second",
        ),
        NUMBERS,
        NUMBERS,
    ],
    after: &[
        NUMBERS,
        NUMBERS,
        NUMBERS,
        NUMBERS,
        (
            "postgres",
            "ALTER SEQUENCE restarted RESTART WITH 5; SELECT setval('small', 7, false); SELECT nextval('restarted')",
        ),
    ],
};

#[test]
fn sequences_that_run_ahead_count_down_or_in_circles_are_as_they_should_be() {
    settled().holds("postgres", "public", "numbered", 6);
}

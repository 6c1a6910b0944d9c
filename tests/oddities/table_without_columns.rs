//! Tables without a column have rows all the same.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
        CREATE TABLE bereft (a int, b text); INSERT INTO bereft SELECT n, 'b' FROM generate_series(1, 17) n;
        ALTER TABLE bereft DROP a, DROP b",
    )],
    after: &[("postgres", "INSERT INTO nothing DEFAULT VALUES")],
};

#[test]
fn rows_without_a_column_are_counted() {
    settled().holds("postgres", "public", "nothing", 3);
    settled().holds("postgres", "public", "bereft", 17);
}

//! Rows that break a constraint that was never validated, or was not asked: the source lives with them, and a dump of it
//! could not be loaded. A physical copy has them as well.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE TABLE owners (id int PRIMARY KEY); CREATE TABLE pets (id int, owner int REFERENCES owners, age int);
        INSERT INTO owners SELECT generate_series(1, 5);
        INSERT INTO pets SELECT n, 1 + n % 5, -n FROM generate_series(1, 30) n;
        ALTER TABLE pets ADD CONSTRAINT born CHECK (age >= 0) NOT VALID;
        ALTER TABLE pets ADD CONSTRAINT other_owner FOREIGN KEY (age) REFERENCES owners NOT VALID;
        SET session_replication_role = replica; DELETE FROM owners WHERE id = 3",
    )],
    after: &[("postgres", "ALTER TABLE pets DISABLE TRIGGER ALL; INSERT INTO pets VALUES (31, 99, 1)")],
};

#[test]
fn rows_that_break_a_constraint_in_the_source_come_back() {
    settled().holds("postgres", "public", "owners", 4);
    settled().holds("postgres", "public", "pets", 31);
}

//! Owners that may not log in, or may not use what they own, in the source as well; and tables that refuse every write.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[
        (
            "postgres",
            "CREATE ROLE nologin_owner NOLOGIN; CREATE ROLE expired LOGIN VALID UNTIL '2001-01-01';
            CREATE ROLE no_connections LOGIN CONNECTION LIMIT 0; CREATE ROLE powerless LOGIN NOINHERIT;
            CREATE ROLE \"group\"; GRANT \"group\" TO powerless; CREATE DATABASE private; REVOKE ALL ON DATABASE private FROM PUBLIC;
            GRANT CONNECT ON DATABASE private TO pg_read_all_data",
        ),
        (
            "private",
            "CREATE SCHEMA hidden; REVOKE ALL ON SCHEMA hidden FROM PUBLIC;
            CREATE TABLE hidden.of_nologin AS SELECT generate_series(1, 31) AS id;
            CREATE TABLE hidden.of_expired AS SELECT generate_series(1, 32) AS id;
            CREATE TABLE hidden.of_limited AS SELECT generate_series(1, 33) AS id;
            CREATE TABLE hidden.of_powerless AS SELECT generate_series(1, 34) AS id;
            CREATE TABLE hidden.of_group AS SELECT generate_series(1, 35) AS id;
            ALTER TABLE hidden.of_nologin OWNER TO nologin_owner; ALTER TABLE hidden.of_expired OWNER TO expired;
            ALTER TABLE hidden.of_limited OWNER TO no_connections; ALTER TABLE hidden.of_powerless OWNER TO powerless;
            ALTER TABLE hidden.of_group OWNER TO \"group\";
            REVOKE ALL ON hidden.of_powerless, hidden.of_group FROM powerless, \"group\";
            ALTER TABLE hidden.of_expired ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''never''; END';
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON hidden.of_nologin
                EXECUTE FUNCTION refuse();
            CREATE RULE ignore AS ON INSERT TO hidden.of_limited DO INSTEAD NOTHING;
            CREATE FUNCTION as_owner() RETURNS bigint SECURITY DEFINER LANGUAGE sql SET search_path = hidden
                AS 'SELECT count(*) FROM of_nologin';
            ALTER FUNCTION as_owner() OWNER TO nologin_owner;
            ALTER DEFAULT PRIVILEGES FOR ROLE powerless REVOKE ALL ON TABLES FROM powerless;
            ALTER DEFAULT PRIVILEGES IN SCHEMA hidden GRANT SELECT ON TABLES TO expired",
        ),
    ],
    after: &[("private", "INSERT INTO hidden.of_group VALUES (36); GRANT SELECT ON hidden.of_group TO expired")],
};

#[test]
fn what_an_owner_may_not_do_in_the_source_is_no_loss_in_the_copy() {
    let tables = [("of_nologin", 31), ("of_expired", 32), ("of_limited", 33), ("of_powerless", 34), ("of_group", 36)];
    for (table, rows) in tables {
        settled().holds("private", "hidden", table, rows);
    }
}

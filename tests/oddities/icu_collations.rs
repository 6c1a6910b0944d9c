//! Databases and columns that sort by ICU: an order that hangs on a library's version, and values that are equal without
//! being the same.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[
        (
            "postgres",
            "CREATE DATABASE swedish TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE'",
        ),
        (
            "swedish",
            "CREATE COLLATION caseless (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
            CREATE COLLATION numbers (PROVIDER = icu, LOCALE = 'und-u-kn-true');
            CREATE TABLE people (
                name text PRIMARY KEY,
                nickname text COLLATE caseless UNIQUE,
                house text COLLATE numbers,
                plain text COLLATE \"C\",
                german text COLLATE \"de-x-icu\");
            CREATE INDEX ON people (house, german);
            INSERT INTO people SELECT 'Å' || n, 'Nick' || n, 'no ' || n, 'ö' || n, 'ß' || n FROM generate_series(1, 300) n",
        ),
    ],
    after: &[("swedish", "INSERT INTO people VALUES ('Zorn', 'ZORN', 'no 10', 'z', 'zz'), ('Ödla', 'zornig', '', '', '')")],
};

#[test]
fn tables_sorted_by_icu_come_back() {
    settled().holds("swedish", "public", "people", 302);
}

//! Infinity, and times before and long after Christ: an `expires_at` that never comes must not hide the newest row, and
//! is no time from the future either.

use serde_json::{Value, json};

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[(
        "postgres",
        "CREATE TABLE licences (
            id int, created_at timestamptz, updated_at timestamp, modified_on date, expires_at timestamptz, open tstzrange);
        INSERT INTO licences VALUES
            (1, '-infinity', 'infinity', '-infinity', 'infinity', '[,]'),
            (2, '2026-01-02 03:04:05.678901+00', '0044-03-15 12:00:00 BC', '4713-01-01 BC', '294276-12-31 23:59:59+00', 'empty'),
            (3, '2025-01-02 00:00:00+00', '2025-02-28', '5874897-12-31', NULL, NULL);
        CREATE TABLE endless (created_at timestamptz); INSERT INTO endless VALUES ('infinity'), ('-infinity'), (NULL)"
    )],
    after: &[("postgres", "INSERT INTO licences VALUES (4, 'infinity', NULL, 'infinity', '9999-12-31', '[2026-01-01, infinity)')")],
};

#[test]
fn infinity_is_no_bound_of_a_column() {
    settled().holds("postgres", "public", "licences", 4);
    settled().holds("postgres", "public", "endless", 3);
    for document in settled().documents() {
        let tables = document["databases"].as_array().unwrap().iter().flat_map(|it| it["tables"].as_array().unwrap());
        let bounds = |name: &str| -> Value {
            let table = tables.clone().find(|table| table["name"] == name).unwrap();
            json!([table["timestamps"][0]["min"], table["timestamps"][0]["max"]])
        };
        assert_eq!(bounds("licences"), json!(["2025-01-02 00:00:00+00", "2026-01-02 03:04:05.678901+00"]));
        assert_eq!(bounds("endless"), json!([null, null]));
    }
}

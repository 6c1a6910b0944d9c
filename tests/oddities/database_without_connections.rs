//! A database that takes no connections cannot be read, on neither side; it is no loss, and needs no word.

use crate::settled::{Situation, settled};

pub const SITUATION: Situation = Situation {
    before: &[
        ("postgres", "CREATE DATABASE closed"),
        ("closed", "CREATE TABLE kept AS SELECT generate_series(1, 10) AS id"),
        ("postgres", "CREATE DATABASE pattern IS_TEMPLATE true"),
    ],
    after: &[("postgres", "ALTER DATABASE closed ALLOW_CONNECTIONS false")],
};

#[test]
fn a_closed_database_and_a_template_are_left_out() {
    settled().leaves_out("closed", "public", "kept");
    for document in settled().documents() {
        let mut databases = document["databases"].as_array().unwrap().iter();
        assert!(databases.all(|database| database["name"] != "closed" && database["name"] != "pattern"), "{document}");
        assert_eq!(document["not_read"], serde_json::json!([]));
    }
}

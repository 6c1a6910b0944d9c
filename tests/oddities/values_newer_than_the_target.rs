//! A configured column holds moments behind the target. In 2099 nobody has written anything, so that says nothing; a
//! moment between the target and the drill may be a fast clock's, and is in doubt.

use serde_json::json;

use crate::support::Walproof;
use crate::{Source, assert_inconclusive, assert_passes, drill, finding};

/// A source whose table has these moments of its own when the target comes, and a drill to that target.
fn drill_with(moments: &str) -> (Source, Walproof) {
    let source = Source::start();
    let postgres = &source.postgres;
    postgres.sql("postgres", "CREATE TABLE visits (at timestamptz); INSERT INTO visits VALUES (clock_timestamp())");
    let tables = json!([{"name": "postgres", "tables": [{"name": "visits", "timestamp": "at"}]}]);
    let walproof = source.walproof().set("/sources/0/databases", tables);
    let document = source.baseline(&source.walproof().connection(postgres), "baseline.json");
    postgres.sql("postgres", &format!("INSERT INTO visits VALUES ({moments})"));
    let format = "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'";
    let target = postgres.sql("postgres", &format!("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', {format})"));
    postgres.sql("postgres", "INSERT INTO visits VALUES (clock_timestamp())");
    postgres.archive_wal();
    (source, walproof.baseline(&document).set("/sources/0/target", json!({"time": target})))
}

#[test]
fn moments_in_the_future_are_no_sign_of_a_recovery_that_went_too_far() {
    let (_source, walproof) = drill_with("'2099-01-01'), ('infinity'), (NULL");
    let outcome = drill(&walproof);
    assert_passes(&outcome);
    finding(&outcome, "table.after_target", "passed");
}

#[test]
fn a_moment_between_the_target_and_the_drill_is_in_doubt_and_nobodys_fault() {
    let (_source, walproof) = drill_with("clock_timestamp() + interval '1 second'");
    let outcome = drill(&walproof);
    assert_inconclusive(&outcome);
    let newer = finding(&outcome, "table.after_target", "failed");
    assert_eq!((&newer["blame"], &newer["object"]), (&json!("unknown"), &json!("postgres: public.visits.at")));
    assert!(newer["observed"].as_str().unwrap().starts_with("1 row, the newest at 20"), "{outcome}");
}

//! The application's own check: what it says of the restored database is in the report, and it leaves nothing.

use serde_json::{Value, json};

use crate::drill_pod::Drill;
use crate::kubectl;
use crate::source::IN_TREE;

#[test]
fn an_application_that_reads_its_restored_tables_passes() {
    let judged = Drill::of(&IN_TREE).set("/sandbox/operator/app", psql("SELECT count(*) FROM pg_class")).run();

    judged.passes();
    judged.finding("app.check", "passed");
}

#[test]
fn an_application_that_fails_is_inconclusive_where_its_check_is_required() {
    let app = psql("SELECT * FROM a_table_that_nobody_made");
    let drill = Drill::of(&IN_TREE).set("/sandbox/operator/app", app).set("/require", json!(["app"]));

    let judged = drill.run();

    let finding = judged.is_inconclusive("app.check");
    let observed = finding["observed"].as_str().unwrap_or_default();
    assert!(observed.contains("a_table_that_nobody_made"), "its last lines are shown\n{judged}");
}

/// The source's own image has a psql.
#[track_caller]
fn psql(statement: &str) -> Value {
    let cluster = kubectl::get(&["clusters.postgresql.cnpg.io", IN_TREE.cluster, "--namespace", IN_TREE.namespace]);
    let image = cluster["status"]["image"].as_str().expect("a running Cluster names its image").to_owned();
    let command = format!("psql \"$DATABASE_URL\" -XqAt -v ON_ERROR_STOP=1 -c '{statement}'");
    json!({"image": image, "command": ["sh", "-c", command], "outputLines": 5})
}

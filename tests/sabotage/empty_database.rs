//! The source has no table, because the wrong server was asked, or the application writes elsewhere. Everything comes
//! back, and nothing was compared.
//!
//! Caught by `probe::tables::sum`, which turns no comparison into *not checked*, and by the verdict, which wants one.

use crate::support::{Barman, Postgres, S3};
use crate::trial::Trial;

const SERVER: &str = "empty";

#[test]
fn a_source_without_a_table_is_inconclusive() {
    let s3 = S3::temporary();
    let barman = Barman::new(&s3);
    let postgres = Postgres::builder().archive_command(barman.archive_command(SERVER, &["--gzip"])).start();
    postgres.sql("postgres", "CREATE DATABASE nothing");
    barman.backup(&postgres, SERVER, &["--gzip"]);
    let trial = Trial::of_source(s3, SERVER, &postgres);

    let judged = trial.drill();
    judged.is_inconclusive(&[("table.row_count", "")]);
    assert_eq!(judged.report()["restore"]["tables_compared"], 0, "{judged}");
    for unsuspecting in ["server.up", "server.identity", "recovery.stop", "recovery.transactions_missing"] {
        judged.finding(unsuspecting, "passed");
    }
}

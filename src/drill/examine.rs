//! The probes that need no baseline: they look into every database of the restored server, and write to it, last.

use std::time::Instant;

use tokio_postgres::Client;

use super::evidence::Evidence;
use crate::finding::{Code, Finding};
use crate::plan::Limits;
use crate::postgres::reason;
use crate::probe::{Found, integrity, write};
use crate::sandbox::Sandbox;

/// Examines all databases that take connections, templates left out; then writes to each.
pub async fn examine(client: &Client, sandbox: &Sandbox, limits: &Limits, evidence: &mut Evidence) {
    let listed = "SELECT datname::text FROM pg_database
        WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 ORDER BY datname";
    let databases: Vec<String> = match client.query(listed, &[]).await {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
        Err(error) => {
            let summary = format!("the databases could not be listed: {}", reason(&error));
            return evidence.add(Finding::not_checked(Code::ServerWrite, summary));
        }
    };
    let until = Instant::now() + limits.integrity;
    let mut found = Vec::new();
    for database in &databases {
        match sandbox.connect(database).await {
            Ok(client) => found.extend(integrity::probe(&client, database, until).await),
            Err(error) => evidence.add(
                Finding::not_checked(Code::IntegrityTable, format!("database {database} could not be asked: {error}"))
                    .of(database),
            ),
        }
    }
    let mut written = Vec::new();
    for database in &databases {
        match sandbox.connect(database).await {
            Ok(client) => written.push(write::probe(&client, database).await),
            Err(error) => evidence.add(
                Finding::not_checked(Code::ServerWrite, format!("database {database} could not be asked: {error}"))
                    .of(database),
            ),
        }
    }
    evidence.extend(found.into_iter().flat_map(|found: Found| found.findings));
    evidence.extend(write::sum(written));
}

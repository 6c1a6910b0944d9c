//! The probes that need no baseline: they look into every database of the restored server, and write to it, last.

use tokio_postgres::Client;

use super::evidence::Evidence;
use super::inside;
use super::restore::Task;
use crate::finding::{Code, Finding};
use crate::postgres::reason;
use crate::probe::write;
use crate::sandbox::Sandbox;

/// Examines all databases that take connections, templates left out, the smallest first; then writes to each.
pub async fn examine(task: &Task<'_>, client: &Client, sandbox: &Sandbox, evidence: &mut Evidence) {
    let listed = "SELECT datname::text FROM pg_database
        WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 ORDER BY pg_database_size(oid), datname";
    let databases: Vec<String> = match client.query(listed, &[]).await {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
        Err(error) => {
            let summary = format!("the databases could not be listed: {}", reason(&error));
            return evidence.add(Finding::not_checked(Code::ServerWrite, summary));
        }
    };
    
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
    evidence.extend(write::sum(written));
}

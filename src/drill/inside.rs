//! The integrity probe over all databases: a fair share of the time for each, and a session of its own for what may end
//! the session.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::restore::Task;
use crate::finding::Finding;
use crate::plan;
use crate::probe::integrity::libraries::{self, Library};
use crate::probe::integrity::{Integrity, Programs};
use crate::sandbox::Sandbox;

/// Examines these databases, in this order, until `limits.integrity` is over.
pub async fn examine(task: &Task<'_>, client: &Client, sandbox: &Sandbox, databases: &[String]) -> Vec<Finding> {
    let until = Instant::now() + task.plan.limits.integrity;
    let mut integrity = Integrity::new(programs(task));
    for (position, database) in databases.iter().enumerate() {
        let deadline = Instant::now() + share(until, databases.len() - position);
        match sandbox.connect(database).await {
            Ok(client) => {
                let libraries = integrity.examine(&client, database, deadline).await;
                load(sandbox, database, &libraries, &mut integrity).await;
            }
            Err(error) => integrity.not_reached(database, &error.to_string()),
        }
    }
    integrity.findings(client).await
}

/// What an early database leaves over is the later ones'.
fn share(until: Instant, databases: usize) -> Duration {
    let left = until.saturating_duration_since(Instant::now());
    left / u32::try_from(databases).unwrap_or(u32::MAX).max(1)
}

async fn load(sandbox: &Sandbox, database: &str, libraries: &[Library], integrity: &mut Integrity) {
    let mut session: Option<Client> = None;
    for library in libraries {
        let client = match session.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => match sandbox.connect(database).await {
                Ok(client) => client,
                Err(error) => {
                    integrity.not_loaded(library, database, &error.to_string());
                    continue;
                }
            },
        };
        integrity.loaded(library, database, libraries::load(&client, library).await);
        session = Some(client);
    }
}

fn programs(task: &Task<'_>) -> Programs {
    match &task.plan.sandbox {
        plan::Sandbox::Direct(_) => Programs::OfThisMachine,
        plan::Sandbox::Operator(operator) => {
            let is_the_sources = task.source.is_some_and(|source| source.image_for(operator) == source.image());
            if is_the_sources { Programs::OfSource } else { Programs::OfOtherImage }
        }
    }
}

//! Can the restored server reach what it came from? Asked of the server, not assumed from our settings.

use tokio_postgres::Client;

use super::not_asked;
use crate::finding::{Blame, Code, Finding};

const QUESTION: &str = "SELECT current_setting('archive_mode'), current_setting('max_logical_replication_workers'),
    (SELECT count(*)::int8 FROM pg_stat_wal_receiver WHERE pid IS NOT NULL), current_setting('shared_preload_libraries')";

/// Libraries that, once preloaded, do something by themselves: run jobs, copy data, connect to other servers.
const SCHEDULERS: [&str; 8] =
    ["bgw_replstatus", "pg_cron", "pg_failover_slots", "pg_partman_bgw", "pg_squeeze", "pglogical", "pg_net", "spock"];

/// True for a library that starts jobs of its own when it is preloaded.
pub fn is_scheduler(library: &str) -> bool {
    SCHEDULERS.contains(&library.trim())
}

pub async fn probe(client: &Client) -> Finding {
    let row = match client.query_one(QUESTION, &[]).await {
        Ok(row) => row,
        Err(error) => return not_asked(Code::ServerIsolation, &error),
    };
    let (archive_mode, workers, receivers, libraries): (String, String, i64, String) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let observed = format!(
        "archive_mode {archive_mode}, max_logical_replication_workers {workers}, {receivers} walreceivers, \
         shared_preload_libraries '{libraries}'"
    );
    let no_schedulers = !libraries.split(',').any(is_scheduler);
    if archive_mode == "off" && workers == "0" && receivers == 0 && no_schedulers {
        Finding::passed(Code::ServerIsolation, "archiving, subscriptions and schedulers of jobs are off")
    } else {
        Finding::failed(Code::ServerIsolation, Blame::Environment, "the restored server could reach other systems")
            .expected("archive_mode off, no logical workers, no walreceiver, no scheduler preloaded")
            .observed(observed)
            .hint("this is a fault of walproof's; stop the drill and report it")
    }
}

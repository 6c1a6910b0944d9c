//! Can the restored server reach what it came from? Asked of the server, not assumed from our settings. What leaves the
//! sandbox at all is for the network to say.

use tokio_postgres::Client;

use super::not_asked;
use crate::finding::{Blame, Code, Finding};
use crate::report::text::count;

const QUESTION: &str =
    "SELECT current_setting('archive_mode'), current_setting('archive_command') NOT IN ('', '(disabled)'),
        coalesce(current_setting('archive_library', true), ''), current_setting('max_logical_replication_workers'),
        (SELECT count(*)::int8 FROM pg_stat_wal_receiver WHERE pid IS NOT NULL),
        current_setting('shared_preload_libraries'),
        ARRAY(SELECT DISTINCT backend_type FROM pg_stat_activity WHERE backend_type IS NOT NULL ORDER BY 1),
        (SELECT count(*)::int8 FROM pg_subscription)";

/// Libraries that, once preloaded, do something by themselves: run jobs, copy data, connect to other servers.
const SCHEDULERS: [&str; 8] =
    ["bgw_replstatus", "pg_cron", "pg_failover_slots", "pg_partman_bgw", "pg_squeeze", "pglogical", "pg_net", "spock"];

/// How the processes of such libraries, of `TimescaleDB`'s and Citus's jobs, and of subscriptions begin in `backend_type`,
/// in lower case.
const JOBS: [&str; 12] = [
    "bgw_replstatus",
    "citus maintenance",
    "logical replication",
    "pg_cron",
    "pg_failover_slots",
    "pg_net",
    "pg_partman",
    "pg_squeeze",
    "pglogical",
    "spock",
    "squeeze",
    "timescaledb background worker scheduler",
];

/// Processes of PostgreSQL's own (13 to 18), and of extensions that only look at the server itself. `TimescaleDB`'s
/// launcher starts nothing while it may have no workers.
const HARMLESS: [&str; 21] = [
    "archiver",
    "autoprewarm leader",
    "autoprewarm worker",
    "autovacuum launcher",
    "autovacuum worker",
    "background writer",
    "checkpointer",
    "client backend",
    "io worker",
    "logger",
    "logical replication launcher",
    "parallel worker",
    "pg_wait_sampling collector",
    "slotsync worker",
    "standalone backend",
    "startup",
    "timescaledb background worker launcher",
    "walreceiver",
    "walsender",
    "walsummarizer",
    "walwriter",
];

/// True for a library that starts jobs of its own when it is preloaded.
pub fn is_scheduler(library: &str) -> bool {
    SCHEDULERS.contains(&library.trim())
}

/// What the restored server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    pub archive_mode: String,
    pub has_archive_command: bool,
    pub archive_library: String,
    pub logical_workers: String,
    pub walreceivers: i64,
    pub preloaded: String,
    /// `backend_type` of all that runs.
    pub processes: Vec<String>,
    pub subscriptions: i64,
}

/// Reads and judges.
pub async fn probe(client: &Client) -> Vec<Finding> {
    match client.query_one(QUESTION, &[]).await {
        Ok(row) => judge(&Isolation {
            archive_mode: row.get(0),
            has_archive_command: row.get(1),
            archive_library: row.get(2),
            logical_workers: row.get(3),
            walreceivers: row.get(4),
            preloaded: row.get(5),
            processes: row.get(6),
            subscriptions: row.get(7),
        }),
        Err(error) => vec![not_asked(Code::ServerIsolation, &error)],
    }
}

/// One finding about the isolation, and notes on what came with the restore.
pub fn judge(server: &Isolation) -> Vec<Finding> {
    let is_one_of = |known: &[&str], process: &str| {
        let process = process.to_lowercase();
        known.iter().any(|known| process.starts_with(known))
    };
    let foreign = || server.processes.iter().filter(|process| !HARMLESS.contains(&process.to_lowercase().as_str()));
    let jobs: Vec<&str> = foreign().filter(|process| is_one_of(&JOBS, process)).map(String::as_str).collect();
    let other: Vec<&str> = foreign().filter(|process| !is_one_of(&JOBS, process)).map(String::as_str).collect();

    let no_schedulers = !server.preloaded.split(',').any(is_scheduler);
    let is_isolated = server.archive_mode == "off"
        && server.logical_workers == "0"
        && server.walreceivers == 0
        && no_schedulers
        && jobs.is_empty();
    let mut findings = vec![if is_isolated {
        Finding::passed(Code::ServerIsolation, "archiving, subscriptions and schedulers of jobs are off")
    } else {
        let command = if server.has_archive_command { "with" } else { "without" };
        let observed = format!(
            "archive_mode {} {command} archive_command, archive_library '{}', max_logical_replication_workers {}, \
             {} walreceivers, shared_preload_libraries '{}', job processes: {}",
            server.archive_mode,
            server.archive_library,
            server.logical_workers,
            server.walreceivers,
            server.preloaded,
            if jobs.is_empty() { "none".to_owned() } else { jobs.join(", ") },
        );
        Finding::failed(Code::ServerIsolation, Blame::Environment, "the restored server could reach other systems")
            .expected("archive_mode off, no logical workers, no walreceiver, no scheduler of jobs")
            .observed(observed)
            .hint("this is a fault of walproof's; stop the drill and report it")
    }];
    if !other.is_empty() {
        let summary = "processes of extensions run in the restored server, and what they do is not known";
        findings.push(Finding::note(Code::ServerIsolation, summary).observed(other.join(", ")));
    }
    if server.subscriptions > 0 && server.logical_workers == "0" {
        let number = u64::try_from(server.subscriptions).unwrap_or(0);
        let summary =
            format!("{} came with the restore; none runs here", count(number, "subscription", "subscriptions"));
        let hint = "in a real recovery they run at once, beside the source's: set max_logical_replication_workers to 0 \
                    until they are disabled";
        findings.push(Finding::note(Code::ServerIsolation, summary).hint(hint));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    fn isolated() -> Isolation {
        let own = ["checkpointer", "background writer", "walwriter", "client backend", "autovacuum launcher"];
        Isolation {
            archive_mode: "off".to_owned(),
            has_archive_command: false,
            archive_library: String::new(),
            logical_workers: "0".to_owned(),
            walreceivers: 0,
            preloaded: "pg_stat_statements".to_owned(),
            processes: own.map(str::to_owned).to_vec(),
            subscriptions: 0,
        }
    }

    fn running(process: &str) -> Vec<Finding> {
        let mut server = isolated();
        server.processes.push(process.to_owned());
        judge(&server)
    }

    #[test]
    fn a_server_with_only_its_own_processes_passes() {
        let findings = judge(&isolated());
        assert_eq!((findings.len(), findings[0].outcome), (1, Outcome::Passed));
        assert_eq!(running("TimescaleDB Background Worker Launcher").len(), 1);
    }

    #[test]
    fn each_way_out_is_the_environments_fault() {
        for open in [
            Isolation { archive_mode: "on".to_owned(), ..isolated() },
            Isolation { logical_workers: "4".to_owned(), ..isolated() },
            Isolation { walreceivers: 1, ..isolated() },
            Isolation { preloaded: "pg_stat_statements, pg_cron".to_owned(), ..isolated() },
        ] {
            assert_eq!(judge(&open)[0].blame, Some(Blame::Environment), "{open:?}");
        }
    }

    #[test]
    fn a_job_that_really_runs_is_found_whatever_the_settings_say() {
        for process in [
            "pg_cron launcher",
            "pg_net 0.14 worker",
            "TimescaleDB Background Worker Scheduler",
            "logical replication worker",
            "logical replication apply worker",
        ] {
            let finding = &running(process)[0];
            assert_eq!(finding.blame, Some(Blame::Environment), "{process}");
            assert!(finding.observed.as_deref().unwrap().contains(process), "{finding:?}");
        }
    }

    #[test]
    fn a_process_that_nobody_knows_is_noted_and_blames_nobody() {
        let findings = running("pganalyze collector");
        assert_eq!((findings[0].outcome, findings[1].outcome), (Outcome::Passed, Outcome::Note));
        assert_eq!(findings[1].observed.as_deref(), Some("pganalyze collector"));
    }

    #[test]
    fn subscriptions_that_cannot_run_are_a_note_with_their_number() {
        let findings = judge(&Isolation { subscriptions: 2, ..isolated() });
        assert_eq!(findings[0].outcome, Outcome::Passed);
        assert_eq!(findings[1].summary, "2 subscriptions came with the restore; none runs here");
    }
}

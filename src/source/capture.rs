//! Captures a baseline: snapshots of all databases at one moment with the LSN that belongs to them, taken again until
//! nothing committed in between, then the tables under these snapshots.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio_postgres::Client;

use super::access::{self, Access};
use super::archiver;
use super::baseline::{Baseline, DatabaseBaseline, NotRead, SCHEMA_VERSION};
use super::content;
use super::count::{Counted, Reading};
use super::holder::{self, Taken};
use super::role;
use super::sequences::{self, Sequence};
use super::server::{self, Identity, not_captured};
use super::tables;
use super::transactions;
use crate::finding::{Blame, Code, Finding};
use crate::plan::{Connection, DatabaseSelection, Databases, Plan};
use crate::postgres::{self, ConnectError, Session, reason, rows};
use crate::report::text::count;

/// How often snapshots are taken before an inexact one is accepted.
const ATTEMPTS: u32 = 5;
/// How often everything is captured when tables are rewritten meanwhile.
const ROUNDS: u32 = 2;
/// How many databases are read at the same time, each with one query.
const DATABASES_AT_ONCE: usize = 4;
/// What connecting and tidying up may take beyond the limit for reading.
const GRACE: Duration = Duration::from_mins(1);

/// Reads the source. A table that could not be read is in the document; the error is for when there is none. It never
/// blames the backups.
pub async fn capture(plan: &Plan) -> Result<Baseline, Box<Finding>> {
    let Some(connection) = &plan.connection else {
        let finding = Finding::failed(Code::BaselineNotCaptured, Blame::Environment, "no connection is configured");
        return Err(Box::new(finding.hint("configure `connection` of this source")));
    };
    let capturing = capture_within(plan, connection);
    tokio::time::timeout(plan.limits.baseline + GRACE, capturing).await.unwrap_or_else(|_| {
        let summary = "the source did not answer within limits.baseline";
        let finding = Finding::failed(Code::BaselineNotCaptured, Blame::Source, summary);
        Err(Box::new(finding.hint("is the source overloaded, or `limits.baseline` too short?")))
    })
}

/// One database's connection, which holds its snapshot.
struct Database {
    name: String,
    oid: u32,
    client: Client,
}

/// What was spent on a capture so far.
struct Effort {
    captured_at: Timestamp,
    started: Instant,
    round: u32,
    /// How often snapshots were taken.
    attempts: u32,
}

/// What one round brought.
struct Round {
    taken: Taken,
    unsnapshotted: Vec<Unsnapshotted>,
    is_settled: bool,
    counted: Vec<Counted>,
    notes: Vec<Finding>,
    /// A table was rewritten while it was read, and there is time for another round.
    is_worth_repeating: bool,
}

/// What a database shows of the present only, whatever the snapshot.
struct Unsnapshotted {
    sequences: Vec<Sequence>,
    access: Access,
}

async fn capture_within(plan: &Plan, connection: &Connection) -> Result<Baseline, Box<Finding>> {
    let mut effort = Effort { captured_at: Timestamp::now(), started: Instant::now(), round: 1, attempts: 0 };
    let observer =
        open(plan, connection, &connection.database).await.map_err(|error| unreachable(connection, &error))?;
    let identity = rows(&observer, &Identity::sql()).await.map_err(|error| not_captured("ask which server", &error))?;
    let identity = identity.first().and_then(Identity::of).ok_or_else(|| {
        Finding::failed(Code::BaselineNotCaptured, Blame::Source, "the server does not say which one it is")
    })?;
    let mut facts = server::facts(&observer, &identity).await?;
    if identity.in_recovery {
        server::check_lag(&observer, plan).await?;
    }

    let mut not_read = Vec::new();
    let databases = open_databases(plan, connection, &observer, &mut not_read).await?;
    let mut powers = role::powers(&observer).await.map_err(|error| not_captured("ask what the role may do", &error))?;
    let knows_powers = powers.iter().any(|power| power.contains("superuser"));

    let captured = loop {
        let server = (&identity, facts.version_number);
        let captured = capture_round(plan, connection, &databases, &observer, server, &mut effort).await?;
        if !captured.is_worth_repeating {
            break captured;
        }
        tracing::info!("a table was rewritten while it was read: capturing again");
        effort.round += 1;
    };
    let Round { taken, unsnapshotted, is_settled, counted, mut notes, .. } = captured;

    let mut documents = Vec::new();
    let held = taken.held.iter().zip(unsnapshotted).zip(counted);
    for (database, ((held, unsnapshotted), mut counted)) in databases.iter().zip(held) {
        not_read.append(&mut counted.not_read);
        notes.extend(counted.sequences_not_read);
        if !knows_powers {
            powers.extend(role::power_in(&database.client, &database.name).await.ok().flatten());
            powers.extend(counted.power);
        }
        facts.catalog = facts.catalog.or(counted.shared);
        documents.push(DatabaseBaseline {
            name: database.name.clone(),
            oid: database.oid,
            snapshot: held.snapshot.clone(),
            lsn: held.lsn,
            tables: counted.tables,
            large_objects: counted.large_objects,
            sequences: counted.sequences,
            access: unsnapshotted.access.roles,
            is_settled,
            catalog: counted.catalog,
            migrations: counted.migrations,
            migrations_not_read: counted.migrations_not_read,
            answers: counted.answers,
        });
    }
    // A role that comes or goes meanwhile may or may not be there at the LSN.
    let still = server::roles(&observer).await.map_err(|error| not_captured("list the roles", &error))?;
    facts.roles.retain(|role| still.contains(role));
    notes.extend(role::note(&connection.user, &powers, facts.version_number));
    Ok(Baseline {
        schema_version: SCHEMA_VERSION,
        source: plan.source.clone(),
        captured_at: effort.captured_at,
        duration_ms: u64::try_from(effort.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        walproof_version: env!("CARGO_PKG_VERSION").to_owned(),
        server: facts,
        archiver: archiver::observe(&observer).await.ok(),
        lsn: taken.lsn,
        uncommitted: transactions::uncommitted(&observer, taken.second.xmax)
            .await
            .map_err(|error| not_captured("ask which transactions were committed", &error))?,
        second_snapshot: taken.second,
        exact: taken.exact,
        attempts: effort.attempts,
        databases: documents,
        not_read,
        notes,
    })
}

/// Connects to every selected database. One that cannot be opened is left out and said.
async fn open_databases(
    plan: &Plan,
    connection: &Connection,
    observer: &Client,
    not_read: &mut Vec<NotRead>,
) -> Result<Vec<Database>, Box<Finding>> {
    let named: Option<BTreeSet<&str>> = match &plan.databases {
        Databases::All => None,
        Databases::Named(selections) => Some(selections.iter().map(|selection| selection.name.as_str()).collect()),
    };
    let listed = tables::databases(observer, named.as_ref()).await;
    let listed = listed.map_err(|error| not_captured("list the databases", &error))?;
    let mut missed = |database: &str, reason: String, hint: &str| {
        let (database, hint) = (database.to_owned(), Some(hint.to_owned()));
        not_read.push(NotRead { database, table: None, reason, hint, by_design: false });
    };
    for name in named.into_iter().flatten().filter(|&name| !listed.iter().any(|(listed, _)| listed == name)) {
        let hint = "correct `databases` in the configuration";
        missed(name, "there is no such database that takes connections".to_owned(), hint);
    }
    let opened = stream::iter(listed).map(|(name, oid)| async move {
        let client = open(plan, connection, &name).await;
        (name, oid, client)
    });
    let opened: Vec<_> = opened.buffered(DATABASES_AT_ONCE).collect().await;
    let mut databases = Vec::new();
    for (name, oid, client) in opened {
        match client {
            Ok(client) => databases.push(Database { name, oid, client }),
            Err(error) => missed(&name, error.to_string(), error.hint()),
        }
    }
    if databases.is_empty() {
        let reasons: Vec<String> =
            not_read.iter().map(|not_read| format!("{}: {}", not_read.database, not_read.reason)).collect();
        return Err(Box::new(
            Finding::failed(Code::BaselineNotCaptured, Blame::Environment, "no selected database could be opened")
                .expected("at least one database that the role may connect to")
                .observed(if reasons.is_empty() { "there is none".to_owned() } else { reasons.join("; ") })
                .hint("GRANT CONNECT ON DATABASE … to the baseline's role, or correct `databases`"),
        ));
    }
    Ok(databases)
}

/// Takes snapshots until they are exact, then reads the tables under them.
async fn capture_round(
    plan: &Plan,
    connection: &Connection,
    databases: &[Database],
    observer: &Client,
    (identity, version): (&Identity, u32),
    effort: &mut Effort,
) -> Result<Round, Box<Finding>> {
    let holders: Vec<&Client> = databases.iter().map(|database| &database.client).collect();
    let mut notes = Vec::new();
    let mut attempt = 1;
    let (taken, unsnapshotted, is_settled) = loop {
        notes.clear();
        let since =
            sequences::moment(observer).await.map_err(|error| not_captured("ask which transactions run", &error))?;
        let mut unsnapshotted = Vec::new();
        for database in databases {
            unsnapshotted.push(read_unsnapshotted(database, &mut notes).await);
        }
        let taken = holder::take(&holders, observer, identity).await?;
        let until =
            sequences::moment(observer).await.map_err(|error| not_captured("ask which transactions run", &error))?;
        effort.attempts += 1;
        tracing::debug!(attempt, exact = taken.exact, lsn = %taken.lsn, "snapshots taken");
        if taken.exact || attempt == ATTEMPTS {
            break (taken, unsnapshotted, !identity.in_recovery && since.is_quiet_until(&until));
        }
        holder::release(&holders).await;
        tokio::time::sleep(Duration::from_millis(10 * u64::from(attempt))).await;
        attempt += 1;
    };
    if taken.waiting_commits > 0 {
        let count = taken.waiting_commits;
        let summary = format!("{count} commits were in WAL and not yet visible: they waited for a disk or a standby");
        notes.push(Finding::note(Code::BaselineInexact, summary));
    }

    let deadline = effort.started + plan.limits.baseline;
    let with_held = databases.iter().zip(taken.held.iter().zip(&unsnapshotted)).enumerate();
    let reading = with_held.map(|(index, (database, (held, unsnapshotted)))| Reading {
        connection,
        limits: &plan.limits,
        database: &database.name,
        queries: &plan.queries,
        captured_at: effort.captured_at,
        wanted: selection(plan, &database.name).and_then(|selection| selection.tables.as_deref()),
        exported: &held.exported,
        sequences: &unsnapshotted.sequences,
        observer,
        identity,
        version,
        reads_shared: index == 0,
        deadline,
    });
    let reading: Vec<Reading> = reading.collect();
    let counted = stream::iter(&reading).map(Reading::read).buffered(DATABASES_AT_ONCE);
    let counted: Vec<_> = counted.collect().await;
    let mut counted = counted.into_iter().collect::<Result<Vec<Counted>, _>>()?;
    let has_changed = counted.iter().any(|counted| counted.has_changed);
    let has_time = effort.started.elapsed() <= plan.limits.baseline / 2;
    let is_worth_repeating = has_changed && has_time && effort.round < ROUNDS;
    if !is_worth_repeating {
        content::read(&reading, &mut counted, plan.limits.content).await?;
    }
    holder::release(&holders).await;
    Ok(Round { taken, unsnapshotted, is_settled, counted, notes, is_worth_repeating })
}

/// Sequences and access before the snapshot. What cannot be read is a note.
async fn read_unsnapshotted(database: &Database, notes: &mut Vec<Finding>) -> Unsnapshotted {
    let Database { name, client, .. } = database;
    let mut refused = 0;
    let read = async {
        let (readable, unreadable) = sequences::list(client).await?;
        refused = unreadable;
        sequences::read(client, &readable).await
    };
    let sequences = read.await.unwrap_or_else(|error| {
        let summary = format!("the sequences of {name} were not read: {}", reason(&error));
        notes.push(Finding::note(Code::SequenceBehind, summary).of(name));
        Vec::new()
    });
    if refused > 0 {
        let summary = format!("{} of {name} may not be read by the role", count(refused, "sequence", "sequences"));
        let hint = "grant pg_read_all_data to the baseline's role";
        notes.push(Finding::note(Code::SequenceBehind, summary).of(name).hint(hint));
    }
    let access = access::read(client, None).await.unwrap_or_else(|error| {
        let summary = format!("what the owners of {name} reach was not read: {}", reason(&error));
        notes.push(Finding::note(Code::ServerRoleAccess, summary).of(name));
        Access::default()
    });
    Unsnapshotted { sequences, access }
}

fn selection<'a>(plan: &'a Plan, database: &str) -> Option<&'a DatabaseSelection> {
    match &plan.databases {
        Databases::All => None,
        Databases::Named(selections) => selections.iter().find(|selection| selection.name == database),
    }
}

/// A connection that may idle in its transaction for as long as the baseline takes.
async fn open(plan: &Plan, connection: &Connection, database: &str) -> Result<Client, ConnectError> {
    let session =
        Session { lock: plan.limits.lock, idle_in_transaction: plan.limits.baseline + GRACE, ..Session::QUESTIONS };
    postgres::connect_with(connection, database, session).await
}

fn unreachable(connection: &Connection, error: &ConnectError) -> Finding {
    let Connection { host, port, user, database, .. } = connection;
    Finding::failed(Code::SourceUnreachable, Blame::Environment, "the source could not be connected to")
        .of(format!("{host}:{port}"))
        .expected(format!("a connection to database {database} as role {user}"))
        .observed(error.to_string())
        .hint(error.hint())
}

//! Counts the tables of one database, each in a short transaction of its own under the holder's snapshot. Whatever a
//! snapshot does not protect against (rewrites, renames, row security, locks) is noticed and said. So that what else is
//! read under it does no harm either, it asks through [`Reading::ask`] too.

use std::fmt::Write as _;
use std::pin::pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_postgres::{Client, Error, SimpleQueryRow};

use super::answers::{self, Answer};
use super::baseline::{
    AnswerBaseline, LargeObjectsBaseline, NotRead, SequenceBaseline, TableBaseline, TimestampBaseline,
};
use super::catalog::{self, Catalog, Side};
use super::migrations::MigrationsBaseline;
use super::sequences::{self, Sequence};
use super::server::{Identity, not_captured};
use super::tables::{self, Extent, Selected};
use crate::finding::{Code, Finding};
use crate::plan::{Connection, Limits, Query, TableSelection};
use crate::postgres::{
    self, ConnectError, Session, milliseconds, quote_identifier, quote_literal, reason, rows, values,
};

/// How often it is asked whether a session waits for our lock. Who waits for two of them in a row is let through.
const GIVE_WAY_POLL: Duration = Duration::from_millis(50);
/// A transaction of ours that idles for longer was forgotten.
const IDLE_LIMIT: Duration = Duration::from_mins(1);

/// What reading one database needs to know.
pub struct Reading<'a> {
    pub connection: &'a Connection,
    pub limits: &'a Limits,
    pub database: &'a str,
    pub wanted: Option<&'a [TableSelection]>,
    /// The user's own, of all databases.
    pub queries: &'a [Query],
    pub captured_at: Timestamp,
    /// The name of the holder's snapshot.
    pub exported: &'a str,
    /// As they were before the snapshot.
    pub sequences: &'a [Sequence],
    /// A connection that asks who waits for us.
    pub observer: &'a Client,
    pub identity: &'a Identity,
    /// As `server_version_num`.
    pub version: u32,
    /// Whether what all databases share is read as well.
    pub reads_shared: bool,
    /// No table is begun after this.
    pub deadline: Instant,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Counted {
    pub tables: Vec<TableBaseline>,
    pub catalog: Option<Catalog>,
    /// What all databases share, where it was asked for.
    pub shared: Option<Catalog>,
    pub migrations: Vec<MigrationsBaseline>,
    pub migrations_not_read: Vec<String>,
    /// Of each of the tables, in their order.
    pub extents: Vec<Extent>,
    /// As [`tables::Selection::large_object_pages`].
    pub large_object_pages: Option<u64>,
    /// Absent until they were read.
    pub large_objects: Option<LargeObjectsBaseline>,
    pub not_read: Vec<NotRead>,
    /// Those that were given: what the copy must at least have, and the columns that they feed.
    pub sequences: Vec<SequenceBaseline>,
    pub sequences_not_read: Option<Finding>,
    pub answers: Vec<AnswerBaseline>,
    /// What the role could write here.
    pub power: Option<String>,
    /// A table changed in a way that a new capture would get right.
    pub has_changed: bool,
}

/// Why a question about a table was not answered.
pub(super) enum Trouble {
    /// A new capture would count it.
    Changed(&'static str),
    /// May pass: another attempt is worthwhile.
    Passing(&'static str),
    /// Why, and what to do.
    Lasting(String, Option<String>),
}

impl Trouble {
    /// The reason, and one thing to do.
    pub(super) fn said(self) -> (String, Option<String>) {
        match self {
            Trouble::Changed(reason) | Trouble::Passing(reason) => (reason.to_owned(), None),
            Trouble::Lasting(reason, hint) => (reason, hint),
        }
    }
}

/// Time that many questions share.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    pub until: Instant,
    /// The key of the configuration that sets it.
    pub key: &'static str,
}

impl Budget {
    pub(super) fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    pub(super) fn exceeded(self) -> Trouble {
        let hint = format!("raise `{}`, or select fewer tables with `databases`", self.key);
        Trouble::Lasting(format!("did not fit into {}", self.key), Some(hint))
    }
}

/// A connection to one database, and its server process.
pub(super) struct Open {
    pub client: Client,
    process: i32,
}

impl Reading<'_> {
    /// Reads all tables, one at a time. Fails only when another server answers.
    pub async fn read(&self) -> Result<Counted, Box<Finding>> {
        let mut all = Counted::default();
        let open = match self.open().await? {
            Ok(open) => open,
            Err(error) => {
                all.not_read.push(self.not_read(None, error.to_string(), Some(error.hint().to_owned())));
                return Ok(all);
            }
        };
        let client = &open.client;
        (all.sequences, all.sequences_not_read) = self.sequences_again(client).await;
        all.catalog = Some(self.catalog(&open, &catalog::of_database(self.version)).await);
        if self.reads_shared {
            all.shared = Some(self.catalog(&open, &catalog::of_server(self.version, Side::Source)).await);
        }
        (all.migrations, all.migrations_not_read) = self.migrations(&open).await;

        let selection = match self.select(client).await {
            Ok(selection) => selection,
            Err(error) => {
                let reason = format!("its tables could not be listed: {}", reason(&error));
                all.not_read.push(self.not_read(None, reason, None));
                return Ok(all);
            }
        };
        all.power = selection.writable.map(|table| format!("may write to {table} in {}", self.database));
        all.not_read = selection.not_read;
        all.large_object_pages = selection.large_object_pages;
        for table in &selection.tables {
            let mut counted = self.count(&open, table).await;
            if matches!(counted, Err(Trouble::Passing(_))) {
                counted = self.count(&open, table).await;
            }
            let trouble = match counted {
                Ok(counted) => {
                    all.tables.push(counted);
                    all.extents.push(table.extent);
                    continue;
                }
                Err(trouble) => trouble,
            };
            all.has_changed |= matches!(trouble, Trouble::Changed(_));
            let (reason, hint) = trouble.said();
            tracing::warn!(database = self.database, table = table.text(), reason, "a table was not read");
            all.not_read.push(self.not_read(Some(table.text()), reason, hint));
        }
        let limit = self.deadline.saturating_duration_since(Instant::now()).min(self.limits.statement);
        if !limit.is_zero() {
            sequences::feed(client, &self.begin(limit), &mut all.sequences).await;
        }
        for query in self.queries.iter().filter(|query| query.database == self.database) {
            let answer = self.answer(client, &query.sql).await;
            all.answers.push(answers::kept(query, answer, self.captured_at));
        }
        Ok(all)
    }

    /// The sequences once more, behind the LSN: one that was set back must not be held against the copy. Not in the
    /// holder's transaction, which would keep a lock on each to its end, whatever savepoint it were read in.
    async fn sequences_again(&self, client: &Client) -> (Vec<SequenceBaseline>, Option<Finding>) {
        let oids: Vec<u32> = self.sequences.iter().map(|sequence| sequence.oid).collect();
        if oids.is_empty() {
            return (Vec::new(), None);
        }
        match sequences::read(client, &oids).await {
            Ok(after) => (sequences::at_least(self.sequences, after), None),
            Err(error) => {
                let summary = format!("the sequences of {} were not read: {}", self.database, reason(&error));
                (Vec::new(), Some(Finding::note(Code::SequenceBehind, summary).of(self.database)))
            }
        }
    }

    /// Asks one of the user's queries under the snapshot.
    async fn answer(&self, client: &Client, sql: &str) -> Result<Answer, String> {
        let limit = self.deadline.saturating_duration_since(Instant::now()).min(self.limits.statement);
        if limit.is_zero() {
            return Err("did not fit into limits.baseline".to_owned());
        }
        let begin = format!("{}; SET LOCAL search_path = public", self.begin(limit));
        let answer = match client.batch_execute(&begin).await {
            Ok(()) => answers::ask(client, sql).await,
            Err(error) => Err(error),
        };
        // A broken connection shows at the next question.
        let _ = client.batch_execute("ROLLBACK").await;
        answer.map_err(|error| reason(&error))
    }

    /// Connects, and makes sure that it is the same server. Fails only when it is another one.
    pub(super) async fn open(&self) -> Result<Result<Open, ConnectError>, Box<Finding>> {
        let session = Session {
            read_only: true,
            statement: self.limits.statement,
            lock: self.limits.lock,
            idle_in_transaction: IDLE_LIMIT,
        };
        let client = match postgres::connect_with(self.connection, self.database, session).await {
            Ok(client) => client,
            Err(error) => return Ok(Err(error)),
        };
        let identified = rows(&client, &format!("{}; SELECT pg_backend_pid()", Identity::sql())).await;
        let identified = identified.map_err(|error| not_captured("ask which server answers", &error))?;
        let process: i32 = identified.get(1).and_then(|row| row.get(0)?.parse().ok()).unwrap_or(0);
        if let Some(other) = identified.first().and_then(Identity::of) {
            self.identity.agree(&other)?;
        }
        Ok(Ok(Open { client, process }))
    }

    async fn select(&self, client: &Client) -> Result<tables::Selection, Error> {
        client.batch_execute(&self.begin(self.limits.statement)).await?;
        let selection = tables::select(client, self.database, &self.connection.user, self.wanted).await;
        client.batch_execute("ROLLBACK").await?;
        selection
    }

    async fn count(&self, open: &Open, table: &Selected) -> Result<TableBaseline, Trouble> {
        let rows = self.ask(open, &question(table), self.budget()).await?;
        answer(table, &rows)
    }

    pub(super) fn budget(&self) -> Budget {
        Budget { until: self.deadline, key: "limits.baseline" }
    }

    /// Asks in a short transaction of its own under the snapshot, and gives way to sessions that wait for its locks.
    pub(super) async fn ask(
        &self,
        open: &Open,
        question: &str,
        budget: Budget,
    ) -> Result<Vec<SimpleQueryRow>, Trouble> {
        let Open { client, process } = open;
        let remaining = budget.left();
        let limit = remaining.min(self.limits.statement);
        if limit.is_zero() {
            return Err(budget.exceeded());
        }
        let sql = format!("{}; {question}; COMMIT", self.begin(limit));
        let started = Instant::now();
        let mut has_given_way = false;
        let mut asking = pin!(rows(client, &sql));
        let asked = tokio::select! {
            asked = &mut asking => asked,
            () = give_way(self.observer, *process) => {
                has_given_way = true;
                asking.await
            }
        };
        let error = match asked {
            Ok(rows) => return Ok(rows),
            Err(error) => error,
        };
        // A broken connection fails here as well, and then at every table.
        let _ = client.batch_execute("ROLLBACK").await;
        let ran_out = started.elapsed() + Duration::from_millis(50) >= limit;
        Err(match error.code().map(tokio_postgres::error::SqlState::code) {
            Some("42P01" | "3F000" | "42703") => Trouble::Changed("dropped, renamed or altered while it was read"),
            Some("55P03") => Trouble::Passing("locked by another session for longer than limits.lock"),
            Some("40001") => Trouble::Passing("replay on the standby cancelled the count"),
            Some("57014") if has_given_way => Trouble::Passing("gave way to a session that waited for its lock"),
            Some("57014") if ran_out && remaining <= self.limits.statement => budget.exceeded(),
            Some("57014") if ran_out => {
                let hint = "raise `limits.statement`, or leave the table out with `databases`".to_owned();
                Trouble::Lasting("took longer than limits.statement".to_owned(), Some(hint))
            }
            Some("57014") => Trouble::Passing("another session cancelled the count"),
            Some("42501") => {
                let user = quote_identifier(&self.connection.user);
                Trouble::Lasting(reason(&error), Some(format!("GRANT pg_read_all_data TO {user};")))
            }
            _ => Trouble::Lasting(reason(&error), None),
        })
    }

    /// Settings of the transaction's own: a pooler may have given this one to another session than the last.
    pub(super) fn begin(&self, limit: Duration) -> String {
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}; {}; \
             SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; SET LOCAL lock_timeout = {}; \
             SET LOCAL statement_timeout = {}",
            quote_literal(self.exported),
            values("SET LOCAL"),
            milliseconds(self.limits.lock),
            milliseconds(limit),
        )
    }

    fn not_read(&self, table: Option<String>, reason: String, hint: Option<String>) -> NotRead {
        NotRead { database: self.database.to_owned(), table, reason, hint, by_design: false }
    }
}

/// Counts, then asks, under the lock that the count took, whether this is still the table and the file that the
/// snapshot shows: under an old snapshot a truncated or rewritten table shows too few rows.
fn question(table: &Selected) -> String {
    let name = quoted(&table.schema, &table.name);
    // Not `count(*)`, which an index alone may answer, also one that has lost entries.
    let mut wanted = "count(tableoid)".to_owned();
    for column in table.timestamps.iter().map(|column| quote_identifier(column)) {
        for bound in ["min", "max"] {
            write!(wanted, ", ({bound}({column}) FILTER (WHERE isfinite({column})))::text")
                .expect("writing to a String succeeds");
        }
    }
    format!("SELECT {wanted} FROM ONLY {name}; {}", is_same(&name, table.oid, table.filenode))
}

/// A table's name in SQL.
pub(super) fn quoted(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(name))
}

/// Asks whether a quoted name still stands for this table in this file.
pub(super) fn is_same(name: &str, oid: u32, filenode: u32) -> String {
    let literal = quote_literal(name);
    format!("SELECT pg_relation_filenode({oid}::oid) = {filenode}::oid AND to_regclass({literal})::oid = {oid}::oid")
}

/// Under an old snapshot a truncated or rewritten table shows too few rows.
pub(super) const REWRITTEN: Trouble =
    Trouble::Changed("rewritten while it was read (TRUNCATE, CLUSTER, VACUUM FULL, ALTER TABLE)");

fn answer(table: &Selected, rows: &[SimpleQueryRow]) -> Result<TableBaseline, Trouble> {
    let unexpected = || Trouble::Lasting("the server gave an unexpected answer".to_owned(), None);
    let [counted, is_same] = rows else { return Err(unexpected()) };
    if is_same.get(0) != Some("t") {
        return Err(REWRITTEN);
    }
    let timestamps = table.timestamps.iter().enumerate().map(|(index, column)| TimestampBaseline {
        column: column.clone(),
        min: counted.get(1 + 2 * index).map(str::to_owned),
        max: counted.get(2 + 2 * index).map(str::to_owned),
    });
    Ok(TableBaseline {
        schema: table.schema.clone(),
        name: table.name.clone(),
        oid: table.oid,
        filenode: table.filenode,
        rows: counted.get(0).and_then(|count| count.parse().ok()).ok_or_else(unexpected)?,
        timestamps: timestamps.collect(),
        content: None,
    })
}

/// Ends when it has cancelled the count because a session waited for its lock, and others behind that one.
async fn give_way(observer: &Client, process: i32) {
    let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid)))";
    let mut was_waiting = false;
    loop {
        tokio::time::sleep(GIVE_WAY_POLL).await;
        let Ok(row) = observer.query_one(waiting, &[&process]).await else { return std::future::pending().await };
        let is_waiting: bool = row.get(0);
        if is_waiting && was_waiting {
            match observer.query_one("SELECT pg_cancel_backend($1)", &[&process]).await {
                Ok(_) => return,
                Err(_) => return std::future::pending().await,
            }
        }
        was_waiting = is_waiting;
    }
}

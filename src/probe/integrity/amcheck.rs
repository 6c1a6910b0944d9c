//! PostgreSQL's own examiner of tables and B-tree indexes, made in the copy. One statement a relation, so that one which
//! breaks off costs no other its examination.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::relations::Relation;
use crate::finding::{Code, Finding};
use crate::postgres::{milliseconds, quote_identifier, reason, rows};

/// A transaction that was prepared and never ended keeps its locks in the copy too.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
/// So many defects of one table are quoted.
const QUOTED: usize = 3;

pub const HINT_UNDECIDED: &str = "run the drill with --keep and examine it by hand with pg_amcheck; a transaction in \
     pg_prepared_xacts keeps its locks in the copy too";

/// What examining one relation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    Sound,
    /// PostgreSQL says that what is stored is wrong, and where: never the content of a row.
    Damaged(String),
    OutOfTime,
    /// It could not be examined, for this reason.
    Undecided(String),
}

/// The extension in one database.
pub struct Amcheck<'a> {
    client: &'a Client,
    /// Quoted.
    schema: String,
    deadline: Instant,
}

impl<'a> Amcheck<'a> {
    /// Makes the extension in the copy, or brings it up to date where the source has it.
    pub async fn install(client: &'a Client, deadline: Instant) -> Result<Self, Error> {
        let prepare = format!(
            "SET lock_timeout = {}; SET statement_timeout = {}; SET lc_messages = 'C'; \
             SET client_min_messages = 'error'; \
             CREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA pg_catalog; ALTER EXTENSION amcheck UPDATE",
            milliseconds(LOCK_LIMIT),
            milliseconds(deadline.saturating_duration_since(Instant::now()))
        );
        client.batch_execute(&prepare).await?;
        let schema = "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
            WHERE e.extname = 'amcheck'";
        let schema: String = client.query_one(schema, &[]).await?.get(0);
        Ok(Self { client, schema: quote_identifier(&schema), deadline })
    }

    /// Reads every page and every row of a table, and every row's values that are stored out of line.
    pub async fn table(&self, table: &Relation) -> Examined {
        let question = format!(
            "SELECT count(*) OVER (), blkno, offnum, msg FROM {}.verify_heapam({}::oid::regclass,
                 on_error_stop => false, check_toast => true, skip => 'none') LIMIT {QUOTED}",
            self.schema, table.oid
        );
        let defects = match self.ask(&question).await {
            Ok(defects) => defects,
            Err(examined) => return examined,
        };
        let Some(first) = defects.first() else { return Examined::Sound };
        let quoted = defects.iter().map(|defect| {
            let text = |column: usize| defect.get(column).unwrap_or("?");
            format!("block {}, item {}: {}", text(1), text(2), text(3))
        });
        let quoted = quoted.collect::<Vec<_>>().join("; ");
        Examined::Damaged(format!("{} in all: {quoted}", first.get(0).unwrap_or("?")))
    }

    /// Reads every page of an index and, `with_table`, looks up every row of its table in it.
    pub async fn index(&self, index: &Relation, with_table: bool) -> Examined {
        self.index_function("bt_index_check", index, with_table).await
    }

    /// Compares every page of an index with its parent. Takes a lock that keeps writers out.
    pub async fn parents(&self, index: &Relation) -> Examined {
        self.index_function("bt_index_parent_check", index, false).await
    }

    async fn index_function(&self, function: &str, index: &Relation, with_table: bool) -> Examined {
        let question = format!("SELECT {}.{function}({}::oid::regclass, {with_table})", self.schema, index.oid);
        let question = if index.is_computed {
            // Functions of the source's expect to find others by its search path.
            format!("SET search_path TO DEFAULT; {question}; SET search_path = pg_catalog")
        } else {
            question
        };
        match self.ask(&question).await {
            Ok(_) => Examined::Sound,
            Err(examined) => examined,
        }
    }

    async fn ask(&self, question: &str) -> Result<Vec<tokio_postgres::SimpleQueryRow>, Examined> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Examined::OutOfTime);
        }
        let limit = format!("SET statement_timeout = {}", milliseconds(left));
        self.client.batch_execute(&limit).await.map_err(|error| classify(&error))?;
        rows(self.client, question).await.map_err(|error| classify(&error))
    }
}

/// Without the extension nothing is read inside.
pub fn not_installed(code: Code, database: &str, error: &Error) -> Finding {
    Finding::not_checked(code, format!("amcheck cannot be made in the copy of {database}: {}", reason(error)))
        .of(database)
        .hint("the sandbox's PostgreSQL needs the extension amcheck (package postgresql-contrib)")
}

/// Damage is what PostgreSQL calls so: a page or an index that is corrupt, or a file that is not there.
pub fn classify(error: &Error) -> Examined {
    let Some(database) = error.as_db_error() else { return Examined::Undecided(reason(error)) };
    let code = database.code();
    let is_missing_file = *code == SqlState::UNDEFINED_FILE && database.message().starts_with("could not open file \"");
    if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED || is_missing_file {
        Examined::Damaged(reason(error))
    } else if *code == SqlState::QUERY_CANCELED {
        Examined::OutOfTime
    } else {
        Examined::Undecided(reason(error))
    }
}

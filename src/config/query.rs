//! The user's own queries as written: what to ask both servers, and what to expect of the answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistakes::Placed;
use super::units::Period;

/// One SQL query, asked of the source when the baseline is read and of the restored server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Query {
    /// A name of its own, used in reports.
    pub name: Placed<String>,
    /// The database that is asked.
    pub database: Placed<String>,
    /// One `SELECT`, in a read-only transaction with `search_path` set to `public`.
    #[schemars(example = "SELECT count(*) FROM notes WHERE author IS NULL")]
    pub sql: Placed<String>,
    /// What the answer must be.
    pub expect: Expectation,
}

/// What an answer must be. Only a difference from the source's own answer can blame the backups.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Expectation {
    /// The same rows as the source gave, in any order.
    SameAsBaseline {},
    /// One row of one column with this value, written as JSON writes it: `"42"`, `"true"`, `"2026-11-21T01:23:31+00:00"`.
    Equals(Placed<String>),
    /// One number, at most so many percent off the source's.
    WithinPercent(#[schemars(range(min = 0, max = 100))] Placed<f64>),
    /// One date or time, at most so much older than the baseline. One without a zone is taken for UTC.
    MaxAge(Placed<Period>),
}

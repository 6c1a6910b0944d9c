//! Row counts and timestamps of every table of the baseline, each read once on the restored server, with the
//! fingerprint of its rows where there is time for it, and judged by the certificate.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Compared;
use super::certificate::Certificate;
use super::content::Answer;
use crate::finding::{Blame, Code, Finding};
use crate::fingerprint::OF_ROWS;
use crate::postgres::{milliseconds, quote_identifier, quote_literal, reason};
use crate::report::text::count;
use crate::source::baseline::{TableBaseline, TimestampBaseline};

/// What one table came to; details of what passed are summed up in the findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableResult {
    pub database: String,
    /// `schema.table`, as the source names it.
    pub table: String,
    pub rows_expected: u64,
    /// Absent when the table could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_observed: Option<u64>,
    pub comparison: Comparison,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Equal, and nothing was replayed that could have hidden a difference.
    Exact,
    /// Equal but for rows of transactions that committed between the baseline's snapshot and its LSN.
    WithinTransactions,
    Different,
    NotChecked,
}

/// What the restored server says of one table.
#[derive(Debug, Clone)]
pub struct Observed {
    pub rows: u64,
    /// Rows written by transactions of K.
    pub rows_of_k: u64,
    /// Rows that K or the copy itself may have written; see [`Certificate::may_have_written_row`].
    pub rows_written_since: u64,
    pub filenode: u32,
    pub timestamps: Vec<TimestampBaseline>,
    /// Columns in which no row but those of K lies outside the baseline's bounds.
    pub within_bounds: Vec<String>,
    /// The fingerprint, where one was asked for.
    pub content: Option<Answer>,
    /// Pages that were read for it, and how long that took.
    pub pace: (u64, Duration),
}

/// Why a table could not be read, as PostgreSQL says it.
#[derive(Debug)]
pub enum Unread {
    /// A page or the file is not what PostgreSQL wrote, or not there.
    Damaged(String),
    /// The question was not answered.
    Unanswered(String),
}

/// Reads one table; `Ok(None)` when it does not exist there. The fingerprint is part of the same scan, if there is a
/// limit for it; where it cannot be had, the rest is read without it and without a limit.
pub async fn read(
    compared: &Compared<'_>,
    table: &TableBaseline,
    content: Option<Duration>,
) -> Result<Option<Observed>, Unread> {
    match ask(compared, table, content).await {
        Ok(observed) => Ok(observed),
        Err(error) if is_damage(compared.client, table.oid, &error).await => Err(Unread::Damaged(reason(&error))),
        Err(error) => Err(Unread::Unanswered(reason(&error))),
    }
}

/// Whether an error in reading a table says that the table itself is damaged.
pub(super) async fn is_damage(client: &Client, table: u32, error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(&(SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED)) => true,
        // A library that is not installed here has the same code: is it one of the table's own files that is not there?
        Some(&SqlState::UNDEFINED_FILE) => {
            let question = "SELECT bool_or((pg_stat_file(pg_relation_filepath(file::regclass), true)).size IS NULL)
                FROM pg_class, unnest(ARRAY[oid, reltoastrelid]) file WHERE oid = $1 AND file <> 0";
            let answer = client.query_one(question, &[&table]).await;
            answer.is_ok_and(|row| row.get::<_, Option<bool>>(0) == Some(true))
        }
        _ => false,
    }
}

async fn ask(
    compared: &Compared<'_>,
    table: &TableBaseline,
    content: Option<Duration>,
) -> Result<Option<Observed>, tokio_postgres::Error> {
    let Compared { client, certificate, next_xid, .. } = compared;
    let named = "SELECT n.nspname, c.relname, pg_relation_filenode(c.oid)::int8,
            pg_snapshot_xmax(pg_current_snapshot())::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1 AND c.relkind IN ('r', 'm')";
    let Some(row) = client.query_opt(named, &[&table.oid]).await? else { return Ok(None) };
    let (schema, name, filenode): (String, String, Option<i64>) = (row.get(0), row.get(1), row.get(2));
    let now = row.get::<_, String>(3).parse().unwrap_or(u64::MAX);

    let columns = "SELECT attname FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped";
    let columns: Vec<String> = client.query(columns, &[&table.oid]).await?.iter().map(|row| row.get(0)).collect();
    let of_k = if certificate.is_exact() { "false".to_owned() } else { certificate.wrote_row() };
    let since = certificate.may_have_written_row(*next_xid, now);
    // Not `count(*)`, which an index alone may answer: it still has the rows that the table has lost.
    let mut wanted =
        format!("count(tableoid)::int8, count(*) FILTER (WHERE {of_k})::int8, count(*) FILTER (WHERE {since})::int8");
    let known = |timestamp: &&TimestampBaseline| columns.contains(&timestamp.column);
    let timestamps: Vec<&TimestampBaseline> = table.timestamps.iter().filter(known).collect();
    for timestamp in &timestamps {
        let column = quote_identifier(&timestamp.column);
        for bound in ["min", "max"] {
            let _ = write!(wanted, ", ({bound}({column}) FILTER (WHERE isfinite({column})))::text");
        }
        let inside = match (&timestamp.min, &timestamp.max) {
            (Some(min), Some(max)) => format!("{column} BETWEEN {} AND {}", quote_literal(min), quote_literal(max)),
            _ => "false".to_owned(),
        };
        let _ = write!(wanted, ", coalesce(bool_and({inside}) FILTER (WHERE isfinite({column}) AND NOT {of_k}), true)");
    }
    let from = format!("FROM ONLY {}.{} AS t", quote_identifier(&schema), quote_identifier(&name));
    let started = Instant::now();
    let answered = match content {
        Some(limit) => {
            let question = format!("SELECT {wanted}, pg_table_size({}::oid) / 8192, {OF_ROWS} {from}", table.oid);
            client.batch_execute(&format!("SET statement_timeout = {}", milliseconds(limit))).await?;
            let answered = client.query_one(&question, &[]).await;
            client.batch_execute("SET statement_timeout = 0").await?;
            Some(answered)
        }
        None => None,
    };
    let took = started.elapsed();
    let (row, content, pages) = match answered {
        Some(Ok(row)) => {
            let last = 3 + 3 * timestamps.len();
            let (pages, sum) = (row.get::<_, i64>(last), row.get(last + 1));
            (row, Some(Answer::Sum(sum)), pages)
        }
        Some(Err(error)) => {
            let answer = if is_damage(client, table.oid, &error).await {
                Answer::Damaged(reason(&error))
            } else {
                (&error).into()
            };
            (client.query_one(&format!("SELECT {wanted} {from}"), &[]).await?, Some(answer), 0)
        }
        None => (client.query_one(&format!("SELECT {wanted} {from}"), &[]).await?, None, 0),
    };
    let number = |index| u64::try_from(row.get::<_, i64>(index)).unwrap_or(0);
    let within_bounds = timestamps.iter().enumerate().filter(|(index, _)| row.get(5 + 3 * index));
    let within_bounds = within_bounds.map(|(_, timestamp)| timestamp.column.clone()).collect();
    let timestamps = timestamps.iter().enumerate().map(|(index, timestamp)| TimestampBaseline {
        column: timestamp.column.clone(),
        min: row.get(3 + 3 * index),
        max: row.get(4 + 3 * index),
    });
    Ok(Some(Observed {
        rows: number(0),
        rows_of_k: number(1),
        rows_written_since: number(2),
        filenode: filenode.and_then(|node| u32::try_from(node).ok()).unwrap_or(0),
        timestamps: timestamps.collect(),
        within_bounds,
        pace: (u64::try_from(pages).unwrap_or(0), took),
        content,
    }))
}

/// Judges one table. The finding is None when there is nothing to say beyond the sum.
pub fn judge(
    database: &str,
    table: &TableBaseline,
    read: Result<Option<Observed>, Unread>,
    certificate: &Certificate,
) -> (TableResult, Vec<Finding>) {
    let name = format!("{}.{}", table.schema, table.name);
    let object = format!("{database}: {name}");
    let result = |rows_observed, comparison| TableResult {
        database: database.to_owned(),
        table: name.clone(),
        rows_expected: table.rows,
        rows_observed,
        comparison,
    };
    let exact = certificate.is_exact();
    let explained = || format!("{} transactions beyond the baseline may explain it", certificate.committed);
    let observed = match read {
        Ok(Some(observed)) => observed,
        Ok(None) if exact => {
            let finding = lost(Code::TableRowCount, format!("table {name} of {database} is not there"), &object)
                .expected(rows(table.rows))
                .observed("no such table");
            return (result(None, Comparison::Different), vec![finding]);
        }
        Ok(None) => {
            let finding =
                Finding::not_checked(Code::TableRowCount, format!("table {name} is not there; {}", explained()));
            return (result(None, Comparison::NotChecked), vec![finding.of(object)]);
        }
        Err(Unread::Damaged(reason)) => {
            let finding =
                lost(Code::TableRowCount, format!("table {name} of {database} cannot be read whole"), &object)
                    .expected(rows(table.rows))
                    .observed(reason);
            return (result(None, Comparison::Different), vec![finding]);
        }
        Err(Unread::Unanswered(reason)) => {
            let summary = format!("table {name} could not be counted: {reason}");
            let finding = Finding::not_checked(Code::TableRowCount, summary).of(object);
            return (result(None, Comparison::NotChecked), vec![finding]);
        }
    };
    let seen = Some(observed.rows);
    if observed.filenode != table.filenode {
        let summary = format!("table {name} was rewritten between the baseline's snapshot and its LSN");
        let finding = Finding::not_checked(Code::TableRowCount, summary).of(object);
        return (result(seen, Comparison::NotChecked), vec![finding]);
    }
    if observed.rows == table.rows && (exact || observed.rows_of_k == 0) {
        let findings = timestamps(&name, &object, table, &observed, exact);
        return (result(seen, Comparison::Exact), findings);
    }
    if exact && observed.rows_written_since > 0 {
        let summary = format!("the restored server itself has written to table {name}");
        let finding = Finding::not_checked(Code::TableRowCount, summary)
            .of(object)
            .expected(rows(table.rows))
            .observed(format!("{}, {} of them its own", rows(observed.rows), observed.rows_written_since))
            .hint("find out what writes there by itself: a job scheduler among the preloaded libraries?");
        return (result(seen, Comparison::NotChecked), vec![finding]);
    }
    if exact {
        let finding = lost(Code::TableRowCount, difference(&name, database, table.rows, observed.rows), &object)
            .expected(rows(table.rows))
            .observed(rows(observed.rows));
        let mut findings = vec![finding];
        findings.extend(timestamps(&name, &object, table, &observed, exact));
        return (result(seen, Comparison::Different), findings);
    }
    let least = observed.rows.saturating_sub(observed.rows_of_k);
    if (least..=observed.rows).contains(&table.rows) {
        let findings = timestamps(&name, &object, table, &observed, exact);
        return (result(seen, Comparison::WithinTransactions), findings);
    }
    let finding =
        Finding::not_checked(Code::TableRowCount, format!("table {name} differs from the baseline; {}", explained()))
            .of(object)
            .expected(rows(table.rows))
            .observed(format!("{}, {} of them by those transactions", rows(observed.rows), observed.rows_of_k))
            .hint("run the drill again; a baseline at a quieter time is exact");
    (result(seen, Comparison::NotChecked), vec![finding])
}

fn timestamps(name: &str, object: &str, table: &TableBaseline, observed: &Observed, exact: bool) -> Vec<Finding> {
    let exact = exact && observed.rows_written_since == 0;
    let seen: BTreeMap<&str, &TimestampBaseline> =
        observed.timestamps.iter().map(|timestamp| (timestamp.column.as_str(), timestamp)).collect();
    let mut findings = Vec::new();
    for expected in &table.timestamps {
        let text = |timestamp: &TimestampBaseline| {
            let bound = |bound: &Option<String>| bound.clone().unwrap_or_else(|| "none".to_owned());
            format!("{} to {}", bound(&timestamp.min), bound(&timestamp.max))
        };
        let column = &expected.column;
        let finding = match seen.get(column.as_str()) {
            Some(&seen) if seen.min == expected.min && seen.max == expected.max => continue,
            Some(seen) if exact => {
                lost(Code::TableTimestamps, format!("column {column} of {name} differs from the baseline"), object)
                    .expected(text(expected))
                    .observed(text(seen))
            }
            None if exact => lost(Code::TableTimestamps, format!("column {column} of {name} is not there"), object),
            // Later rows move the bounds; as with the counts, only what K did not write is held against the baseline.
            Some(_) if observed.rows_of_k > 0 && observed.within_bounds.contains(column) => continue,
            seen => Finding::not_checked(
                Code::TableTimestamps,
                format!("column {column} of {name} differs; transactions beyond the baseline may explain it"),
            )
            .of(object)
            .expected(text(expected))
            .observed(seen.map_or("no such column".to_owned(), |seen| text(seen))),
        };
        findings.push(finding);
    }
    findings
}

/// A difference that nothing but the backups explains.
pub(super) fn lost(code: Code, summary: String, object: &str) -> Finding {
    Finding::failed(code, Blame::Backups, summary)
        .of(object)
        .hint("the backup is not what the source held: make a new base backup, keep this one for analysis")
}

fn difference(name: &str, database: &str, expected: u64, observed: u64) -> String {
    if observed == 0 {
        format!("table {name} of {database} came back empty")
    } else if observed < expected {
        format!("table {name} of {database} has lost {}", rows(expected - observed))
    } else {
        format!("table {name} of {database} has {} too many", rows(observed - expected))
    }
}

pub(super) fn rows(number: u64) -> String {
    count(number, "row", "rows")
}

/// The findings that sum up what passed.
pub fn sum(results: &[TableResult], with_timestamps: u64, timestamps_failed: bool) -> Vec<Finding> {
    let passed: Vec<&TableResult> = results
        .iter()
        .filter(|result| matches!(result.comparison, Comparison::Exact | Comparison::WithinTransactions))
        .collect();
    let within = passed.iter().filter(|result| result.comparison == Comparison::WithinTransactions).count();
    let mut findings = Vec::new();
    if passed.is_empty() {
        findings.push(
            Finding::not_checked(Code::TableRowCount, "no table was compared")
                .hint("a database without tables proves nothing: is `databases` right?"),
        );
    } else {
        let total: u64 = passed.iter().filter_map(|result| result.rows_observed).sum();
        let mut summary = format!("{}, {}", count(passed.len() as u64, "table", "tables"), rows(total));
        if within > 0 {
            let _ = write!(summary, "; {within} of them within the transactions beyond the baseline");
        }
        findings.push(Finding::passed(Code::TableRowCount, summary));
    }
    if with_timestamps > 0 && !timestamps_failed {
        findings.push(Finding::passed(
            Code::TableTimestamps,
            format!("{}, oldest and newest value", count(with_timestamps, "column", "columns")),
        ));
    } else if with_timestamps == 0 {
        findings.push(Finding::note(Code::TableTimestamps, "no table has a column of time that was asked for"));
    }
    findings
}

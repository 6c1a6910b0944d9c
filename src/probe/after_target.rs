//! Is there a row that is newer than the target? Only asked of columns that the configuration names, because only of
//! these is it known that they hold when a row was written.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::finding::{Blame, Code, Finding, Outcome};
use crate::plan::{DatabaseSelection, TableSelection};
use crate::postgres::{quote_identifier, quote_literal, reason};
use crate::report::text::{count, moment};

/// A column without a time zone may hold the time of the place that is furthest ahead of UTC.
const FURTHEST_AHEAD: &str = "interval '14 hours'";

/// Asks every configured column of one database for values between the target and now. What lies behind now cannot be
/// when a row was written.
pub async fn probe(client: &Client, database: &DatabaseSelection, target: Timestamp, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in database.tables.iter().flatten() {
        if let Some(column) = &table.timestamp {
            let object = format!("{}: {}.{}.{column}", database.name, table.schema, table.name);
            findings.push(ask(client, table, column, target, now).await.of(object));
        }
    }
    findings
}

/// The findings of all databases, what passed in one.
pub fn sum(findings: Vec<Finding>, target: Timestamp) -> Vec<Finding> {
    let (passed, mut others): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|finding| finding.outcome == Outcome::Passed);
    let is_settled = |finding: &Finding| finding.outcome == Outcome::Note;
    if !passed.is_empty() && others.iter().all(is_settled) {
        let columns = count(passed.len() as u64, "column", "columns");
        let summary = format!("{columns}, no value between {} and this drill", moment(target));
        others.insert(0, Finding::passed(Code::TableAfterTarget, summary));
    }
    others
}

async fn ask(client: &Client, table: &TableSelection, column: &str, target: Timestamp, now: Timestamp) -> Finding {
    let name = format!("{}.{}", table.schema, table.name);
    let kind = "SELECT a.atttypid = 'timestamptz'::regtype FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped
            AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)";
    let unanswered = |error: &tokio_postgres::Error| {
        let summary = format!("column {column} of {name} could not be asked: {}", reason(error));
        Finding::not_checked(Code::TableAfterTarget, summary)
    };
    let has_zone: bool = match client.query_opt(kind, &[&table.schema, &table.name, &column]).await {
        Ok(Some(row)) => row.get(0),
        Ok(None) => {
            let summary = format!("at the target, {name} has no column {column} of dates or timestamps");
            return Finding::note(Code::TableAfterTarget, summary);
        }
        Err(error) => return unanswered(&error),
    };
    let ahead = if has_zone { "interval '0'" } else { FURTHEST_AHEAD };
    let quoted = quote_identifier(column);
    let moment_of = |time: Timestamp| format!("{}::timestamptz", quote_literal(&time.to_string()));
    // A comparison with infinity is true or false as well, and neither is a moment.
    let question = format!(
        "SELECT count(*)::int8, max({quoted})::text FROM {}.{}
        WHERE isfinite({quoted}) AND {quoted}::timestamptz > {} + {ahead} AND {quoted}::timestamptz <= {}",
        quote_identifier(&table.schema),
        quote_identifier(&table.name),
        moment_of(target),
        moment_of(now),
    );
    let row = match client.query_one(&question, &[]).await {
        Ok(row) => row,
        Err(error) => return unanswered(&error),
    };
    let rows = u64::try_from(row.get::<_, i64>(0)).unwrap_or(0);
    match row.get::<_, Option<String>>(1) {
        None => Finding::passed(Code::TableAfterTarget, format!("no value of {column} in {name} is newer")),
        Some(newest) => Finding::failed(
            Code::TableAfterTarget,
            Blame::Unknown,
            format!("{name} has rows that are newer than the target"),
        )
        .expected(format!("no value of {column} after {}", moment(target)))
        .observed(format!("{}, the newest at {newest}", count(rows, "row", "rows")))
        .hint("does a client with a fast clock set this column? else compare with where recovery stopped"),
    }
}

//! Are the user's own queries answered as expected? Only an answer that differs from the source's own blames the
//! backups.

use std::time::Duration;

use jiff::Timestamp;

use super::{Compared, Found};
use crate::finding::{Blame, Code, Finding};
use crate::plan::{Expectation, Query};
use crate::postgres::{milliseconds, reason};
use crate::source::answers::{Answer, ask, number};
use crate::source::baseline::{AnswerBaseline, Baseline};

/// Asks what is configured for this database, each query within `limit`.
pub async fn probe(compared: &Compared<'_>, queries: &[Query], limit: Duration) -> Found {
    let mut found = Found::default();
    for query in queries.iter().filter(|query| query.database == compared.database.name) {
        let begin = format!(
            "BEGIN TRANSACTION READ ONLY; SET LOCAL search_path = public; SET LOCAL statement_timeout = {}",
            milliseconds(limit)
        );
        let answer = match compared.client.batch_execute(&begin).await {
            Ok(()) => ask(compared.client, &query.sql).await,
            Err(error) => Err(error),
        };
        // A broken connection shows at the next question.
        let _ = compared.client.batch_execute("ROLLBACK").await;
        let expected = compared.database.answers.iter().find(|answer| answer.name == query.name);
        let observed = answer.map_err(|error| Unanswered {
            is_lasting: error.code().is_some_and(|code| code.code().starts_with("42") || is_damage(code.code())),
            reason: reason(&error),
        });
        found.compared += 1;
        let exact = compared.certificate.is_exact();
        found.findings.extend(judge(query, expected, observed, exact, compared.baseline.captured_at));
    }
    found
}

/// Queries of databases that were not compared.
pub fn unasked(queries: &[Query], baseline: &Baseline) -> Vec<Finding> {
    let is_unknown = |query: &&Query| !baseline.databases.iter().any(|database| database.name == query.database);
    let finding = |query: &Query| {
        let summary = format!("query {} was not asked: the baseline has no database {}", query.name, query.database);
        Finding::not_checked(Code::QueryAnswer, summary).of(&query.name).hint("correct `database` of this query")
    };
    queries.iter().filter(is_unknown).map(finding).collect()
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Unanswered {
    pub reason: String,
    /// The copy itself is at fault: it is damaged, or lacks what the query names.
    pub is_lasting: bool,
}

/// None when the answer is as expected. `exact` says that nothing was replayed that could explain a difference.
pub fn judge(
    query: &Query,
    expected: Option<&AnswerBaseline>,
    observed: Result<Answer, Unanswered>,
    exact: bool,
    captured_at: Timestamp,
) -> Option<Finding> {
    let name = &query.name;
    let expected = expected.filter(|expected| expected.sql == query.sql);
    let not_checked = |summary: String| Finding::not_checked(Code::QueryAnswer, summary).of(name);
    let differs = |summary: &str, wanted: String, seen: String| {
        let finding = if exact {
            Finding::failed(Code::QueryAnswer, Blame::Backups, format!("query {name}: {summary}"))
                .hint("the backup is not what the source held: make a new base backup, keep this one for analysis")
        } else {
            not_checked(format!("query {name}: {summary}; transactions beyond the baseline may explain it"))
                .hint("run the drill again; a baseline at a quieter time is exact")
        };
        Some(finding.of(name).expected(wanted).observed(seen))
    };
    let source_error = expected.and_then(|expected| expected.error.as_ref());
    let observed = match observed {
        Ok(observed) => observed,
        Err(unanswered) => {
            return match (expected, source_error) {
                (_, Some(error)) => Some(refused_by_source(name, error)),
                (Some(_), None) if unanswered.is_lasting => differs(
                    "the source answers it, the restored server cannot",
                    "an answer".to_owned(),
                    unanswered.reason,
                ),
                _ => Some(
                    not_checked(format!("query {name} was not answered: {}", unanswered.reason))
                        .hint("raise `limits.statement`, or run the drill with --keep and ask it by hand"),
                ),
            };
        }
    };
    if let Some(error) = source_error {
        return Some(refused_by_source(name, error));
    }
    let Some(expected) = expected else {
        return Some(
            not_checked(format!("query {name} was not asked of the source"))
                .hint("read the baseline with this configuration"),
        );
    };
    match &query.expectation {
        Expectation::SameAsBaseline => {
            let is_same = expected.rows == observed.rows && expected.fingerprint == observed.fingerprint;
            let wanted = expected.number.clone().unwrap_or_else(|| format!("the source's {} rows", expected.rows));
            if is_same { None } else { differs("the answer is not the source's", wanted, observed.shown()) }
        }
        Expectation::WithinPercent(percent) => {
            let (Some(source), Some(seen)) = (expected.number.as_deref().and_then(number), observed.number()) else {
                let summary = format!("query {name} is not answered by one number");
                return Some(
                    Finding::failed(Code::QueryAnswer, Blame::Source, summary)
                        .of(name)
                        .expected("one row with one number, on both servers")
                        .observed(observed.shown())
                        .hint("correct the query"),
                );
            };
            let wanted = format!("{source}, {percent} % more or less");
            let is_within = (seen - source).abs() <= source.abs() * percent / 100.0;
            if is_within { None } else { differs("the answer is too far from the source's", wanted, observed.shown()) }
        }
        expectation @ (Expectation::Equals(_) | Expectation::MaxAge(_)) => {
            if observed.satisfies(expectation, captured_at) == Some(true) {
                return None;
            }
            let wanted = expectation.text();
            if expected.satisfied == Some(true) {
                return differs(
                    "the source's answer is as expected, the restored server's is not",
                    wanted,
                    observed.shown(),
                );
            }
            let summary = format!("query {name}: the source's own answer is not as expected either");
            Some(
                Finding::failed(Code::QueryAnswer, Blame::Source, summary)
                    .of(name)
                    .expected(wanted)
                    .observed(observed.shown())
                    .hint("ask the source; correct its data, or the expectation"),
            )
        }
    }
}

impl Expectation {
    /// For people.
    fn text(&self) -> String {
        match self {
            Self::SameAsBaseline => "the source's answer".to_owned(),
            Self::Equals(value) => value.clone(),
            Self::WithinPercent(percent) => format!("the source's answer, {percent} % more or less"),
            Self::MaxAge(limit) => format!(
                "a time at most {} before the baseline",
                crate::report::text::duration(crate::plan::signed(*limit))
            ),
        }
    }
}

fn refused_by_source(name: &str, error: &str) -> Finding {
    Finding::failed(Code::QueryAnswer, Blame::Source, format!("query {name} is not answered by the source either"))
        .of(name)
        .expected("an answer")
        .observed(error)
        .hint("correct the query, or grant the baseline's role what it reads")
}

/// SQLSTATEs of data and indexes that are damaged.
fn is_damage(code: &str) -> bool {
    matches!(code, "XX001" | "XX002")
}

#[cfg(test)]
mod tests;

//! The answers to the user's own queries: asked in the same way of the source and of the restored server. Of rows only
//! a fingerprint is kept; of a single value its text, where it is a number or a moment.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio_postgres::{Client, Error};

use super::baseline::AnswerBaseline;
use crate::plan::{Expectation, Query, signed};

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub rows: u64,
    /// The sum of the rows' hashes, in decimal: the same rows in any order give the same.
    pub fingerprint: String,
    /// The value as JSON's text, where it is one row of one column and not null.
    pub value: Option<String>,
}

impl Answer {
    /// The value as a number.
    pub fn number(&self) -> Option<f64> {
        number(self.value.as_deref()?)
    }

    /// The value as a moment; without a zone it is taken for UTC.
    pub fn moment(&self) -> Option<Timestamp> {
        moment(self.value.as_deref()?)
    }

    /// Whether it is as expected, where that does not depend on another server's answer. `captured_at` is when the
    /// baseline was read.
    pub fn satisfies(&self, expectation: &Expectation, captured_at: Timestamp) -> Option<bool> {
        match expectation {
            Expectation::Equals(wanted) => Some(self.value.as_ref() == Some(wanted)),
            Expectation::MaxAge(limit) => {
                let age = |moment| captured_at.duration_since(moment);
                Some(self.moment().is_some_and(|moment| age(moment) <= signed(*limit)))
            }
            Expectation::SameAsBaseline | Expectation::WithinPercent(_) => None,
        }
    }

    /// The value for people, unless it could be personal data.
    pub fn shown(&self) -> String {
        match &self.value {
            Some(value) if number(value).is_some() || moment(value).is_some() => value.clone(),
            Some(_) => "one value that is neither a number nor a time".to_owned(),
            None => crate::report::text::count(self.rows, "row", "rows"),
        }
    }
}

/// Asks within the transaction that `client` is in. The statement is a subquery, so it cannot be two, nor write.
pub async fn ask(client: &Client, sql: &str) -> Result<Answer, Error> {
    // The line break ends a comment at the end of the statement.
    let question = format!(
        "SELECT count(*)::text, coalesce(sum(hashtextextended((walproof_answer.*)::text, 0)::numeric), 0)::text,
            max((SELECT count(*) FROM json_each_text(row_to_json(walproof_answer.*)))),
            min((SELECT min(value) FROM json_each_text(row_to_json(walproof_answer.*))))
        FROM ({sql}\n) AS walproof_answer"
    );
    let row = client.query_one(&question, &[]).await?;
    let rows: String = row.get(0);
    let rows = rows.parse().unwrap_or(0);
    let is_single = rows == 1 && row.get::<_, Option<i64>>(2) == Some(1);
    Ok(Answer { rows, fingerprint: row.get(1), value: row.get::<_, Option<String>>(3).filter(|_| is_single) })
}

/// What the baseline keeps of an answer.
pub fn kept(query: &Query, answer: Result<Answer, String>, captured_at: Timestamp) -> AnswerBaseline {
    let (name, sql) = (query.name.clone(), query.sql.clone());
    match answer {
        Ok(answer) => AnswerBaseline {
            name,
            sql,
            satisfied: answer.satisfies(&query.expectation, captured_at),
            number: answer.value.clone().filter(|value| number(value).is_some()),
            rows: answer.rows,
            fingerprint: answer.fingerprint,
            error: None,
        },
        Err(error) => AnswerBaseline {
            name,
            sql,
            rows: 0,
            fingerprint: String::new(),
            number: None,
            satisfied: None,
            error: Some(error),
        },
    }
}

/// A finite number.
pub fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn moment(text: &str) -> Option<Timestamp> {
    let civil = || -> Option<DateTime> { text.parse().ok() };
    text.parse().ok().or_else(|| civil()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(value: Option<&str>) -> Answer {
        Answer { rows: 1, fingerprint: "7".to_owned(), value: value.map(str::to_owned) }
    }

    #[test]
    fn a_moment_reads_as_json_writes_it_with_and_without_a_zone() {
        let expected: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for text in ["2026-11-21T11:00:00+01:00", "2026-11-21T10:00:00", "2026-11-21T10:00:00.000000"] {
            assert_eq!(answer(Some(text)).moment(), Some(expected), "{text}");
        }
        assert_eq!(answer(Some("2026-11-21")).moment(), "2026-11-21T00:00:00Z".parse().ok());
        assert_eq!(answer(Some("soon")).moment(), None);
    }

    #[test]
    fn an_age_counts_from_the_baseline() {
        let limit = Expectation::MaxAge(Duration::from_hours(1));
        let captured_at = "2026-11-21T10:00:00Z".parse().unwrap();
        let satisfies = |value| answer(value).satisfies(&limit, captured_at);
        assert_eq!(satisfies(Some("2026-11-21T09:30:00Z")), Some(true));
        assert_eq!(satisfies(Some("2026-11-21T08:30:00Z")), Some(false));
        assert_eq!(satisfies(None), Some(false));
    }

    #[test]
    fn what_could_be_personal_is_not_shown_nor_kept() {
        let query = Query {
            name: "n".to_owned(),
            database: "d".to_owned(),
            sql: "SELECT 1".to_owned(),
            expectation: Expectation::SameAsBaseline,
        };
        let named = answer(Some("Ada Lovelace"));
        assert!(!named.shown().contains("Ada"));
        assert_eq!(kept(&query, Ok(named), Timestamp::UNIX_EPOCH).number, None);
        assert_eq!(kept(&query, Ok(answer(Some("42"))), Timestamp::UNIX_EPOCH).number.as_deref(), Some("42"));
        assert_eq!(answer(Some("NaN")).number(), None);
    }
}

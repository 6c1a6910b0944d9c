//! The user's own queries, made whole and checked.

use std::time::Duration;

use super::Databases;
use super::checks::{check_not_empty, check_unique, positive};
use crate::config;
use crate::config::mistakes::{Mistakes, Placed};

/// One SQL query and what to expect of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub name: String,
    pub database: String,
    /// One statement, without a semicolon at its end.
    pub sql: String,
    pub expectation: Expectation,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// The same rows as the source gave.
    SameAsBaseline,
    /// One value, as JSON's text of it.
    Equals(String),
    /// One number, at most so many percent (0 to 100) off the source's.
    WithinPercent(f64),
    /// One moment, at most so much older than the baseline.
    MaxAge(Duration),
}

pub(super) fn queries(
    written: Option<&Placed<Vec<config::Query>>>,
    databases: &Databases,
    mistakes: &mut Mistakes,
) -> Vec<Query> {
    let Some(Placed { value: written, .. }) = written else { return Vec::new() };
    check_unique("two queries are called", written.iter().map(|query| &query.name), mistakes);
    written.iter().map(|written| query(written, databases, mistakes)).collect()
}

fn query(written: &config::Query, databases: &Databases, mistakes: &mut Mistakes) -> Query {
    check_not_empty("name", &written.name, mistakes);
    check_not_empty("database", &written.database, mistakes);
    check_not_empty("sql", &written.sql, mistakes);
    let database = written.database.value.clone();
    if let Databases::Named(selected) = databases
        && !selected.iter().any(|selection| selection.name == database)
    {
        mistakes.add(written.database.place, format!("`database`: `{database}` is not among `databases`"));
    }
    let sql =
        written.sql.value.trim().trim_end_matches(|letter: char| letter == ';' || letter.is_whitespace()).to_owned();
    Query { name: written.name.value.clone(), database, sql, expectation: expectation(&written.expect, mistakes) }
}

fn expectation(written: &config::Expectation, mistakes: &mut Mistakes) -> Expectation {
    match written {
        config::Expectation::SameAsBaseline {} => Expectation::SameAsBaseline,
        config::Expectation::Equals(value) => Expectation::Equals(value.value.clone()),
        config::Expectation::WithinPercent(Placed { value, place }) => {
            if !(0.0..=100.0).contains(value) {
                mistakes.add(*place, "`withinPercent` must be from 0 to 100");
            }
            Expectation::WithinPercent(*value)
        }
        config::Expectation::MaxAge(age) => Expectation::MaxAge(positive("maxAge", age, mistakes)),
    }
}

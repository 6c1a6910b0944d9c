//! Judgements of answers.

use super::*;
use crate::finding::Outcome;
use crate::source::answers::kept;

const CAPTURED: Timestamp = Timestamp::UNIX_EPOCH;

fn query(expectation: Expectation) -> Query {
    Query { name: "total".to_owned(), database: "shop".to_owned(), sql: "SELECT 1".to_owned(), expectation }
}

fn answer(value: &str) -> Answer {
    Answer { rows: 1, fingerprint: format!("hash of {value}"), value: Some(value.to_owned()) }
}

/// The source gave the first answer, the restored server the second one.
fn judged(expectation: Expectation, source: &str, restored: &str, exact: bool) -> Option<(Outcome, Option<Blame>)> {
    let query = query(expectation);
    let expected = kept(&query, Ok(answer(source)), CAPTURED);
    let finding = judge(&query, Some(&expected), Ok(answer(restored)), exact, CAPTURED);
    finding.map(|finding| (finding.outcome, finding.blame))
}

const BACKUPS: Option<(Outcome, Option<Blame>)> = Some((Outcome::Failed, Some(Blame::Backups)));
const SOURCE: Option<(Outcome, Option<Blame>)> = Some((Outcome::Failed, Some(Blame::Source)));
const NOT_CHECKED: Option<(Outcome, Option<Blame>)> = Some((Outcome::NotChecked, None));

#[test]
fn an_answer_that_differs_from_the_sources_blames_the_backups_only_when_nothing_explains_it() {
    assert_eq!(judged(Expectation::SameAsBaseline, "42", "42", true), None);
    assert_eq!(judged(Expectation::SameAsBaseline, "42", "41", true), BACKUPS);
    assert_eq!(judged(Expectation::SameAsBaseline, "42", "41", false), NOT_CHECKED);
}

#[test]
fn a_tolerance_is_in_percent_of_the_sources_answer() {
    let within = |percent| Expectation::WithinPercent(percent);
    assert_eq!(judged(within(5.0), "-100", "-95", true), None);
    assert_eq!(judged(within(5.0), "-100", "-94", true), BACKUPS);
    assert_eq!(judged(within(0.0), "0", "0", true), None);
    assert_eq!(judged(within(5.0), "many", "many", true), SOURCE);
}

#[test]
fn an_expectation_that_the_source_misses_too_is_the_sources_fault() {
    let equals = || Expectation::Equals("42".to_owned());
    assert_eq!(judged(equals(), "42", "42", true), None);
    assert_eq!(judged(equals(), "42", "41", true), BACKUPS);
    assert_eq!(judged(equals(), "41", "41", true), SOURCE);
    let max_age = || Expectation::MaxAge(Duration::from_hours(1));
    assert_eq!(judged(max_age(), "1969-12-31T23:30:00Z", "1969-12-31T23:30:00Z", true), None);
    assert_eq!(judged(max_age(), "1969-12-31T23:30:00Z", "1969-12-31T21:30:00Z", true), BACKUPS);
    assert_eq!(judged(max_age(), "1969-12-31T20:30:00Z", "1969-12-31T20:30:00Z", true), SOURCE);
}

#[test]
fn a_question_that_was_not_answered_blames_the_backups_only_for_what_lasts() {
    let query = query(Expectation::SameAsBaseline);
    let answered = kept(&query, Ok(answer("42")), CAPTURED);
    let refused = kept(&query, Err("42501: permission denied".to_owned()), CAPTURED);
    let judge = |expected, is_lasting| {
        let unanswered = Unanswered { reason: "no".to_owned(), is_lasting };
        let finding = judge(&query, expected, Err(unanswered), true, CAPTURED);
        finding.map(|finding| (finding.outcome, finding.blame))
    };
    assert_eq!(judge(Some(&answered), true), BACKUPS);
    assert_eq!(judge(Some(&answered), false), NOT_CHECKED);
    assert_eq!(judge(Some(&refused), true), SOURCE);
    assert_eq!(judge(None, true), NOT_CHECKED);
}

#[test]
fn an_answer_to_another_query_of_the_same_name_is_no_measure() {
    let expected = kept(&query(Expectation::SameAsBaseline), Ok(answer("42")), CAPTURED);
    let changed = Query { sql: "SELECT 2".to_owned(), ..query(Expectation::SameAsBaseline) };
    let finding = judge(&changed, Some(&expected), Ok(answer("41")), true, CAPTURED);
    assert_eq!(finding.map(|finding| finding.outcome), Some(Outcome::NotChecked));
}

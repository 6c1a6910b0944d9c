//! The history's bounds: how many runs are listed, and what goes first when the document would not fit where it is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{self, Written};
use super::{History, PastRun};
use crate::finding::Outcome;
use crate::probe::tables::Comparison;
use crate::report::Report;
use crate::verdict::Subject;

/// Of each command.
pub const RUNS_KEPT: usize = 400;
/// So many of the newest drills keep the rows of their tables.
pub const NIGHTS_KEPT: usize = 35;
/// What could not be read is kept for a person to look at.
pub const DAMAGED_KEPT: usize = 20;
/// A `ConfigMap` holds at most 1 MiB.
pub const COMPRESSED_LIMIT: usize = 900_000;
/// What a pod with little memory can read.
pub const JSON_LIMIT: usize = 16 << 20;

/// Findings and tables of a report that had to become short, and the length of a text in it.
const SHORT: usize = 50;
const SHORT_TEXT: usize = 500;

/// Takes so much from the history.
type Step<'a> = &'a dyn Fn(&mut History, usize);

/// Brings the history within its bounds, and gives it as it is to be written.
///
/// The newest [`RUNS_KEPT`] runs of each command stay, and so do the newest PASS of each, every run that has not ended,
/// and every run that somebody is still to be told of. When the document is too long all the same, reports lose
/// what passed and then what is long, what was set aside goes, then the oldest reports that were not delivered, which
/// is counted, and last the rows of the oldest drills.
pub fn trim(history: &mut History) -> Vec<u8> {
    give_up_without_report(history);
    trim_runs(history);
    forget_tables(history, NIGHTS_KEPT);
    let too_many = history.damaged.len().saturating_sub(DAMAGED_KEPT);
    history.damaged.drain(..too_many);
    history.forget_reports();

    let mut written = document::write(history);
    let reports: Vec<String> = history.reports.keys().cloned().collect();
    let owed: Vec<String> = history.undelivered().map(|(run, _)| run.run_id.clone()).collect();
    let steps: [(usize, Step); 5] = [
        (reports.len(), &|history: &mut History, number| of_reports(history, &reports[..number], without_what_passed)),
        (reports.len(), &|history: &mut History, number| of_reports(history, &reports[..number], shortened)),
        (history.damaged.len(), &|history: &mut History, number| drop(history.damaged.drain(..number))),
        (owed.len(), &|history: &mut History, number| give_up(history, &owed[..number])),
        (NIGHTS_KEPT, &|history: &mut History, number| forget_tables(history, NIGHTS_KEPT - number)),
    ];
    for (most, step) in steps {
        if fits(&written) {
            break;
        }
        written = as_little_as_helps(history, most, step);
    }
    written.bytes
}

fn fits(written: &Written) -> bool {
    written.bytes.len() <= COMPRESSED_LIMIT && written.json_bytes <= JSON_LIMIT
}

/// Takes the smallest number from 1 to `most` with which the history fits, or else `most`.
fn as_little_as_helps(history: &mut History, most: usize, step: Step) -> Written {
    let attempt = |number: usize| {
        let mut tried = history.clone();
        step(&mut tried, number);
        let written = document::write(&tried);
        (tried, written)
    };
    let mut best = attempt(most);
    let (mut too_few, mut enough) = (0, most);
    while fits(&best.1) && enough - too_few > 1 {
        let middle = usize::midpoint(too_few, enough);
        let tried = attempt(middle);
        if fits(&tried.1) {
            (best, enough) = (tried, middle);
        } else {
            too_few = middle;
        }
    }
    let written;
    (*history, written) = best;
    written
}

fn trim_runs(history: &mut History) {
    let last_successes: Vec<String> = [Subject::Drill, Subject::Check]
        .iter()
        .filter_map(|&command| Some(history.last_success(command)?.0.run_id.clone()))
        .collect();
    let (mut drills, mut checks) = (0, 0);
    let mut is_kept = |run: &PastRun| {
        let seen = match run.command {
            Subject::Drill => &mut drills,
            Subject::Check => &mut checks,
        };
        *seen += 1;
        let is_owed = run.ending.as_ref().is_none_or(|ending| !ending.undelivered.is_empty());
        *seen <= RUNS_KEPT || is_owed || last_successes.contains(&run.run_id)
    };
    history.runs.reverse();
    history.runs.retain(&mut is_kept);
    history.runs.reverse();
}

fn forget_tables(history: &mut History, kept: usize) {
    let endings = history.runs.iter_mut().rev().filter_map(|run| run.ending.as_mut());
    let nights = endings.filter(|ending| !ending.tables.is_empty());
    nights.skip(kept).for_each(|ending| ending.tables = BTreeMap::new());
}

/// A run whose report is damaged can be told of to nobody.
fn give_up_without_report(history: &mut History) {
    let is_owed = |run: &&PastRun| run.ending.as_ref().is_some_and(|ending| !ending.undelivered.is_empty());
    let runs = history.runs.iter().filter(is_owed).map(|run| run.run_id.clone());
    let lost: Vec<String> = runs.filter(|run_id| !history.reports.contains_key(run_id)).collect();
    give_up(history, &lost);
}

fn give_up(history: &mut History, run_ids: &[String]) {
    if run_ids.is_empty() {
        return;
    }
    let given_up: BTreeSet<&String> = run_ids.iter().collect();
    for run in history.runs.iter_mut().filter(|run| given_up.contains(&run.run_id)) {
        if let Some(ending) = &mut run.ending {
            ending.undelivered.clear();
        }
    }
    tracing::error!("the reports of {} are given up before they were told: the history is full", run_ids.join(", "));
    history.lost_reports += run_ids.len() as u64;
    history.forget_reports();
    trim_runs(history);
}

fn of_reports(history: &mut History, run_ids: &[String], change: fn(&mut Report)) {
    for run_id in run_ids {
        if let Some(report) = history.reports.get_mut(run_id) {
            change(report);
        }
    }
}

fn without_what_passed(report: &mut Report) {
    report.sandbox = None;
    report.findings.retain(|finding| finding.outcome != Outcome::Passed);
    if let Some(restore) = &mut report.restore {
        restore.tables.retain(|table| matches!(table.comparison, Comparison::Different | Comparison::NotChecked));
    }
}

fn shortened(report: &mut Report) {
    without_what_passed(report);
    report.findings.sort_by_key(|finding| finding.outcome != Outcome::Failed);
    report.findings.truncate(SHORT);
    for finding in &mut report.findings {
        let texts = [&mut finding.object, &mut finding.expected, &mut finding.observed, &mut finding.hint];
        texts.into_iter().flatten().chain([&mut finding.summary]).for_each(|text| cut(text, SHORT_TEXT));
    }
    report.left_behind.truncate(SHORT);
    if let Some(restore) = &mut report.restore {
        restore.tables.truncate(SHORT);
    }
}

/// At most so many characters, the last of them `…` where some are left out.
pub fn cut(text: &mut String, characters: usize) {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
        text.pop();
        text.push('…');
    }
}

#[cfg(test)]
mod tests;

//! The body of a tracking issue: how it stands now, at a glance, and the table "when this last worked".

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use super::marker;
use crate::history::{Ending, History};
use crate::publish::markdown::{code, escape, inert, within};
use crate::report::Report;
use crate::report::text::{bytes, count, duration, grouped, milliseconds, moment};
use crate::verdict::Verdict;

/// How many runs the table has.
const RUNS: usize = 30;
/// Proof that is older than this is stale.
const STALE_AFTER: SignedDuration = SignedDuration::from_hours(90 * 24);
const NAME_LIMIT: usize = 300;
const HEADLINE_LIMIT: usize = 3_000;
const TARGET_LIMIT: usize = 400;

/// The runs of a source and command that a tracking issue tells of, newest first: never empty.
pub struct Runs(Vec<Run>);

struct Run {
    id: String,
    started_at: Timestamp,
    ending: Ending,
}

impl Runs {
    /// The history's, and this one whether the history has it already or not.
    pub fn of(history: Option<&History>, report: &Report) -> Self {
        let past = history.into_iter().flat_map(|history| history.ended(report.command));
        let mut runs: Vec<Run> = past
            .map(|(run, ending)| Run { id: run.run_id.clone(), started_at: run.started_at, ending: ending.clone() })
            .collect();
        if runs.iter().all(|run| run.id != report.run_id) {
            runs.push(Run {
                id: report.run_id.clone(),
                started_at: report.started_at,
                ending: Ending::of(report, &BTreeMap::new()),
            });
        }
        runs.sort_by(|one, other| (other.started_at, &other.id).cmp(&(one.started_at, &one.id)));
        Self(runs)
    }

    /// Notes the comment that tells of a run.
    pub fn commented(&mut self, run_id: &str, url: &str) {
        self.0.iter_mut().filter(|run| run.id == run_id).for_each(|run| run.ending.comment_url = Some(url.to_owned()));
    }

    /// The newest run's. That need not be the run which is delivered: it may be late.
    pub fn verdict(&self) -> Verdict {
        self.0.first().map_or(Verdict::Inconclusive, |newest| newest.ending.verdict)
    }

    /// The tracking issue's body.
    pub fn body(&self, report: &Report) -> String {
        let mut text = format!("{}\n", marker::of_source(report));
        if let Some(newest) = self.0.first() {
            text.push_str(&self.status(report, newest));
        }
        text.push_str("\n### When this last worked\n\n");
        text.push_str("| run of | verdict | target | RTO | size | rows | |\n|---|---|---|---|---|---|---|\n");
        self.0.iter().take(RUNS).for_each(|run| text.push_str(&row(run)));
        if self.0.len() > RUNS {
            text = format!("{text}\nThe newest {RUNS} of {} runs that the history has.\n", self.0.len());
        }
        text + "\nwalproof writes this text anew with each run; comments stay.\n"
    }

    fn status(&self, report: &Report, newest: &Run) -> String {
        let verdict = newest.ending.verdict;
        let same: Vec<&Run> = self.0.iter().take_while(|run| run.ending.verdict == verdict).collect();
        let since = same.last().map_or(newest.started_at, |run| run.started_at);
        let last_pass = self.0.iter().find(|run| run.ending.verdict == Verdict::Pass);
        let mut text = format!(
            "**{}**: {} of {}\n\n{}\n\n| | |\n|---|---|\n",
            verdict.as_str(),
            report.command.as_str(),
            within(NAME_LIMIT, &report.source_name(), code),
            within(HEADLINE_LIMIT, &newest.ending.headline, escape),
        );
        let mut line = |name: &str, value: String| text = format!("{text}| {name} | {value} |\n");
        let runs = count(same.len() as u64, "run", "runs");
        line("since", format!("{} ({runs})", moment(since)));
        line("last run", format!("{}{}", moment(newest.ending.finished_at), link(newest)));
        line(
            "last PASS",
            last_pass.map_or_else(
                || "none in the history".to_owned(),
                |run| format!("{}{}", moment(run.ending.finished_at), link(run)),
            ),
        );
        line("archive", within(NAME_LIMIT, &report.archive, code));
        let now = newest.ending.finished_at.max(report.finished_at);
        let age = last_pass.map(|run| now.duration_since(run.ending.finished_at));
        if age.is_none_or(|age| age > STALE_AFTER) {
            let last = age.map_or_else(String::new, |age| format!("; the last one is {} old", duration(age)));
            text = format!("{text}\n**stale**: no PASS within {} days{last}.\n", STALE_AFTER.as_hours() / 24);
        }
        text
    }
}

/// What a tracking issue is called when it is made. A person may call it something else.
pub fn title(report: &Report) -> String {
    const CHARACTERS: usize = 200;
    let title = format!("walproof: {} of {}", report.command.as_str(), inert(&report.source_name()));
    title.chars().take(CHARACTERS).collect()
}

fn row(run: &Run) -> String {
    let ending = &run.ending;
    let or_nothing = |value: Option<String>| value.unwrap_or_default();
    format!(
        "| {} | {} | {} | {} | {} | {} |{} |\n",
        moment(run.started_at),
        ending.verdict.as_str(),
        or_nothing(ending.target.as_deref().map(|target| within(TARGET_LIMIT, target, escape))),
        or_nothing(ending.recovery_time_ms.map(milliseconds)),
        or_nothing(ending.restored_bytes.map(bytes)),
        or_nothing(ending.rows.map(grouped)),
        link(run),
    )
}

/// A link to the comment, where there is one and its address is one.
fn link(run: &Run) -> String {
    const ADDRESS_LIMIT: usize = 500;
    let url = run.ending.comment_url.as_deref().and_then(|url| Url::parse(url).ok());
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.as_str().len() < ADDRESS_LIMIT);
    url.map_or_else(String::new, |url| {
        let address = url.as_str().replace('(', "%28").replace(')', "%29").replace('|', "%7C");
        format!(" [comment](<{address}>)")
    })
}

#[cfg(test)]
mod tests;

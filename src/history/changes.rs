//! How the history changes: a run begins, ends, is told of; a killed one is closed. Each change may be applied again, to
//! the same effect: the answer to the first may have been lost.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::bounds::cut;
use super::{Channel, Ending, History, PastRun};
use crate::finding::{Code, Finding};
use crate::plan::CLOCK_SKEW;
use crate::report::text::{count, moment, sentences};
use crate::report::{self, Report};
use crate::verdict::{Subject, Verdict, undecided, verdict};

/// So many of the largest tables are remembered of each drill.
pub const TABLES_KEPT: usize = 200;
const HEADLINE_CHARACTERS: usize = 300;

/// What the report of a killed run says of the source; its own is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub source: String,
    pub namespace: Option<String>,
    /// As in [`Report::archive`].
    pub archive: String,
}

impl History {
    /// Notes that a run has begun.
    pub fn begin(&mut self, run: PastRun) {
        if self.position(&run.run_id).is_none() {
            self.insert(run);
        }
    }

    /// Notes how a run ended, also where its beginning was never written. `tables` are the rows of the baseline by
    /// `database.schema.table`, empty where none was read; `undelivered` is who is to be told. Only the first report of
    /// a run counts, unless the run was taken for killed meanwhile.
    pub fn finish(&mut self, report: &Report, tables: &BTreeMap<String, u64>, undelivered: &[Channel]) {
        let begun = |report: &Report| PastRun {
            run_id: report.run_id.clone(),
            command: report.command,
            started_at: report.started_at,
            holder: None,
            ends_by: report.finished_at,
            ending: None,
        };
        let index = self.position(&report.run_id).unwrap_or_else(|| self.insert(begun(report)));
        let run = &mut self.runs[index];
        let former = run.ending.as_ref();
        if former.is_some_and(|former| former.finished_at == report.finished_at && former.verdict == report.verdict) {
            return;
        }
        let had_passed = former.map(|former| former.verdict == Verdict::Pass);
        let comment_url = former.and_then(|former| former.comment_url.clone());
        run.holder = None;
        run.ending = Some(Ending { comment_url, undelivered: undelivered.to_vec(), ..Ending::of(report, tables) });

        let counted = match report.command {
            Subject::Drill => &mut self.drills,
            Subject::Check => &mut self.checks,
        };
        counted.runs += u64::from(had_passed.is_none());
        counted.passed = counted.passed.saturating_sub(u64::from(had_passed == Some(true)));
        counted.passed += u64::from(report.verdict == Verdict::Pass);
        self.reports.insert(report.run_id.clone(), report.clone());
        self.forget_reports();
    }

    /// Notes that somebody was told of a run, and where that is to be read.
    pub fn delivered(&mut self, run_id: &str, channel: Channel, comment_url: Option<&str>) {
        let Some(index) = self.position(run_id) else { return };
        let Some(ending) = &mut self.runs[index].ending else { return };
        ending.undelivered.retain(|&waiting| waiting != channel);
        if let Some(url) = comment_url {
            ending.comment_url = Some(url.to_owned());
        }
        self.forget_reports();
    }

    /// The runs that somebody is still to be told of, oldest first, with their reports. Who, stands in their endings.
    pub fn undelivered(&self) -> impl Iterator<Item = (&PastRun, &Report)> {
        let owed = |run: &&PastRun| run.ending.as_ref().is_some_and(|ending| !ending.undelivered.is_empty());
        self.runs.iter().filter(owed).filter_map(|run| Some((run, self.reports.get(&run.run_id)?)))
    }

    /// Owes nothing any more to those who are not among `channels`: nobody is told who is no longer configured.
    pub fn owe_only(&mut self, channels: &[Channel]) {
        for ending in self.runs.iter_mut().filter_map(|run| run.ending.as_mut()) {
            ending.undelivered.retain(|channel| channels.contains(channel));
        }
        self.forget_reports();
    }

    /// Takes on to tell what nobody else is telling: the runs' ids, oldest first.
    pub fn claim(&mut self, now: Timestamp, until: Timestamp) -> Vec<String> {
        let owed = self.runs.iter_mut().filter_map(|run| Some((&run.run_id, run.ending.as_mut()?)));
        let free = owed.filter(|(_, ending)| {
            !ending.undelivered.is_empty() && ending.claimed_until.is_none_or(|claimed| claimed <= now)
        });
        free.map(|(run_id, ending)| {
            ending.claimed_until = Some(until);
            run_id.clone()
        })
        .collect()
    }

    /// Leaves to others what is not told yet of the runs that were taken on.
    pub fn release(&mut self, run_ids: &[String]) {
        for run in self.runs.iter_mut().filter(|run| run_ids.contains(&run.run_id)) {
            if let Some(ending) = &mut run.ending {
                ending.claimed_until = None;
            }
        }
    }

    /// Ends each run that `is_gone`, or of which that is not known (None) and which should have ended by now, as
    /// INCONCLUSIVE, and gives the reports that they leave. `channels` are to be told of them.
    pub fn close_killed(
        &mut self,
        is_gone: impl Fn(&PastRun) -> Option<bool>,
        origin: &Origin,
        channels: &[Channel],
        now: Timestamp,
    ) -> Vec<Report> {
        let is_overdue = |run: &PastRun| now.duration_since(run.ends_by) > CLOCK_SKEW;
        let open = self.runs.iter().filter(|run| run.ending.is_none());
        let killed = open.filter(|run| is_gone(run).unwrap_or_else(|| is_overdue(run)));
        let reports: Vec<Report> = killed.map(|run| killed_report(run, origin, now)).collect();
        for report in &reports {
            self.finish(report, &BTreeMap::new(), channels);
        }
        reports
    }

    /// Keeps the reports that somebody needs.
    pub(super) fn forget_reports(&mut self) {
        let latest = |command| {
            let mut ended = self.ended(command).map(|(run, _)| &run.run_id);
            ended.find(|run_id| self.reports.contains_key(*run_id)).cloned()
        };
        let latest = [latest(Subject::Drill), latest(Subject::Check)];
        let owed: Vec<String> = self.undelivered().map(|(run, _)| run.run_id.clone()).collect();
        self.reports.retain(|run_id, _| latest.iter().flatten().chain(&owed).any(|needed| needed == run_id));
    }

    fn position(&self, run_id: &str) -> Option<usize> {
        self.runs.iter().position(|run| run.run_id == run_id)
    }

    fn insert(&mut self, run: PastRun) -> usize {
        let is_older = |other: &PastRun| (other.started_at, &other.run_id) < (run.started_at, &run.run_id);
        let index = self.runs.partition_point(is_older);
        self.runs.insert(index, run);
        index
    }
}

/// What the run that closes killed ones says of them, without influence on its own verdict.
pub fn note_of_killed(reports: &[Report]) -> Option<Finding> {
    let last = reports.last()?;
    let summary = format!(
        "{} never ended and {} closed as INCONCLUSIVE; the last began {}",
        count(reports.len() as u64, "former run", "former runs"),
        if reports.len() == 1 { "was" } else { "were" },
        moment(last.started_at)
    );
    Some(Finding::note(Code::RunKilled, summary).of(&last.run_id).hint(KILLED_HINT))
}

const KILLED_HINT: &str = "look at the pod's events and its node: out of memory, evicted, drained, or past its deadline? \
                           The next drill sweeps what it left";

fn killed_report(run: &PastRun, origin: &Origin, now: Timestamp) -> Report {
    let command = run.command.as_str();
    let by = run.holder.as_ref().map_or_else(String::new, |holder| format!(", run by {holder},"));
    let finding =
        Finding::not_checked(Code::RunKilled, format!("the {command} of {} was killed", moment(run.started_at)))
            .expected(format!("an end by {}", moment(run.ends_by)))
            .observed(format!("the {command}{by} wrote no end"))
            .hint(KILLED_HINT);
    let findings = vec![finding];
    Report {
        schema_version: report::SCHEMA_VERSION,
        walproof_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: run.command,
        run_id: run.run_id.clone(),
        source: origin.source.clone(),
        namespace: origin.namespace.clone(),
        archive: origin.archive.clone(),
        started_at: run.started_at,
        // When it was killed is not known; later than this it cannot have been.
        finished_at: now.min(run.ends_by).max(run.started_at),
        verdict: verdict(run.command, &findings, &[]),
        undecided: undecided(run.command, &findings, &[]),
        findings,
        inventory: None,
        restore: None,
        sandbox: None,
        left_behind: Vec::new(),
    }
}

impl Ending {
    /// How a run ended that left this report, and had these rows by table in its baseline.
    pub fn of(report: &Report, tables: &BTreeMap<String, u64>) -> Self {
        let restore = report.restore.as_ref();
        let mut headline = sentences(report).into_iter().next().unwrap_or_default();
        cut(&mut headline, HEADLINE_CHARACTERS);
        Self {
            finished_at: report.finished_at,
            verdict: report.verdict,
            headline,
            target: restore.map(|restore| restore.target.clone()),
            recovery_time_ms: restore.and_then(|restore| restore.recovery_time_ms),
            recovery_point_exposure_ms: restore.and_then(|restore| restore.recovery_point_exposure_ms),
            rows: restore.and_then(|restore| Some(restore.baseline.as_ref()?.rows)),
            restored_bytes: restore.map(|restore| restore.bytes_unpacked).filter(|&bytes| bytes > 0),
            tables: largest(tables),
            comment_url: None,
            claimed_until: None,
            undelivered: Vec::new(),
        }
    }
}

fn largest(tables: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut by_rows: Vec<(&String, &u64)> = tables.iter().collect();
    by_rows.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
    by_rows.into_iter().take(TABLES_KEPT).map(|(table, rows)| (table.clone(), *rows)).collect()
}

#[cfg(test)]
mod tests;

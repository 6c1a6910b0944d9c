//! The comment on one run, for the reader at 3 a.m.: verdict, what was proven or what broke, whose fault it is, what to
//! do; then the findings, what was measured, and the whole report.

mod measured;

use super::marker;
use crate::finding::{Blame, Finding, Outcome};
use crate::publish::markdown::{block, code, escape, within};
use crate::report::Report;
use crate::report::text::{count, duration, moment, ordered, sentences};
use crate::verdict::Verdict;

/// Forgejo's limit is 64 KiB at least; bytes, so that characters are fewer.
pub const LIMIT: usize = 60_000;
const FINDINGS_LIMIT: usize = 28_000;
const SENTENCE_LIMIT: usize = 3_000;
const CELL_LIMIT: usize = 1_200;
const NAME_LIMIT: usize = 300;
const MENTION_LIMIT: usize = 1_000;

/// Where the whole report is.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// The name under which it is attached to the comment; else it stands in the comment when there is room.
    pub attached: Option<&'a str>,
    pub in_history: bool,
}

/// The comment's text, at most [`LIMIT`] bytes. The report is taken as it may be shown; `mention` are user and team
/// names, told only of what is not a PASS.
pub fn text(report: &Report, mention: &[String], whole: Whole<'_>) -> String {
    let mut text = head(report, mention);
    text.push_str(&findings(&report.findings));
    text.push_str(&measured::table(report));
    let took = report.finished_at.duration_since(report.started_at);
    let foot = format!(
        "\nRun {}, {}, exit code {}, walproof {}.\n",
        within(NAME_LIMIT, &report.run_id, code),
        duration(took),
        report.exit_code(),
        within(NAME_LIMIT, &report.walproof_version, escape),
    );
    let room = LIMIT.saturating_sub(text.len() + foot.len());
    text.push_str(&whole_report(report, whole, room));
    text.push_str(&foot);
    text
}

fn head(report: &Report, mention: &[String]) -> String {
    let mut text = format!(
        "{}\n**{}**: {} of {}, {}\n",
        if marker::is_killed(report) { marker::of_killed_run(report) } else { marker::of_run(report) },
        report.verdict.as_str(),
        report.command.as_str(),
        within(NAME_LIMIT, &report.source_name(), code),
        moment(report.finished_at)
    );
    for sentence in sentences(report) {
        text.push('\n');
        text.push_str(&within(SENTENCE_LIMIT, &sentence, escape));
        text.push('\n');
    }
    if report.verdict != Verdict::Pass && !mention.is_empty() {
        let mut names = String::new();
        for name in mention.iter().filter(|name| name.len() < NAME_LIMIT) {
            if names.len() + name.len() < MENTION_LIMIT {
                names = format!("{names}@{name} ");
            }
        }
        text = format!("{text}\n{}\n", names.trim_end());
    }
    text
}

/// A table of what did not pass, and how much did.
fn findings(findings: &[Finding]) -> String {
    let shown: Vec<&Finding> =
        ordered(findings).into_iter().filter(|finding| finding.outcome != Outcome::Passed).collect();
    let mut text = String::new();
    let mut written = 0;
    for finding in &shown {
        let row = row(finding);
        if text.len() + row.len() > FINDINGS_LIMIT {
            break;
        }
        text.push_str(&row);
        written += 1;
    }
    if !text.is_empty() {
        let head = "\n| outcome | finding | what | expected | observed | to do |\n|---|---|---|---|---|---|\n";
        text.insert_str(0, head);
    }
    let passed = (findings.len() - shown.len()) as u64;
    let mut rest = vec![format!("{} passed", count(passed, "finding", "findings"))];
    if written < shown.len() {
        rest.push(format!("{} more did not and are in the whole report", shown.len() - written));
    }
    format!("{text}\n{}.\n", rest.join(", "))
}

fn row(finding: &Finding) -> String {
    let outcome = match (finding.outcome, finding.blame) {
        (Outcome::Passed, _) => "passed",
        (Outcome::Failed, Some(Blame::Backups)) => "**failed**: backups",
        (Outcome::Failed, Some(Blame::Source)) => "failed: source",
        (Outcome::Failed, Some(Blame::Environment)) => "failed: environment",
        (Outcome::Failed, Some(Blame::Baseline)) => "failed: baseline",
        (Outcome::Failed, Some(Blame::Unknown) | None) => "failed: cause unknown",
        (Outcome::NotChecked, _) => "not checked",
        (Outcome::Note, _) => "note",
    };
    let object = finding
        .object
        .as_deref()
        .map_or_else(String::new, |object| format!("<br>{}", within(CELL_LIMIT, object, code)));
    let cell = |text: Option<&str>| within(CELL_LIMIT, text.unwrap_or_default(), escape);
    format!(
        "| {outcome} | {}{object} | {} | {} | {} | {} |\n",
        code(finding.code.as_str()),
        cell(Some(&finding.summary)),
        cell(finding.expected.as_deref()),
        cell(finding.observed.as_deref()),
        cell(finding.hint.as_deref()),
    )
}

fn whole_report(report: &Report, whole: Whole<'_>, room: usize) -> String {
    if let Some(name) = whole.attached {
        return format!("\nThe whole report is attached as {}.\n", code(name));
    }
    let inline = format!(
        "\n<details><summary>The whole report as JSON</summary>\n\n{}\n</details>\n",
        block("json", &report.json())
    );
    if inline.len() <= room {
        return inline;
    }
    let place =
        if whole.in_history { "in walproof's history: `walproof report` shows it" } else { "what the run printed" };
    format!("\nThe whole report is too long for a comment; it is {place}.\n")
}

#[cfg(test)]
mod tests;

//! The report as an issue may show it: without what PostgreSQL and the application printed, which can hold what the
//! database holds.

use std::borrow::Cow;

use crate::finding::{Code, Finding, Outcome};
use crate::report::Report;

/// Parts of PostgreSQL's messages that can hold rows.
const DETAILS: [&str; 4] = ["DETAIL:", "CONTEXT:", "STATEMENT:", "QUERY:"];
const LEFT_OUT: &str = "(left out: `publish.forgejo.showOutput` shows it)";

/// The report itself when output may be shown, else a copy without it. walproof's own words stay.
pub fn shown(report: &Report, show_output: bool) -> Cow<'_, Report> {
    if show_output {
        return Cow::Borrowed(report);
    }
    let mut report = report.clone();
    report.findings.iter_mut().for_each(hide);
    if let Some(sandbox) = &mut report.sandbox {
        let parts =
            [&mut sandbox.conditions, &mut sandbox.events, &mut sandbox.pods, &mut sandbox.volumes, &mut sandbox.log];
        parts.into_iter().flatten().for_each(hide_details);
    }
    Cow::Owned(report)
}

fn hide(finding: &mut Finding) {
    if finding.code == Code::AppCheck {
        finding.observed = finding.observed.take().and_then(|observed| without_output(finding.outcome, observed));
    }
    hide_details(&mut finding.summary);
    [&mut finding.expected, &mut finding.observed, &mut finding.hint].into_iter().flatten().for_each(hide_details);
}

/// What the application printed stands behind how it ended; that of one that passed stands alone.
fn without_output(outcome: Outcome, observed: String) -> Option<String> {
    if outcome == Outcome::Passed {
        return None;
    }
    let is_ending = ["exit code ", "it did not end within "].iter().any(|ending| observed.starts_with(ending));
    match observed.split_once("; ") {
        Some((ending, _)) if is_ending => Some(format!("{ending}; its output {LEFT_OUT}")),
        _ => Some(observed),
    }
}

/// Where a detail ends cannot be told from the text: all behind its beginning goes.
fn hide_details(text: &mut String) {
    if let Some(start) = DETAILS.iter().filter_map(|kind| text.find(kind)).min() {
        text.truncate(start);
        text.push_str(LEFT_OUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Blame;

    fn hidden(finding: Finding) -> Option<String> {
        let mut finding = finding;
        hide(&mut finding);
        finding.observed
    }

    #[test]
    fn what_the_application_printed_is_left_out_and_how_it_ended_stays() {
        let failed = |observed: &str| {
            hidden(Finding::failed(Code::AppCheck, Blame::Unknown, "it failed").observed(observed)).unwrap()
        };
        assert_eq!(failed("exit code 1; alice@example.org; missing"), format!("exit code 1; its output {LEFT_OUT}"));
        assert_eq!(failed("exit code 1"), "exit code 1");
        assert_eq!(
            failed("it did not end within 30 s; alice"),
            format!("it did not end within 30 s; its output {LEFT_OUT}")
        );
        assert_eq!(failed("it did not start: ErrImagePull; 2 tries"), "it did not start: ErrImagePull; 2 tries");
        assert_eq!(hidden(Finding::passed(Code::AppCheck, "it passed").observed("exit code 0; alice")), None);
    }

    #[test]
    fn postgresqls_details_are_left_out() {
        let observed = "FATAL: duplicate key | DETAIL:  Key (email)=(alice@example.org) | already exists";
        let finding = Finding::failed(Code::ServerUp, Blame::Backups, "it did not come up").observed(observed);
        assert_eq!(hidden(finding).unwrap(), format!("FATAL: duplicate key | {LEFT_OUT}"));
    }
}

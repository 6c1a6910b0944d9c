//! The tracking issue of a source and command: found by label and marker, opened when there is none, and kept in step
//! with the newest run.

use reqwest::StatusCode;
use serde_json::json;

use super::api::{Api, Issue, Label, State};
use super::status::{Runs, title};
use super::{ROUNDS, is_ambiguous, marker, pause};
use crate::publish::http::SendError;
use crate::report::Report;
use crate::verdict::Verdict;

/// On every tracking issue.
const LABEL: &str = "walproof";
/// Exactly one of them is on a tracking issue.
const STATES: [Verdict; 3] = [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive];

/// The labels that this run needs, by name; one that could not be made is missing.
pub struct Labels(Vec<Label>);

impl Labels {
    /// Finds them and makes what is missing, as far as the token's user may.
    pub async fn ready(api: &Api, verdict: Verdict) -> Result<Self, SendError> {
        let mut known = api.labels().await?;
        known.sort_by_key(|label| label.id);
        let (state, color) = state_label(verdict);
        let needed = [(LABEL, "#5b6b7a", "walproof's tracking issues"), (state, color, "the newest run's verdict")];
        for (name, color, description) in needed {
            if known.iter().all(|label| label.name != name) {
                match api.create_label(name, color, description).await {
                    Ok(label) => known.push(label),
                    Err(error) => tracing::warn!("{error}; the issue goes without it"),
                }
            }
        }
        Ok(Self(known))
    }

    /// Two of one name are possible: the older one is meant.
    fn id(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|label| label.name == name).map(|label| label.id)
    }

    fn ids(&self, names: &[&str]) -> Vec<u64> {
        names.iter().filter_map(|name| self.id(name)).collect()
    }
}

/// The tracking issue of the report's source and command; opened when there is none.
pub async fn find_or_open(api: &Api, labels: &Labels, report: &Report, runs: &Runs) -> Result<Issue, SendError> {
    let marker = marker::of_source(report);
    let wanted = labels.ids(&[LABEL, state_label(runs.verdict()).0]);
    let mut round = 0;
    loop {
        pause(round).await;
        if let Some(issue) = find(api, labels, &marker).await? {
            return Ok(issue);
        }
        match api.create_issue(&title(report), &runs.body(report), &wanted).await {
            Ok(issue) => {
                if wanted.iter().any(|id| issue.labels.iter().all(|label| label.id != *id)) {
                    warn_of_labels(api);
                }
                // Another process may have opened one too: both go on with the same.
                return Ok(find(api, labels, &marker).await?.unwrap_or(issue));
            }
            Err(error) if is_ambiguous(&error) && round + 1 < ROUNDS => round += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The issue with the lowest number among those that carry the marker. The others are closed: each was opened by two
/// runs at once.
async fn find(api: &Api, labels: &Labels, marker: &str) -> Result<Option<Issue>, SendError> {
    let carries = |issue: &Issue| marker::is_in(&issue.body, marker);
    let mut found = Vec::new();
    if labels.id(LABEL).is_some() {
        found = api.issues_labelled(LABEL).await?;
        found.retain(carries);
    }
    // Its label may have been renamed, removed, or never been set for lack of rights. Anybody can write a marker, but
    // nobody else opens issues in our name.
    if found.is_empty() {
        found = api.issues_of_ours().await?;
        found.retain(carries);
    }
    found.sort_by_key(|issue| issue.number);
    let mut found = found.into_iter();
    let Some(first) = found.next() else { return Ok(None) };
    for other in found {
        let change = json!({"body": format!("A duplicate of #{}, opened by two runs at once.", first.number), "state": "closed"});
        // Without its marker it is not found again.
        api.edit_issue(other.number, &change).await?;
    }
    Ok(Some(first))
}

/// Body, state and labels as the newest run wants them.
pub async fn update(
    api: &Api,
    labels: &Labels,
    issue: &Issue,
    report: &Report,
    runs: &Runs,
    close_on_recovery: bool,
) -> Result<(), SendError> {
    let state = match (runs.verdict(), issue.state) {
        (Verdict::Fail | Verdict::Inconclusive, _) => State::Open,
        (Verdict::Pass, State::Open) if close_on_recovery => State::Closed,
        (Verdict::Pass, state) => state,
    };
    let body = runs.body(report);
    if body.trim() != issue.body.trim() || state != issue.state {
        let changed = api.edit_issue(issue.number, &json!({"body": body, "state": state.as_str()})).await;
        match changed {
            // It depends on an open issue, and stays open itself.
            Err(error) if error.status() == Some(StatusCode::PRECONDITION_FAILED) => {
                tracing::warn!("{error}");
                api.edit_issue(issue.number, &json!({"body": body})).await?;
            }
            changed => {
                changed?;
            }
        }
    }
    if let Err(error) = set_labels(api, labels, issue, runs.verdict()).await {
        tracing::warn!("{error}; the issue's labels stay as they are");
    }
    Ok(())
}

/// Adds what is missing and takes off the other verdicts; labels of others stay.
async fn set_labels(api: &Api, labels: &Labels, issue: &Issue, verdict: Verdict) -> Result<(), SendError> {
    let wanted = [LABEL, state_label(verdict).0];
    if wanted.iter().any(|name| !issue.has_label(name)) {
        let added = api.add_labels(issue.number, &labels.ids(&wanted)).await?;
        if wanted.iter().any(|name| added.iter().all(|label| label.name != *name)) {
            warn_of_labels(api);
        }
    }
    let stale = issue
        .labels
        .iter()
        .filter(|label| STATES.iter().any(|&other| other != verdict && state_label(other).0 == label.name));
    for label in stale {
        api.remove_label(issue.number, label.id).await?;
    }
    Ok(())
}

fn warn_of_labels(api: &Api) {
    tracing::warn!(
        "the issue in {} goes without its labels: the token's user needs the right to write there",
        api.name()
    );
}

const fn state_label(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("walproof/pass", "#2f7d32"),
        Verdict::Fail => ("walproof/fail", "#c62828"),
        Verdict::Inconclusive => ("walproof/inconclusive", "#b26a00"),
    }
}

//! A Forgejo issue carries each outcome: a comment for each run, and on a tracking issue the table "when this last
//! worked". Delivering a run again changes nothing that the first delivery did.

mod api;
mod comment;
mod marker;
mod posting;
mod shown;
mod status;
mod tracking;

use std::time::Duration;

use crate::history::History;
use crate::plan::{self, Comment, Issue};
use crate::publish::http::{SendError, SendErrorKind};
use crate::report::Report;
use crate::verdict::{Subject, Verdict};
use api::Api;
use status::Runs;
use tracking::Labels;

/// How often something is sent whose answer gets lost. What is lost each time, the next delivery finds.
const ROUNDS: u32 = 3;

/// Tells of a run and returns the address of its comment, None when none was due. The history may hold this run already.
/// An error means that the delivery is not complete; delivering it again completes it, and writes nothing twice.
pub async fn deliver(
    forgejo: &plan::Forgejo,
    history: Option<&History>,
    report: &Report,
) -> Result<Option<String>, SendError> {
    let report = &*shown::shown(report, forgejo.show_output);
    let is_due = is_due(forgejo.comment, history, report);
    let comment =
        async |api: &Api, number| posting::comment(api, number, report, &forgejo.mention, history.is_some()).await;
    match forgejo.issue {
        Issue::Number(_) if !is_due => Ok(None),
        Issue::Number(number) => comment(&Api::new(forgejo)?, number).await.map(Some),
        Issue::Tracking => {
            let api = Api::new(forgejo)?;
            let mut runs = Runs::of(history, report);
            let labels = Labels::ready(&api, runs.verdict()).await?;
            let issue = tracking::find_or_open(&api, &labels, report, &runs).await?;
            let url = if is_due { Some(comment(&api, issue.number).await?) } else { None };
            if let Some(url) = &url {
                runs.commented(&report.run_id, url);
            }
            tracking::update(&api, &labels, &issue, report, &runs, forgejo.close_on_recovery).await?;
            Ok(url)
        }
    }
}

/// A comment is due where the verdict is another than the former run's, and for a drill always when so configured.
fn is_due(comment: Comment, history: Option<&History>, report: &Report) -> bool {
    if history.is_none() && report.command == Subject::Check {
        // Nobody knows whether anything changed.
        return false;
    }
    let ended = history.into_iter().flat_map(|history| history.ended(report.command));
    let former = ended
        .filter(|(run, _)| run.run_id != report.run_id && run.started_at <= report.started_at)
        .max_by_key(|(run, _)| run.started_at);
    match (report.command, comment, former) {
        (Subject::Drill, Comment::Always, _) | (Subject::Drill, Comment::Changes, None) => true,
        (_, _, Some((_, ending))) => ending.verdict != report.verdict,
        (Subject::Check, _, None) => report.verdict != Verdict::Pass,
    }
}

/// It may have been done: look before it is done again.
fn is_ambiguous(error: &SendError) -> bool {
    match error.kind {
        SendErrorKind::Lost | SendErrorKind::Unexpected => true,
        SendErrorKind::Refused(_) | SendErrorKind::Unreachable | SendErrorKind::Unready => false,
    }
}

/// Before what was lost is looked for: the server may still be at it.
async fn pause(round: u32) {
    const STEP: Duration = Duration::from_secs(1);
    if round > 0 {
        tokio::time::sleep(STEP * round).await;
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

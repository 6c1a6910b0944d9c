//! A comment is written once for each run, however often it is delivered, and carries the whole report.

use jiff::{SignedDuration, Timestamp};

use super::api::{Api, AttachmentSettings, Comment};
use super::comment::{Whole, text};
use super::{ROUNDS, is_ambiguous, marker, pause};
use crate::publish::http::SendError;
use crate::report::Report;

/// A comment on a run is younger than the run; the clocks may differ by this much.
const CLOCKS: SignedDuration = SignedDuration::from_hours(24);

/// Comments on an issue, unless the run's comment is there. Returns the comment's address.
pub async fn comment(
    api: &Api,
    number: u64,
    report: &Report,
    mention: &[String],
    in_history: bool,
) -> Result<String, SendError> {
    let json = report.json();
    let attached = attachment_name(&report.run_id, &json, &settings(api).await);
    let whole = Whole { attached: attached.as_deref(), in_history };
    let comment = post(api, number, report, &text(report, mention, whole)).await?;
    // A former delivery may have come as far as the comment.
    if let Some(name) = attached.filter(|name| is_promised(&comment, name))
        && !attach(api, comment.id, &name, &json).await
    {
        let inline = text(report, mention, Whole { attached: None, in_history });
        if let Err(error) = api.edit_comment(comment.id, &inline).await {
            tracing::warn!("{error}; the comment names an attachment that it does not have");
        }
    }
    Ok(comment.html_url)
}

/// Whether a comment names an attachment that it does not have.
fn is_promised(comment: &Comment, name: &str) -> bool {
    comment.body.contains(name) && comment.assets.iter().all(|asset| asset.name != name)
}

/// The run's comment, from this delivery or a former one.
async fn post(api: &Api, number: u64, report: &Report, text: &str) -> Result<Comment, SendError> {
    let mut markers = vec![marker::of_run(report)];
    if marker::is_killed(report) {
        markers.push(marker::of_killed_run(report));
    }
    let since = report.started_at.checked_sub(CLOCKS).unwrap_or(Timestamp::UNIX_EPOCH);
    let find = async || -> Result<Option<Comment>, SendError> {
        let comments = match api.comments(number, since).await {
            Ok(comments) => comments,
            Err(error) => return Err(why_unlisted(api, number, error).await),
        };
        Ok(comments.into_iter().find(|comment| markers.iter().any(|marker| marker::is_in(&comment.body, marker))))
    };
    let mut round = 0;
    loop {
        pause(round).await;
        if let Some(comment) = find().await? {
            return Ok(comment);
        }
        match api.comment(number, text).await {
            Err(error) if is_ambiguous(&error) && round + 1 < ROUNDS => round += 1,
            commented => return commented,
        }
    }
}

/// Forgejo 10 answers 500 to who asks for the comments of an issue that was deleted; of the issue itself it says so.
async fn why_unlisted(api: &Api, number: u64, error: SendError) -> SendError {
    if error.status().is_some() {
        return error;
    }
    match api.look_for_issue(number).await {
        Err(other) if other.status().is_some() => other,
        _ => error,
    }
}

async fn settings(api: &Api) -> AttachmentSettings {
    api.attachment_settings().await.unwrap_or_else(|error| {
        tracing::debug!("{error}; nothing is attached");
        AttachmentSettings::default()
    })
}

/// Whether the report is attached now. An answer that was lost is looked after.
async fn attach(api: &Api, comment: u64, name: &str, json: &str) -> bool {
    let Err(error) = api.attach(comment, name, json).await else { return true };
    let is_there = is_ambiguous(&error)
        && api.assets(comment).await.is_ok_and(|assets| assets.iter().any(|asset| asset.name == name));
    if !is_there {
        tracing::warn!("{error}; the report is not attached");
    }
    is_there
}

/// The name under which the report may be attached, if it may.
fn attachment_name(run_id: &str, json: &str, settings: &AttachmentSettings) -> Option<String> {
    const MIB: u64 = 1 << 20;
    if !settings.enabled || json.len() as u64 > settings.max_size.saturating_mul(MIB) {
        return None;
    }
    let allowed: Vec<&str> = settings.allowed_types.split(',').map(str::trim).filter(|kind| !kind.is_empty()).collect();
    let is_allowed = |kinds: &[&str]| allowed.is_empty() || kinds.iter().any(|kind| allowed.contains(kind));
    let endings: [(&str, &[&str]); 3] = [
        ("json", &[".json", "application/json", "*/*"]),
        ("txt", &[".txt", "text/plain", "text/*"]),
        ("log", &[".log"]),
    ];
    let (ending, _) = endings.into_iter().find(|(_, kinds)| is_allowed(kinds))?;
    let id: String =
        run_id.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').collect();
    Some(format!("walproof-{id}.{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_attached_under_a_name_that_the_server_takes() {
        let name = |enabled, allowed: &str, max_size| {
            let settings = AttachmentSettings { enabled, allowed_types: allowed.to_owned(), max_size };
            attachment_name("20261121t020000z-a1b2c3", "{}", &settings)
        };
        let named = |ending: &str| Some(format!("walproof-20261121t020000z-a1b2c3.{ending}"));
        assert_eq!(name(true, ".csv,.json,.txt", 4), named("json"));
        assert_eq!(name(true, "", 4), named("json"));
        assert_eq!(name(true, ".jsonc, .txt", 4), named("txt"));
        assert_eq!(name(true, ".log", 4), named("log"));
        assert_eq!(name(true, ".png", 4), None);
        assert_eq!(name(true, ".json", 0), None);
        assert_eq!(name(false, ".json", 4), None);
    }
}

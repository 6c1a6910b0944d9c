//! The few calls of Forgejo's API that are needed, for one repository. All of them need the scope `write:issue` alone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{ROUNDS, pause};
use crate::plan;
use crate::publish::http::{Repeat, SendError, SendErrorKind, Service};

/// A server may give fewer: only an empty page is the last.
const PAGE: &str = "50";
const PAGES: usize = 100;

pub struct Api {
    service: Service,
    owner: String,
    repository: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Issue {
    pub number: u64,
    pub state: State,
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Vec<Label>,
    /// Only in the answer of a search over repositories.
    #[serde(default)]
    repository: Option<Repository>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Label {
    pub id: u64,
    pub name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Comment {
    pub id: u64,
    pub html_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    #[serde(default, deserialize_with = "or_default")]
    pub assets: Vec<Asset>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Asset {
    pub name: String,
}

/// What may be attached.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct AttachmentSettings {
    #[serde(default)]
    pub enabled: bool,
    /// Extensions and media types, with commas; empty for all.
    #[serde(default)]
    pub allowed_types: String,
    /// MiB.
    #[serde(default)]
    pub max_size: u64,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
        }
    }
}

impl Issue {
    pub fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.name == name)
    }
}

impl Api {
    /// Reads the token; nothing is sent.
    pub fn new(forgejo: &plan::Forgejo) -> Result<Self, SendError> {
        let service = Service::new(&forgejo.endpoint)?;
        Ok(Self { service, owner: forgejo.owner.clone(), repository: forgejo.repository.clone() })
    }

    /// `owner/name`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.owner, self.repository)
    }

    /// The repository's own labels.
    pub async fn labels(&self) -> Result<Vec<Label>, SendError> {
        let doing = format!("list the labels of {}", self.name());
        self.pages(&doing, &self.url(&["labels"]), |label: &Label| label.id).await
    }

    pub async fn create_label(&self, name: &str, color: &str, description: &str) -> Result<Label, SendError> {
        let url = self.url(&["labels"]);
        let body = json!({"name": name, "color": color, "description": description});
        let doing = format!("create the label {name} in {}", self.name());
        self.ask(&doing, Repeat::Unsafe, |client| client.post(url.clone()).json(&body)).await
    }

    /// All issues, open and closed, that carry this label. It must exist: Forgejo forgets a name that it does not know,
    /// and answers with all issues.
    pub async fn issues_labelled(&self, label: &str) -> Result<Vec<Issue>, SendError> {
        let mut url = self.url(&["issues"]);
        url.query_pairs_mut().append_pair("state", "all").append_pair("type", "issues").append_pair("labels", label);
        let doing = format!("list the issues of {} with the label {label}", self.name());
        let mut issues = self.pages(&doing, &url, |issue: &Issue| issue.number).await?;
        issues.retain(|issue| issue.has_label(label));
        Ok(issues)
    }

    /// All issues of this repository, open and closed, that the token's user opened.
    pub async fn issues_of_ours(&self) -> Result<Vec<Issue>, SendError> {
        let mut url = self.service.url(&["api", "v1", "repos", "issues", "search"]);
        url.query_pairs_mut()
            .append_pair("created", "true")
            .append_pair("state", "all")
            .append_pair("type", "issues")
            .append_pair("owner", &self.owner);
        let doing = format!("search the issues that we opened in {}", self.name());
        // Numbers are a repository's own.
        let key = |issue: &Issue| (issue.repository.as_ref().map(|of| of.full_name.clone()), issue.number);
        let mut issues = self.pages(&doing, &url, key).await?;
        let name = self.name();
        issues.retain(|issue| {
            issue.repository.as_ref().is_some_and(|repository| repository.full_name.eq_ignore_ascii_case(&name))
        });
        Ok(issues)
    }

    /// The labels may be dropped without a word: look at the answer's.
    pub async fn create_issue(&self, title: &str, body: &str, labels: &[u64]) -> Result<Issue, SendError> {
        let url = self.url(&["issues"]);
        let body = json!({"title": title, "body": body, "labels": labels});
        let doing = format!("open an issue in {}", self.name());
        self.ask(&doing, Repeat::Unsafe, |client| client.post(url.clone()).json(&body)).await
    }

    /// Whether there is such an issue that the token's user may see: a refusal says why not.
    pub async fn look_for_issue(&self, number: u64) -> Result<(), SendError> {
        let url = self.url(&["issues", &number.to_string()]);
        let doing = format!("look for the issue {}#{number}", self.name());
        self.send(&doing, Repeat::Safe, |client| client.get(url.clone())).await?;
        Ok(())
    }

    pub async fn edit_issue(&self, number: u64, change: &Value) -> Result<Issue, SendError> {
        let url = self.url(&["issues", &number.to_string()]);
        let doing = format!("edit the issue {}#{number}", self.name());
        let mut round = 0;
        loop {
            match self.ask(&doing, Repeat::Safe, |client| client.patch(url.clone()).json(change)).await {
                // So it refuses an edit while another one is made: "the issue is already changed".
                Err(error) if error.status() == Some(StatusCode::BAD_REQUEST) && round + 1 < ROUNDS => {
                    round += 1;
                    pause(round).await;
                }
                edited => return edited,
            }
        }
    }

    /// The issue's labels after some were added.
    pub async fn add_labels(&self, number: u64, labels: &[u64]) -> Result<Vec<Label>, SendError> {
        let url = self.url(&["issues", &number.to_string(), "labels"]);
        let body = json!({"labels": labels});
        let doing = format!("label the issue {}#{number}", self.name());
        self.ask(&doing, Repeat::Safe, |client| client.post(url.clone()).json(&body)).await
    }

    pub async fn remove_label(&self, number: u64, label: u64) -> Result<(), SendError> {
        let url = self.url(&["issues", &number.to_string(), "labels", &label.to_string()]);
        let doing = format!("remove a label from the issue {}#{number}", self.name());
        self.send(&doing, Repeat::Safe, |client| client.delete(url.clone())).await?;
        Ok(())
    }

    /// The comments that were written or changed since then. Forgejo gives all of them at once.
    pub async fn comments(&self, number: u64, since: Timestamp) -> Result<Vec<Comment>, SendError> {
        let mut url = self.url(&["issues", &number.to_string(), "comments"]);
        url.query_pairs_mut().append_pair("since", &since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let doing = format!("list the comments of the issue {}#{number}", self.name());
        self.ask(&doing, Repeat::Safe, |client| client.get(url.clone())).await
    }

    pub async fn comment(&self, number: u64, text: &str) -> Result<Comment, SendError> {
        let url = self.url(&["issues", &number.to_string(), "comments"]);
        let body = json!({"body": text});
        let doing = format!("comment on the issue {}#{number}", self.name());
        self.ask(&doing, Repeat::Unsafe, |client| client.post(url.clone()).json(&body)).await
    }

    pub async fn edit_comment(&self, comment: u64, text: &str) -> Result<(), SendError> {
        let url = self.url(&["issues", "comments", &comment.to_string()]);
        let body = json!({"body": text});
        let doing = format!("edit a comment in {}", self.name());
        self.send(&doing, Repeat::Safe, |client| client.patch(url.clone()).json(&body)).await?;
        Ok(())
    }

    pub async fn attachment_settings(&self) -> Result<AttachmentSettings, SendError> {
        let url = self.service.url(&["api", "v1", "settings", "attachment"]);
        self.ask("ask what may be attached", Repeat::Safe, |client| client.get(url.clone())).await
    }

    /// What is attached to a comment.
    pub async fn assets(&self, comment: u64) -> Result<Vec<Asset>, SendError> {
        let url = self.url(&["issues", "comments", &comment.to_string(), "assets"]);
        let doing = format!("list the attachments of a comment in {}", self.name());
        self.ask(&doing, Repeat::Safe, |client| client.get(url.clone())).await
    }

    pub async fn attach(&self, comment: u64, name: &str, content: &str) -> Result<(), SendError> {
        let mut url = self.url(&["issues", "comments", &comment.to_string(), "assets"]);
        url.query_pairs_mut().append_pair("name", name);
        let doing = format!("attach {name} to a comment in {}", self.name());
        let form = || {
            let part = Part::bytes(content.to_owned().into_bytes()).file_name(name.to_owned());
            Form::new().part("attachment", part)
        };
        self.send(&doing, Repeat::Unsafe, |client| client.post(url.clone()).multipart(form())).await?;
        Ok(())
    }

    fn url(&self, segments: &[&str]) -> Url {
        let repository = ["api", "v1", "repos", &self.owner, &self.repository];
        self.service.url(&[&repository, segments].concat())
    }

    /// All pages of a list. We count them ourselves: the addresses in a `Link` are those that the server has for others.
    async fn pages<T: DeserializeOwned, K: Ord>(
        &self,
        doing: &str,
        url: &Url,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, SendError> {
        let (mut all, mut known) = (Vec::new(), BTreeSet::new());
        for page in 1..=PAGES {
            let mut url = url.clone();
            url.query_pairs_mut().append_pair("page", &page.to_string()).append_pair("limit", PAGE);
            let found: Vec<T> = self.ask(doing, Repeat::Safe, |client| client.get(url.clone())).await?;
            let before = all.len();
            all.extend(found.into_iter().filter(|item| known.insert(key(item))));
            if all.len() == before {
                break;
            }
        }
        Ok(all)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        doing: &str,
        repeat: Repeat,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<T, SendError> {
        let body = self.send(doing, repeat, request).await?;
        serde_json::from_slice(&body).map_err(|_| {
            let reason = format!("what {} answered is not Forgejo's", self.service.host());
            SendError::new(SendErrorKind::Unexpected, doing, reason)
                .hint("is `publish.forgejo.url` right, and is there a log-in page in front of it?")
        })
    }

    async fn send(
        &self,
        doing: &str,
        repeat: Repeat,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Vec<u8>, SendError> {
        match self.service.send(doing, repeat, request).await {
            Ok(answer) => Ok(answer.body),
            Err(error) => Err(match error.status().and_then(|status| self.meaning(status)) {
                Some(meaning) => error.hint(&meaning),
                None => error,
            }),
        }
    }

    /// What a refusal means here, and what to do.
    fn meaning(&self, status: StatusCode) -> Option<String> {
        let name = self.name();
        Some(match status.as_u16() {
            300..=399 => "it points elsewhere, where the token must not go: write the final address into \
                         `publish.forgejo.url` and the final name into `repository`"
                .to_owned(),
            401 => "the token is not accepted: is it right, and neither revoked nor expired?".to_owned(),
            403 => format!("the token needs the scope `write:issue`, and its user the right to write issues in {name}"),
            404 => format!(
                "{name} or the issue does not exist, has its issues switched off, or is not shown to the token's user"
            ),
            410 => "the issue was deleted".to_owned(),
            412 => "an open issue that this one depends on keeps it from being closed".to_owned(),
            413 => "it is too large for the server or a proxy, or the quota is used up".to_owned(),
            422 => "Forgejo does not take this content".to_owned(),
            423 => {
                format!("{name} is archived: name another repository in `publish.forgejo.repository`, or unarchive it")
            }
            _ => return None,
        })
    }
}

/// Go writes an empty list as null.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

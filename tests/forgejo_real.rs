//! What walproof tells a real Forgejo: any that `WALPROOF_FORGEJO_URL` names, with an administrator's
//! `WALPROOF_FORGEJO_ADMIN` (`user:password`). It makes a repository, a user and tokens of its own, and removes them.
//! `cargo test --test forgejo_real` runs it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/told.rs"]
mod told;

use std::env;

use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use told::drill;
use walproof::plan::{Forgejo, Issue};
use walproof::publish::forgejo::deliver;
use walproof::verdict::Verdict::{Fail, Inconclusive, Pass};

/// A repository of an administrator's, and a user with a token who may write there.
struct Place {
    client: Client,
    url: String,
    admin: String,
    password: String,
    name: String,
    tokens: TempDir,
}

impl Place {
    /// `permission` is the bot's in the repository; None makes it a stranger to a public one.
    async fn new(name: &str, permission: Option<&str>) -> Self {
        let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let admin = variable("WALPROOF_FORGEJO_ADMIN");
        let (admin, password) = admin.split_once(':').unwrap();
        let place = Self {
            client: Client::new(),
            url: variable("WALPROOF_FORGEJO_URL"),
            admin: admin.to_owned(),
            password: password.to_owned(),
            name: format!("walproof-test-{name}-{}", std::process::id()),
            tokens: tempfile::tempdir().unwrap(),
        };
        let (name, bot) = (&place.name, place.bot());
        place.ask(Method::POST, "user/repos", json!({"name": name, "private": permission.is_some()})).await;
        let user = json!({
            "username": bot, "email": format!("{bot}@example.invalid"), "password": format!("{bot}-secret"),
            "must_change_password": false,
        });
        place.ask(Method::POST, "admin/users", user).await;
        if let Some(permission) = permission {
            let path = place.path(&format!("collaborators/{bot}"));
            place.ask(Method::PUT, &path, json!({"permission": permission})).await;
        }
        place
    }

    fn bot(&self) -> String {
        format!("{}-bot", self.name)
    }

    fn path(&self, rest: &str) -> String {
        format!("repos/{}/{}/{rest}", self.admin, self.name).trim_end_matches('/').to_owned()
    }

    async fn send(&self, user: &str, password: &str, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = Url::parse(&format!("{}/api/v1/{path}", self.url)).unwrap();
        let answer = self.client.request(method, url).basic_auth(user, Some(password)).json(body).send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(&self.admin, &self.password, method.clone(), path, &body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// A plan with a token of the bot's.
    async fn told(&self, scope: &str) -> Forgejo {
        let bot = self.bot();
        let body = json!({"name": scope, "scopes": [scope]});
        let path = format!("users/{bot}/tokens");
        let (status, answer) = self.send(&bot, &format!("{bot}-secret"), Method::POST, &path, &body).await;
        assert!(status.is_success(), "{status} {answer}");
        let file = self.tokens.path().join(scope);
        std::fs::write(&file, answer["sha1"].as_str().unwrap()).unwrap();
        told::forgejo(&self.url, &format!("{}/{}", self.admin, self.name), &file)
    }

    async fn issues(&self) -> Vec<Value> {
        let path = self.path("issues?state=all&type=issues&sort=oldest");
        let mut issues = self.ask(Method::GET, &path, Value::Null).await.as_array().unwrap().clone();
        issues.sort_by_key(|issue| issue["number"].as_u64());
        issues
    }

    async fn comments(&self, number: u64) -> Vec<Value> {
        let path = self.path(&format!("issues/{number}/comments"));
        self.ask(Method::GET, &path, Value::Null).await.as_array().unwrap().clone()
    }

    async fn remove(self) {
        self.ask(Method::DELETE, &self.path(""), Value::Null).await;
        self.ask(Method::DELETE, &format!("admin/users/{}?purge=true", self.bot()), Value::Null).await;
    }
}

fn labels(issue: &Value) -> Vec<&str> {
    let mut labels: Vec<&str> =
        issue["labels"].as_array().into_iter().flatten().map(|label| label["name"].as_str().unwrap()).collect();
    labels.sort_unstable();
    labels
}

#[tokio::test]
async fn an_issue_is_opened_commented_closed_and_opened_again() {
    let place = Place::new("life", Some("write")).await;
    let forgejo = place.told("write:issue").await;
    let cases = [
        (Pass, "closed", "walproof/pass"),
        (Fail, "open", "walproof/fail"),
        (Inconclusive, "open", "walproof/inconclusive"),
        (Pass, "closed", "walproof/pass"),
    ];
    for (night, (verdict, state, label)) in (1..).zip(cases) {
        let url = deliver(&forgejo, None, &drill(night, verdict)).await.unwrap().unwrap();
        assert_eq!(deliver(&forgejo, None, &drill(night, verdict)).await.unwrap().unwrap(), url);
        let issues = place.issues().await;
        assert_eq!(issues.len(), 1);
        assert_eq!((issues[0]["state"].as_str().unwrap(), labels(&issues[0])), (state, vec!["walproof", label]));
        assert!(issues[0]["body"].as_str().unwrap().contains(&url));
        let comments = place.comments(1).await;
        assert_eq!(comments.len(), night as usize);
        assert_eq!(comments.last().unwrap()["assets"][0]["name"], format!("walproof-night-{night}.json"));
    }
    // As a reader sees it.
    let comment = place.comments(1).await[1]["body"].clone();
    let page =
        json!({"Text": comment, "Mode": "comment", "Context": format!("{}/{}/{}", place.url, place.admin, place.name)});
    let url = format!("{}/api/v1/markdown", place.url);
    let page = place.client.post(url).basic_auth(&place.admin, Some(&place.password)).json(&page);
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<strong>FAIL</strong>") && page.contains("<table>"), "{page}");
    for harm in ["<script", "<a ", "javascript:x\"", "class=\"mention"] {
        assert!(!page.contains(harm), "{harm} in {page}");
    }
    assert_eq!(page.matches("<tr>").count(), page.matches("</tr>").count());
    place.remove().await;
}

#[tokio::test]
async fn two_processes_at_once_end_with_one_issue() {
    let place = Place::new("twins", Some("write")).await;
    let forgejo = place.told("write:issue").await;
    let (first, second) = (drill(1, Fail), drill(2, Fail));
    let (one, other) = tokio::join!(deliver(&forgejo, None, &first), deliver(&forgejo, None, &second));
    assert!(one.unwrap().is_some() && other.unwrap().is_some());
    deliver(&forgejo, None, &drill(3, Fail)).await.unwrap();
    let issues = place.issues().await;
    let open = issues.iter().filter(|issue| issue["state"] == "open").count();
    assert_eq!((open, &issues[0]["state"]), (1, &json!("open")), "{issues:#?}");
    place.remove().await;
}

#[tokio::test]
async fn a_given_issue_gets_comments_and_a_deleted_one_says_so() {
    let place = Place::new("given", Some("write")).await;
    let mut forgejo = place.told("write:issue").await;
    let body = json!({"title": "ours", "body": "a person's text", "closed": true});
    place.ask(Method::POST, &place.path("issues"), body).await;
    forgejo.issue = Issue::Number(1);
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap().unwrap();
    let issue = place.issues().await.remove(0);
    assert_eq!(
        (&issue["body"], &issue["state"], labels(&issue)),
        (&json!("a person's text"), &json!("closed"), vec![])
    );
    place.ask(Method::DELETE, &place.path("issues/1"), Value::Null).await;
    let error = deliver(&forgejo, None, &drill(2, Fail)).await.unwrap_err().to_string();
    assert!(error.contains("the issue does not exist"), "{error}");
    place.remove().await;
}

#[tokio::test]
async fn a_deleted_tracking_issue_is_made_anew_and_a_renamed_label_too() {
    let place = Place::new("renamed", Some("write")).await;
    let forgejo = place.told("write:issue").await;
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap();
    let known = place.ask(Method::GET, &place.path("labels"), Value::Null).await;
    let label = known.as_array().unwrap().iter().find(|label| label["name"] == "walproof").unwrap()["id"].clone();
    place.ask(Method::PATCH, &place.path(&format!("labels/{label}")), json!({"name": "backups"})).await;
    deliver(&forgejo, None, &drill(2, Fail)).await.unwrap();
    let issues = place.issues().await;
    assert_eq!((issues.len(), labels(&issues[0])), (1, vec!["backups", "walproof", "walproof/fail"]));
    place.ask(Method::DELETE, &place.path("issues/1"), Value::Null).await;
    let url = deliver(&forgejo, None, &drill(3, Fail)).await.unwrap().unwrap();
    assert!(url.contains("/issues/2#"), "{url}");
    place.remove().await;
}

#[tokio::test]
async fn a_stranger_to_the_repository_keeps_to_one_issue_without_labels() {
    let place = Place::new("stranger", None).await;
    let forgejo = place.told("write:issue").await;
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap().unwrap();
    deliver(&forgejo, None, &drill(2, Pass)).await.unwrap().unwrap();
    let issues = place.issues().await;
    assert_eq!((issues.len(), labels(&issues[0])), (1, vec![]));
    assert_eq!((&issues[0]["state"], place.comments(1).await.len()), (&json!("closed"), 2));
    place.remove().await;
}

#[tokio::test]
async fn what_forgejo_refuses_is_said() {
    let place = Place::new("refused", Some("write")).await;
    let forgejo = place.told("read:issue").await;
    let error = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap_err().to_string();
    assert!(error.contains("needs the scope `write:issue`"), "{error}");

    let mut forgejo = place.told("write:issue").await;
    place.ask(Method::PATCH, &place.path(""), json!({"archived": true})).await;
    let error = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap_err().to_string();
    assert!(error.contains("is archived"), "{error}");

    forgejo.repository = "no-such-repository".to_owned();
    let error = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap_err().to_string();
    assert!(error.contains("does not exist"), "{error}");

    let file = place.tokens.path().join("wrong");
    std::fs::write(&file, "0123456789abcdef0123456789abcdef01234567").unwrap();
    let forgejo = told::forgejo(&place.url, &format!("{}/{}", place.admin, place.name), &file);
    let error = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap_err().to_string();
    assert!(error.contains("the token is not accepted") && !error.contains("0123456789abcdef"), "{error}");
    place.remove().await;
}

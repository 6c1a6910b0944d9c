//! A Forgejo in memory, as far as walproof talks to it: it answers as Forgejo 10 does, and fails where it is told to.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The repository's only name.
pub const REPOSITORY: &str = "ops/dr-evidence";

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not done; a proxy says so.
    Refused,
    /// It is done; a proxy says otherwise.
    AnswerLost,
    /// It is done; the connection breaks before the answer.
    Cut,
}

#[derive(Default)]
pub struct State {
    pub issues: Vec<Issue>,
    pub labels: Vec<String>,
    /// Method and path of each request, with its query.
    pub requests: Vec<String>,
    /// At which request something goes wrong.
    pub fault: Option<(usize, Fault)>,
    /// The token's user may comment, and no more.
    pub is_guest: bool,
    /// The answer to each attempt to attach something.
    pub attachments_refused: bool,
    next_id: u64,
}

#[derive(Debug, Clone)]
pub struct Issue {
    pub title: String,
    pub body: String,
    pub state: String,
    pub labels: Vec<String>,
    pub comments: Vec<Comment>,
}

#[derive(Debug, Clone)]
pub struct Comment {
    pub id: u64,
    pub body: String,
    pub assets: Vec<String>,
}

#[derive(Clone)]
pub struct Forgejo(Arc<Mutex<State>>);

impl Forgejo {
    pub async fn start() -> (Self, MockServer) {
        let forgejo = Self(Arc::new(Mutex::new(State::default())));
        let server = MockServer::start().await;
        let cutting = forgejo.clone();
        let is_cut = move |request: &Request| cutting.is_cut(request);
        let cut = |_: &Request| std::io::Error::other("the connection broke");
        Mock::given(is_cut).respond_with_err(cut).with_priority(1).mount(&server).await;
        Mock::given(any()).respond_with(forgejo.clone()).mount(&server).await;
        (forgejo, server)
    }

    /// Does what is asked where the answer will not arrive.
    fn is_cut(&self, request: &Request) -> bool {
        let mut state = self.state();
        let is_cut = state.fault_now() == Some(Fault::Cut);
        if is_cut {
            state.note(request);
            state.answer(request);
        }
        is_cut
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Respond for Forgejo {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.state();
        let fault = state.fault_now();
        state.note(request);
        let bad_gateway = ResponseTemplate::new(502).set_body_string("<html><h1>Bad Gateway</h1></html>");
        if fault == Some(Fault::Refused) {
            return bad_gateway;
        }
        let (status, body) = state.answer(request);
        match fault {
            Some(Fault::AnswerLost) => bad_gateway,
            _ if status == 204 => ResponseTemplate::new(status),
            _ => ResponseTemplate::new(status).set_body_json(body),
        }
    }
}

impl State {
    fn fault_now(&self) -> Option<Fault> {
        self.fault.filter(|(at, _)| *at == self.requests.len()).map(|(_, fault)| fault)
    }

    fn note(&mut self, request: &Request) {
        let query = request.url.query().map_or_else(String::new, |query| format!("?{query}"));
        self.requests.push(format!("{} {}{query}", request.method, request.url.path()));
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let path = request.url.path().trim_start_matches("/api/v1/").to_owned();
        let query =
            |name: &str| request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.to_string());
        let is_first_page = query("page").is_none_or(|page| page == "1");
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let path = path.strip_prefix(&format!("repos/{REPOSITORY}/")).unwrap_or(&path).to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["settings", "attachment"]) => {
                (200, json!({"enabled": true, "allowed_types": ".json", "max_size": 4}))
            }
            ("GET", ["labels" | "issues"] | ["repos", "issues", "search"]) if !is_first_page => (200, json!([])),
            ("GET", ["labels"]) => (200, self.labels.iter().map(|name| self.label(name)).collect()),
            ("POST", ["labels"] | ["issues", _, "labels"]) if self.is_guest => (403, json!({"message": ""})),
            ("POST", ["labels"]) => {
                let name = body["name"].as_str().unwrap();
                self.labels.push(name.to_owned());
                (201, self.label(name))
            }
            ("GET", ["issues"]) => {
                let wanted = query("labels").filter(|name| self.labels.contains(name));
                let has = |issue: &(usize, &Issue)| wanted.as_ref().is_none_or(|name| issue.1.labels.contains(name));
                (200, self.issues.iter().enumerate().filter(has).map(|(index, _)| self.issue(index)).collect())
            }
            ("GET", ["repos", "issues", "search"]) => {
                (200, (0..self.issues.len()).map(|index| self.issue(index)).collect())
            }
            ("POST", ["issues"]) => {
                let text = |key: &str| body[key].as_str().unwrap().to_owned();
                let labels = if self.is_guest { Vec::new() } else { self.named(&body) };
                let (title, text) = (text("title"), text("body"));
                self.issues.push(Issue { title, body: text, state: "open".to_owned(), labels, comments: Vec::new() });
                (201, self.issue(self.issues.len() - 1))
            }
            ("PATCH", ["issues", "comments", id]) => {
                body["body"].as_str().unwrap().clone_into(&mut self.comment_mut(id).body);
                (200, json!({}))
            }
            ("GET", ["issues", "comments", id, "assets"]) => {
                (200, self.comment_mut(id).assets.iter().map(|name| json!({"name": name})).collect())
            }
            ("POST", ["issues", "comments", _, "assets"]) if self.attachments_refused => {
                (422, json!({"message": "file type refused"}))
            }
            ("POST", ["issues", "comments", id, "assets"]) => {
                assert!(String::from_utf8_lossy(&request.body).contains("name=\"attachment\""));
                self.comment_mut(id).assets.push(query("name").unwrap());
                (201, json!({}))
            }
            (method, ["issues", number, rest @ ..]) => {
                let index = number.parse::<usize>().unwrap() - 1;
                if index >= self.issues.len() {
                    return (404, json!({"message": "issue does not exist", "errors": []}));
                }
                self.of_issue(method, index, rest, &body)
            }
            (method, _) => panic!("{method} {path}"),
        }
    }

    fn of_issue(&mut self, method: &str, index: usize, rest: &[&str], body: &Value) -> (u16, Value) {
        match (method, rest) {
            ("PATCH", []) => {
                let issue = &mut self.issues[index];
                for (key, field) in [("body", &mut issue.body), ("state", &mut issue.state)] {
                    if let Some(text) = body[key].as_str() {
                        text.clone_into(field);
                    }
                }
                (201, self.issue(index))
            }
            ("GET", ["comments"]) => {
                let comments = self.issues[index].comments.iter();
                (200, comments.map(|comment| Self::comment(index, comment)).collect())
            }
            ("POST", ["comments"]) => {
                self.next_id += 1;
                let text = body["body"].as_str().unwrap().to_owned();
                let comment = Comment { id: self.next_id, body: text, assets: Vec::new() };
                self.issues[index].comments.push(comment.clone());
                (201, Self::comment(index, &comment))
            }
            ("POST", ["labels"]) => {
                let added = self.named(body);
                let labels = &mut self.issues[index].labels;
                labels.extend(added.into_iter().filter(|name| !labels.contains(name)).collect::<Vec<_>>());
                (200, self.issue(index)["labels"].clone())
            }
            ("DELETE", ["labels", id]) => {
                let name = self.labels[id.parse::<usize>().unwrap() - 1].clone();
                self.issues[index].labels.retain(|label| *label != name);
                (204, Value::Null)
            }
            _ => panic!("{method} {rest:?}"),
        }
    }

    fn named(&self, body: &Value) -> Vec<String> {
        let ids = body["labels"].as_array().unwrap().iter();
        ids.map(|id| self.labels[usize::try_from(id.as_u64().unwrap()).unwrap() - 1].clone()).collect()
    }

    fn label(&self, name: &str) -> Value {
        json!({"id": self.labels.iter().position(|label| label == name).unwrap() + 1, "name": name})
    }

    fn issue(&self, index: usize) -> Value {
        let issue = &self.issues[index];
        let labels: Value = issue.labels.iter().map(|name| self.label(name)).collect();
        // Go writes an empty list so.
        let labels = if issue.labels.is_empty() { Value::Null } else { labels };
        json!({
            "number": index + 1, "title": issue.title, "body": issue.body, "state": issue.state, "labels": labels,
            "repository": {"full_name": REPOSITORY},
        })
    }

    fn comment(index: usize, comment: &Comment) -> Value {
        let assets: Vec<Value> = comment.assets.iter().map(|name| json!({"name": name})).collect();
        let url = format!("http://forgejo.example.org/{REPOSITORY}/issues/{}#issuecomment-{}", index + 1, comment.id);
        json!({"id": comment.id, "html_url": url, "body": comment.body, "assets": assets})
    }

    fn comment_mut(&mut self, id: &str) -> &mut Comment {
        let mut comments = self.issues.iter_mut().flat_map(|issue| &mut issue.comments);
        comments.find(|comment| comment.id.to_string() == id).unwrap()
    }
}

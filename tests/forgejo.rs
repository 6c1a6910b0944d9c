//! What walproof tells a Forgejo, against one in memory: nothing twice, whatever goes wrong between them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/forgejo.rs"]
mod fake;
#[path = "support/told.rs"]
mod told;

use std::time::Duration;

use fake::{Fault, Issue, REPOSITORY};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use told::drill;
use walproof::finding::{Code, Finding};
use walproof::plan::{Comment, Forgejo, Issue as Which};
use walproof::publish::forgejo::deliver;
use walproof::publish::http::SendErrorKind;
use walproof::verdict::Verdict::{Fail, Inconclusive, Pass};
use wiremock::matchers::{any, method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "token-that-nobody-may-see";

fn told_to(url: &str) -> (Forgejo, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    (told::forgejo(url, REPOSITORY, &file), directory)
}

fn sorted(labels: &[String]) -> Vec<&str> {
    let mut labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    labels.sort_unstable();
    labels
}

#[tokio::test]
async fn trouble_opens_the_issue_and_a_pass_closes_it() {
    let (fake, server) = fake::Forgejo::start().await;
    let (forgejo, _token) = told_to(&server.uri());
    let cases = [
        (Pass, "closed", "walproof/pass"),
        (Fail, "open", "walproof/fail"),
        (Inconclusive, "open", "walproof/inconclusive"),
        (Pass, "closed", "walproof/pass"),
    ];
    for (night, (verdict, state, label)) in (1..).zip(cases) {
        let report = drill(night, verdict);
        let url = deliver(&forgejo, None, &report).await.unwrap().unwrap();
        assert!(url.ends_with(&format!("/issues/1#issuecomment-{night}")), "{url}");
        // A person's label stays.
        let mut state_now = fake.state();
        if night == 1 {
            state_now.labels.push("to do".to_owned());
            state_now.issues[0].labels.push("to do".to_owned());
        }
        let issue = &state_now.issues[0];
        assert_eq!(
            (issue.state.as_str(), sorted(&issue.labels)),
            (state, vec!["to do", "walproof", label]),
            "{verdict:?}"
        );
        assert_eq!(issue.comments.last().unwrap().assets, [format!("walproof-night-{night}.json")]);
        assert_eq!((state_now.issues.len(), issue.comments.len()), (1, night as usize));
    }
}

#[tokio::test]
async fn a_run_that_was_taken_for_killed_and_ends_after_all_has_a_comment_of_its_own() {
    let (fake, server) = fake::Forgejo::start().await;
    let (forgejo, _token) = told_to(&server.uri());
    let mut killed = drill(1, Inconclusive);
    killed.findings = vec![Finding::not_checked(Code::RunKilled, "the drill was killed")];
    let first = deliver(&forgejo, None, &killed).await.unwrap();
    assert_eq!(deliver(&forgejo, None, &killed).await.unwrap(), first, "told once");
    let ended = drill(1, Fail);
    let second = deliver(&forgejo, None, &ended).await.unwrap();
    assert_ne!(second, first);
    assert_eq!(deliver(&forgejo, None, &killed).await.unwrap(), first, "and not again behind it");
    assert_eq!(fake.state().issues[0].comments.len(), 2);
}

#[tokio::test]
async fn a_run_that_is_delivered_again_changes_nothing() {
    let (fake, server) = fake::Forgejo::start().await;
    let (forgejo, _token) = told_to(&server.uri());
    let first = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap();
    let before = fake.state().requests.len();
    assert_eq!(deliver(&forgejo, None, &drill(1, Fail)).await.unwrap(), first);
    let state = fake.state();
    assert_eq!(state.issues[0].comments.len(), 1);
    assert!(
        state.requests[before..].iter().all(|request| !request.starts_with("POST")),
        "{:#?}",
        &state.requests[before..]
    );
}

/// Every request of a delivery in turn, refused or with its answer lost; then the same run is delivered once more.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_request_fails_there_is_one_issue_with_one_comment() {
    let (fake, server) = fake::Forgejo::start().await;
    let (forgejo, _token) = told_to(&server.uri());
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap();
    let happy = fake.state().requests.len();
    assert!(happy > 10, "{happy}");

    let mut deliveries = JoinSet::new();
    for at in 0..happy {
        for fault in [Fault::Refused, Fault::AnswerLost, Fault::Cut] {
            deliveries.spawn(async move {
                let (fake, server) = fake::Forgejo::start().await;
                let (forgejo, _token) = told_to(&server.uri());
                fake.state().fault = Some((at, fault));
                let first = deliver(&forgejo, None, &drill(1, Fail)).await;
                assert!(first.as_ref().is_ok_and(Option::is_some), "{fault:?} of request {at}: {first:?}");
                let second = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap();
                assert_eq!(second, first.unwrap());
                let state = fake.state();
                let place = format!("{fault:?} of {}", state.requests[at]);
                assert_eq!(state.issues.len(), 1, "{place}");
                assert_eq!(state.issues[0].comments.len(), 1, "{place}");
                assert_eq!(state.issues[0].state, "open", "{place}");
                assert!(state.issues[0].body.contains("**FAIL**"), "{place}");
                let comment = &state.issues[0].comments[0];
                let is_whole = comment.assets.len() == 1 || comment.body.contains("<details>");
                assert!(is_whole && comment.assets.len() < 2, "{place}");
            });
        }
    }
    deliveries.join_all().await;
}

#[tokio::test]
async fn of_an_issue_that_is_not_ours_only_comments_are_read_or_written() {
    let (fake, server) = fake::Forgejo::start().await;
    let (mut forgejo, _token) = told_to(&server.uri());
    let theirs = Issue {
        title: "ours".to_owned(),
        body: "a person's text".to_owned(),
        state: "closed".to_owned(),
        labels: Vec::new(),
        comments: Vec::new(),
    };
    fake.state().issues.push(theirs);
    forgejo.issue = Which::Number(1);
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap().unwrap();
    let state = fake.state();
    let issue = &state.issues[0];
    assert_eq!((issue.body.as_str(), issue.state.as_str(), issue.comments.len()), ("a person's text", "closed", 1));
    let is_about_comments =
        |request: &String| request.contains("/comments") || request.ends_with("/settings/attachment");
    assert!(state.requests.iter().all(is_about_comments), "{:#?}", state.requests);
}

#[tokio::test]
async fn nothing_is_sent_to_a_numbered_issue_when_no_comment_is_due() {
    let (fake, server) = fake::Forgejo::start().await;
    let (mut forgejo, _token) = told_to(&server.uri());
    (forgejo.issue, forgejo.comment) = (Which::Number(1), Comment::Changes);
    let mut report = drill(1, Pass);
    report.command = walproof::verdict::Subject::Check;
    assert_eq!(deliver(&forgejo, None, &report).await.unwrap(), None);
    assert_eq!(fake.state().requests.len(), 0);
}

#[tokio::test]
async fn a_user_without_the_right_to_label_finds_its_issue_again() {
    let (fake, server) = fake::Forgejo::start().await;
    let (forgejo, _token) = told_to(&server.uri());
    fake.state().is_guest = true;
    for night in 1..=3 {
        deliver(&forgejo, None, &drill(night, Fail)).await.unwrap().unwrap();
    }
    let state = fake.state();
    assert_eq!((state.issues.len(), state.issues[0].comments.len()), (1, 3));
}

#[tokio::test]
async fn a_renamed_label_is_made_again_and_a_new_issue_is_not() {
    let (fake, server) = fake::Forgejo::start().await;
    let (forgejo, _token) = told_to(&server.uri());
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap();
    let rename = |name: &mut String| {
        if name == "walproof" {
            "backups".clone_into(name);
        }
    };
    fake.state().labels.iter_mut().for_each(rename);
    fake.state().issues[0].labels.iter_mut().for_each(rename);
    deliver(&forgejo, None, &drill(2, Fail)).await.unwrap();
    let state = fake.state();
    assert_eq!(state.issues.len(), 1);
    assert_eq!(sorted(&state.issues[0].labels), ["backups", "walproof", "walproof/fail"]);
}

#[tokio::test]
async fn of_two_tracking_issues_the_first_one_stays() {
    let (fake, server) = fake::Forgejo::start().await;
    let (forgejo, _token) = told_to(&server.uri());
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap();
    let first = fake.state().issues[0].clone();
    let twin = Issue { comments: Vec::new(), ..first };
    fake.state().issues.push(twin);
    deliver(&forgejo, None, &drill(2, Fail)).await.unwrap();
    let state = fake.state();
    assert_eq!((state.issues[0].comments.len(), state.issues[0].state.as_str()), (2, "open"));
    assert_eq!(
        (state.issues[1].body.as_str(), state.issues[1].state.as_str()),
        ("A duplicate of #1, opened by two runs at once.", "closed")
    );
}

#[tokio::test]
async fn a_refused_attachment_stands_in_the_comment() {
    let (fake, server) = fake::Forgejo::start().await;
    let (forgejo, _token) = told_to(&server.uri());
    fake.state().attachments_refused = true;
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap().unwrap();
    let state = fake.state();
    let comment = &state.issues[0].comments[0].body;
    assert!(comment.contains("<details>") && !comment.contains("attached as"), "{comment}");
}

#[tokio::test]
async fn a_server_that_asks_to_come_again_is_asked_again() {
    let (fake, server) = fake::Forgejo::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "0");
    Mock::given(method("POST")).respond_with(busy).up_to_n_times(2).with_priority(1).mount(&server).await;
    let (forgejo, _token) = told_to(&server.uri());
    deliver(&forgejo, None, &drill(1, Fail)).await.unwrap().unwrap();
    assert_eq!(fake.state().issues[0].comments.len(), 1);
}

#[tokio::test]
async fn each_refusal_says_what_it_means() {
    let cases = [
        (302, "the token must not go"),
        (401, "the token is not accepted"),
        (403, "needs the scope `write:issue`"),
        (404, "ops/dr-evidence or the issue does not exist"),
        (410, "the issue was deleted"),
        (413, "it is too large"),
        (422, "does not take this content"),
        (423, "ops/dr-evidence is archived"),
    ];
    for (status, expected) in cases {
        let server = MockServer::start().await;
        let page = ResponseTemplate::new(status).set_body_string("<!DOCTYPE html><h1>no</h1>");
        Mock::given(method("POST")).and(path_regex("/comments$")).respond_with(page).mount(&server).await;
        let none = ResponseTemplate::new(200).set_body_json(serde_json::json!([]));
        Mock::given(path_regex("/comments$")).respond_with(none).mount(&server).await;
        let (mut forgejo, _token) = told_to(&server.uri());
        forgejo.issue = Which::Number(7);
        let error = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status), "{text}");
        assert!(text.starts_with("comment on the issue ops/dr-evidence#7: "), "{text}");
        assert!(text.contains(expected) && !text.contains('<') && !text.contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn a_log_in_page_is_no_answer() {
    let server = MockServer::start().await;
    let page = ResponseTemplate::new(200).set_body_string("<!DOCTYPE html><h1>Log in</h1>");
    Mock::given(any()).respond_with(page).mount(&server).await;
    let (forgejo, _token) = told_to(&server.uri());
    let error = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unexpected);
    assert!(error.to_string().contains("a log-in page") && !error.to_string().contains("<h1>"), "{error}");
}

#[tokio::test]
async fn the_token_does_not_follow_to_another_host() {
    let (server, elsewhere) = (MockServer::start().await, MockServer::start().await);
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&elsewhere).await;
    for status in [301, 302, 307, 308] {
        server.reset().await;
        let redirect = ResponseTemplate::new(status).insert_header("location", format!("{}/here", elsewhere.uri()));
        Mock::given(any()).respond_with(redirect).mount(&server).await;
        let (forgejo, _token) = told_to(&server.uri());
        deliver(&forgejo, None, &drill(1, Fail)).await.unwrap_err();
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_endless_answer_comes_to_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut forgejo, _token) = told_to(&format!("http://{}", listener.local_addr().unwrap()));
    forgejo.issue = Which::Number(7);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
                while connection.write_all(&chunk).await.is_ok() {}
            });
        }
    });
    let error = deliver(&forgejo, None, &drill(1, Fail)).await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

/// On a clock that jumps over every wait: without a limit there would be nothing to jump to.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut forgejo, _token) = told_to(&format!("http://{}", listener.local_addr().unwrap()));
    forgejo.issue = Which::Number(7);
    let given_up = tokio::time::timeout(Duration::from_mins(10), deliver(&forgejo, None, &drill(1, Fail))).await;
    let error = given_up.unwrap().unwrap_err();
    assert!(matches!(error.kind, SendErrorKind::Lost | SendErrorKind::Unreachable), "{error}");
}

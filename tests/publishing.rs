//! Telling people, as a user sees it: the binary, an archive in S3, and services that answer or do not.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use support::prepared::SERVER;
use support::s3::SECRET_KEY;
use support::{ArchiveCopy, Outcome, Prepared, S3, Walproof};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wiremock::matchers::{any, method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "forgejo-token-of-this-test";
const PASSWORD: &str = "pushgateway-password-of-this-test";
const WEBHOOK_SECRET: &str = "webhook-path-of-this-test";

/// Everybody who can be told, an archive, and a history.
struct Site {
    runtime: Runtime,
    pushgateway: MockServer,
    webhook: MockServer,
    forgejo: MockServer,
    directory: TempDir,
    _archive: ArchiveCopy,
    s3: S3,
}

impl Site {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (pushgateway, webhook, forgejo) = runtime
            .block_on(async { (MockServer::start().await, MockServer::start().await, MockServer::start().await) });
        let archive = ArchiveCopy::copy_of(Prepared::get());
        let s3 = archive.serve();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("token"), TOKEN).unwrap();
        fs::write(directory.path().join("password"), PASSWORD).unwrap();
        fs::write(directory.path().join("url"), format!("{}/{WEBHOOK_SECRET}", webhook.uri())).unwrap();
        let site = Self { runtime, pushgateway, webhook, forgejo, directory, _archive: archive, s3 };
        site.answer(&site.pushgateway, 200);
        site
    }

    fn file(&self, name: &str) -> Value {
        json!(self.directory.path().join(name))
    }

    /// A service answers everything with this status.
    fn answer(&self, service: &MockServer, status: u16) {
        self.runtime.block_on(async {
            service.reset().await;
            Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(service).await;
        });
    }

    /// What a service was sent: method, path, body.
    fn sent(&self, service: &MockServer) -> Vec<(String, String, String)> {
        let requests = self.runtime.block_on(service.received_requests()).unwrap();
        let text = |request: wiremock::Request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            (request.method.to_string(), request.url.path().to_owned(), body)
        };
        requests.into_iter().map(text).collect()
    }

    /// A check of the archive that tells the Pushgateway and the webhook.
    fn walproof(&self) -> Walproof {
        Walproof::new(&self.s3, SERVER)
            // The prepared archive is as old as its preparation.
            .set("/sources/0/freshness", json!({"maxWalAge": "52w", "maxBackupAge": "52w"}))
            .set("/history", json!({"directory": self.directory.path().join("history")}))
            .set(
                "/publish",
                json!({
                    "pushgateway": {
                        "url": self.pushgateway.uri(),
                        "authorization": {"basic": {"user": "walproof", "passwordFile": self.file("password")}},
                    },
                    "webhook": {"urlFile": self.file("url")},
                }),
            )
    }

    fn with_forgejo(&self) -> Walproof {
        self.walproof().set(
            "/publish/forgejo",
            json!({"url": self.forgejo.uri(), "repository": "ops/evidence", "tokenFile": self.file("token")}),
        )
    }
}

fn check(walproof: &Walproof) -> Outcome {
    let outcome = walproof.run(&["check", "--output", "json"]);
    assert_eq!(outcome.exit_code, 0, "{outcome}");
    outcome
}

fn run_id(outcome: &Outcome) -> String {
    outcome.report()["run_id"].as_str().unwrap().to_owned()
}

fn run_ids(posts: &[(String, String, String)]) -> Vec<String> {
    let of = |body: &str| serde_json::from_str::<Value>(body).unwrap()["run_id"].as_str().unwrap().to_owned();
    posts.iter().map(|(_, _, body)| of(body)).collect()
}

#[test]
fn what_could_not_be_told_is_told_by_the_next_run_the_oldest_first() {
    let site = Site::new();
    site.answer(&site.webhook, 403);
    let (first, second) = (check(&site.walproof()), check(&site.walproof()));
    assert!(first.stderr.contains("is not told"), "{first}");
    let metrics = site.sent(&site.pushgateway).pop().unwrap().2;
    assert!(
        metrics.lines().any(|line| line.starts_with("walproof_undelivered_reports{") && line.ends_with(" 2")),
        "{metrics}"
    );

    site.answer(&site.webhook, 200);
    let third = check(&site.walproof());
    assert!(!third.stderr.contains("is not told"), "{third}");
    let expected = [&first, &second, &third].map(run_id);
    assert_eq!(run_ids(&site.sent(&site.webhook)), expected);
    let metrics = site.sent(&site.pushgateway).pop().unwrap().2;
    assert!(
        metrics.lines().any(|line| line.starts_with("walproof_undelivered_reports{") && line.ends_with(" 0")),
        "{metrics}"
    );
}

#[test]
fn without_a_history_a_run_is_told_once_and_a_failure_is_said_to_be_lost() {
    let site = Site::new();
    let walproof = || site.walproof().set("/history", Value::Null);
    site.answer(&site.webhook, 403);
    let first = check(&walproof());
    assert!(first.stderr.contains("without a history it is lost"), "{first}");
    site.answer(&site.webhook, 200);
    let second = check(&walproof());
    assert_eq!(run_ids(&site.sent(&site.webhook)), [run_id(&second)]);
}

#[test]
fn a_run_shows_in_the_metrics_when_it_begins_and_the_last_success_outlives_a_failure() {
    let site = Site::new();
    site.answer(&site.webhook, 200);
    check(&site.walproof());
    let pushed = site.sent(&site.pushgateway);
    let of_a_group = |(_, path, _): &(String, String, String)| path.starts_with("/metrics/job/walproof/");
    assert!(pushed.len() >= 2 && pushed.iter().all(of_a_group), "{pushed:#?}");
    assert_eq!(pushed[0].0, "POST", "a success that only the Pushgateway knows stays there");
    assert_eq!(pushed.last().unwrap().0, "PUT", "the last success is known");
    assert!(pushed[0].2.contains("walproof_last_run_started_timestamp_seconds{"), "{}", pushed[0].2);
    assert!(!pushed[0].2.contains("walproof_last_success_timestamp_seconds{"), "{}", pushed[0].2);
    let success = line(&pushed.last().unwrap().2, "walproof_last_success_timestamp_seconds");

    let failed =
        site.walproof().set("/sources/0/freshness/maxBackupAge", json!("1s")).set("/require", json!(["freshness"]));
    let failed = failed.run(&["check", "--output", "json"]);
    assert_ne!(failed.exit_code, 0, "{failed}");
    let pushed = site.sent(&site.pushgateway).pop().unwrap().2;
    assert_eq!(line(&pushed, "walproof_last_success_timestamp_seconds"), success);
    assert!(line(&pushed, "walproof_verdict").ends_with(" 0") || pushed.contains("verdict=\"PASS\"} 0"), "{pushed}");
}

#[test]
fn a_file_of_metrics_keeps_the_last_success_that_only_it_knows() {
    let site = Site::new();
    site.answer(&site.webhook, 200);
    let file = site.directory.path().join("walproof.prom");
    let check = |walproof: Walproof| walproof.run(&["check", "--metrics-file", file.to_str().unwrap()]);
    assert_eq!(check(site.walproof()).exit_code, 0);
    let success = line(&fs::read_to_string(&file).unwrap(), "walproof_last_success_timestamp_seconds");

    let stale = site.walproof().set("/history", Value::Null).set("/sources/0/freshness/maxBackupAge", json!("1s"));
    assert_ne!(check(stale.set("/require", json!(["freshness"]))).exit_code, 0);

    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(line(&text, "walproof_last_success_timestamp_seconds"), success);
    assert!(text.contains("verdict=\"PASS\"} 0"), "{text}");
}

#[test]
fn a_service_that_is_no_longer_configured_is_owed_nothing() {
    let site = Site::new();
    site.answer(&site.webhook, 403);
    check(&site.walproof());
    check(&site.walproof().set("/publish/webhook", Value::Null));
    let metrics = site.sent(&site.pushgateway).pop().unwrap().2;
    assert!(line(&metrics, "walproof_undelivered_reports").ends_with(" 0"), "{metrics}");
}

#[test]
fn a_service_that_is_down_or_not_configured_right_changes_no_exit_code() {
    let site = Site::new();
    fs::remove_file(site.directory.path().join("password")).unwrap();
    fs::remove_file(site.directory.path().join("url")).unwrap();
    let outcome = check(&site.walproof());
    assert!(outcome.stderr.contains("password cannot be read"), "{outcome}");
    assert!(outcome.stderr.contains("url cannot be read"), "{outcome}");
}

#[test]
fn the_history_says_when_it_last_worked_and_the_newest_report_becomes_a_page() {
    let site = Site::new();
    site.answer(&site.webhook, 200);
    let gate = site.walproof().run(&["gate", "--max-age", "26h"]);
    assert_eq!(gate.exit_code, 1, "nothing has run yet: {gate}");
    let checked = check(&site.walproof());
    let gate = site.walproof().run(&["gate", "--max-age", "26h"]);
    assert_eq!(gate.exit_code, 1, "a check is no drill: {gate}");

    let (page, note) = (site.directory.path().join("page.html"), site.directory.path().join("note.md"));
    let files =
        ["report", "--command", "check", "--html", page.to_str().unwrap(), "--markdown", note.to_str().unwrap()];
    let report = site.walproof().run(&files);
    assert_eq!(report.exit_code, 0, "{report}");
    assert!(report.stdout.contains("PASS"), "{report}");
    for file in [page, note] {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(&run_id(&checked)), "{}", file.display());
    }
    let missing = site.walproof().run(&["report", "--html", "/nowhere/page.html"]);
    assert_eq!(missing.exit_code, 1, "no drill has run: {missing}");
    assert!(missing.stderr.contains("no finished drill"), "{missing}");
}

#[test]
fn forget_removes_what_the_pushgateway_has_of_a_source() {
    let site = Site::new();
    let forgotten = site.walproof().run(&["forget"]);
    assert_eq!(forgotten.exit_code, 0, "{forgotten}");
    let sent = site.sent(&site.pushgateway);
    let deleted = |command: &str| {
        sent.iter().any(|(method, path, _)| method == "DELETE" && path.contains(&format!("/command/{command}/")))
    };
    assert!(sent.len() == 2 && deleted("drill") && deleted("check"), "{sent:?}");
}

#[test]
fn metrics_are_written_to_a_file_that_the_collector_reads() {
    let site = Site::new();
    site.answer(&site.webhook, 200);
    let file = site.directory.path().join("walproof.prom");
    let outcome = site.walproof().run(&["check", "--metrics-file", file.to_str().unwrap()]);
    assert_eq!(outcome.exit_code, 0, "{outcome}");
    assert!(fs::read_to_string(&file).unwrap().contains("walproof_last_success_timestamp_seconds{"));
    let refused = site.walproof().run(&["check", "--metrics-file", "/tmp/walproof.txt"]);
    assert_eq!(refused.exit_code, 64, "{refused}");
}

#[test]
fn no_secret_is_in_anything_that_a_run_says_or_keeps() {
    let site = Site::new();
    // One that quotes the address it was asked for.
    site.runtime.block_on(async {
        let quoting =
            ResponseTemplate::new(404).set_body_string(format!("{{\"message\":\"no route POST:/{WEBHOOK_SECRET}\"}}"));
        Mock::given(any()).respond_with(quoting).mount(&site.webhook).await;
    });
    // A forge that refuses, so that its errors are looked at too.
    site.runtime.block_on(async {
        let refusal = ResponseTemplate::new(403).set_body_string("{\"message\":\"token does not have the scope\"}");
        Mock::given(method("GET")).and(path_regex("/api/v1/.*")).respond_with(refusal).mount(&site.forgejo).await;
    });
    let walproof = site.with_forgejo().environment("RUST_LOG", "trace");
    let file = site.directory.path().join("walproof.prom");
    // A first check is told to a forge only when it is no PASS.
    let stale = walproof.set("/sources/0/freshness/maxBackupAge", json!("1s")).set("/require", json!(["freshness"]));
    let outcome = stale.run(&["check", "--output", "json", "--metrics-file", file.to_str().unwrap()]);
    assert!(outcome.stderr.contains("scope"), "the forge was asked: {outcome}");

    let mut said = vec![outcome.stdout, outcome.stderr, fs::read_to_string(&file).unwrap()];
    for service in [&site.pushgateway, &site.webhook, &site.forgejo] {
        said.extend(site.sent(service).into_iter().map(|(_, _, body)| body));
    }
    said.extend(kept(&site.directory.path().join("history")));
    assert!(said.len() > 5, "{} texts were looked at", said.len());
    for text in &said {
        for secret in [TOKEN, PASSWORD, WEBHOOK_SECRET, SECRET_KEY] {
            assert!(!text.contains(secret), "{secret} is in\n{text}");
        }
    }
}

/// The documents of a history's directory, decompressed.
fn kept(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let documents: Vec<String> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "gz"))
        .map(|file| {
            let mut text = String::new();
            flate2::read::GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
            text
        })
        .collect();
    assert!(!documents.is_empty(), "{} holds a history", directory.display());
    documents
}

#[track_caller]
fn line(metrics: &str, name: &str) -> String {
    let found = metrics.lines().find(|line| line.starts_with(&format!("{name}{{")));
    found.unwrap_or_else(|| panic!("no {name}\n{metrics}")).to_owned()
}

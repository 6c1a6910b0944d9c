//! Metrics in a real Pushgateway, and the answers that a real one does not give on demand.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::net::TcpListener;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};
use walproof::history::Count;
use walproof::plan::{Address, Authorization, Endpoint, Objectives, SecretPlace};
use walproof::publish::http::{SendErrorKind, Service};
use walproof::publish::metrics::{self, Series};
use walproof::publish::pushgateway::{self, Group};
use walproof::report::Report;
use walproof::verdict::Subject;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use support::pushgateway::{Pushgateway, promtool_check_metrics};

const OBJECTIVES: Objectives = Objectives {
    recovery_time: Some(Duration::from_mins(30)),
    recovery_point: Some(Duration::from_mins(15)),
    recovery_window: None,
};
const DRILL: Group<'_> = Group { command: Subject::Drill, namespace: Some("postgres"), source: "pal-e-postgres" };
/// When the run of [`passed`] ended.
const SUCCESS: &str = "2026-11-21T12:46:12.5Z";

fn json_of_passed() -> Value {
    serde_json::from_str(include_str!("fixtures/report-v1.json")).unwrap()
}

fn report(json: Value) -> Report {
    serde_json::from_value(json).unwrap()
}

fn passed() -> Report {
    report(json_of_passed())
}

fn failed() -> Report {
    let mut json = json_of_passed();
    json["verdict"] = json!("FAIL");
    json["started_at"] = json!("2026-11-22T12:45:00Z");
    json["finished_at"] = json!("2026-11-22T12:45:10Z");
    json["findings"] = json!([{
        "code": "backup.none", "outcome": "failed", "blame": "backups", "summary": "there is no completed base backup"
    }]);
    json.as_object_mut().unwrap().remove("restore");
    report(json)
}

fn check() -> Report {
    let mut json = json_of_passed();
    json["command"] = json!("check");
    json.as_object_mut().unwrap().remove("restore");
    report(json)
}

/// The text of a run whose history knows the last success, or of one without a history.
fn text(group: &Group<'_>, report: Option<&Report>, last_success_at: Option<&str>) -> String {
    let last_success_at: Option<Timestamp> = last_success_at.map(|at| at.parse().unwrap());
    metrics::text(&Series {
        source: group.source,
        namespace: group.namespace,
        command: group.command,
        report,
        last_started_at: "2026-11-22T12:45:00Z".parse().unwrap(),
        last_success_at,
        count: last_success_at.map(|_| Count { runs: 7, passed: 5 }),
        undelivered: Some(0),
        objectives: &OBJECTIVES,
    })
}

fn service(url: &str) -> Service {
    let address = Address::Known(url.parse().unwrap());
    Service::new(&Endpoint { address, authorization: None, authority: None }).unwrap()
}

/// The value of the only series of a name whose labels hold all of `labels`.
#[track_caller]
fn value(samples: &[String], name: &str, labels: &[&str]) -> Option<f64> {
    let found: Vec<&String> = samples
        .iter()
        .filter(|line| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label)))
        .collect();
    assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
    found.first().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

#[track_caller]
fn last_success(samples: &[String]) -> Option<f64> {
    value(samples, "walproof_last_success_timestamp_seconds", &[])
}

#[tokio::test]
async fn a_push_replaces_all_that_the_gateway_has_of_the_group() {
    let gateway = Pushgateway::start();
    let service = service(&gateway.url());
    pushgateway::replace(&service, &DRILL, &text(&DRILL, Some(&passed()), Some(SUCCESS))).await.unwrap();
    let samples = gateway.samples();
    assert_eq!(value(&samples, "walproof_verdict", &["verdict=\"PASS\""]), Some(1.0));
    assert_eq!(value(&samples, "walproof_recovery_time_seconds", &[]), Some(42.0));
    for label in ["command=\"drill\"", "cluster_namespace=\"postgres\"", "cluster_name=\"pal-e-postgres\""] {
        let own = samples.iter().filter(|line| line.starts_with("walproof_"));
        own.for_each(|line| assert!(line.contains(label), "{label} is not in {line}"));
    }

    pushgateway::replace(&service, &DRILL, &text(&DRILL, Some(&failed()), Some(SUCCESS))).await.unwrap();
    let samples = gateway.samples();
    assert_eq!(value(&samples, "walproof_verdict", &["verdict=\"PASS\""]), Some(0.0));
    assert_eq!(value(&samples, "walproof_verdict", &["verdict=\"FAIL\""]), Some(1.0));
    assert_eq!(value(&samples, "walproof_recovery_time_seconds", &[]), None, "the failed run restored nothing");
}

#[tokio::test]
async fn a_failed_run_keeps_the_last_success() {
    let gateway = Pushgateway::start();
    let service = service(&gateway.url());
    let success = 1_795_265_172.5;
    pushgateway::replace(&service, &DRILL, &text(&DRILL, Some(&passed()), Some(SUCCESS))).await.unwrap();
    assert_eq!(last_success(&gateway.samples()), Some(success));

    // From the history; and at the start of a run, when there is no report yet.
    pushgateway::replace(&service, &DRILL, &text(&DRILL, Some(&failed()), Some(SUCCESS))).await.unwrap();
    assert_eq!(last_success(&gateway.samples()), Some(success));
    pushgateway::replace(&service, &DRILL, &text(&DRILL, None, Some(SUCCESS))).await.unwrap();
    assert_eq!(last_success(&gateway.samples()), Some(success));

    // Without a history only the gateway remembers it.
    pushgateway::update(&service, &DRILL, &text(&DRILL, Some(&failed()), None)).await.unwrap();
    let samples = gateway.samples();
    assert_eq!(last_success(&samples), Some(success));
    assert_eq!(value(&samples, "walproof_verdict", &["verdict=\"FAIL\""]), Some(1.0));
}

#[tokio::test]
async fn a_gateway_that_lost_everything_has_it_again_after_the_next_push() {
    let gateway = Pushgateway::start();
    let pushed = text(&DRILL, Some(&passed()), Some(SUCCESS));
    pushgateway::replace(&service(&gateway.url()), &DRILL, &pushed).await.unwrap();
    assert_ne!(gateway.samples(), [""; 0]);
    drop(gateway);
    let gateway = Pushgateway::start();
    assert_eq!(gateway.samples(), [""; 0]);

    let pushed = text(&DRILL, Some(&failed()), Some(SUCCESS));
    pushgateway::replace(&service(&gateway.url()), &DRILL, &pushed).await.unwrap();
    let samples = gateway.samples();
    assert_eq!(last_success(&samples), Some(1_795_265_172.5));
    let own = samples.iter().filter(|line| line.starts_with("walproof_")).count();
    assert_eq!(own, pushed.lines().filter(|line| !line.starts_with('#')).count());
}

#[tokio::test]
async fn drills_and_checks_and_other_sources_do_not_touch_each_other() {
    let gateway = Pushgateway::start();
    let service = service(&gateway.url());
    let check_group = Group { command: Subject::Check, ..DRILL };
    let elsewhere = Group { namespace: Some("staging"), ..DRILL };
    pushgateway::replace(&service, &DRILL, &text(&DRILL, Some(&passed()), Some(SUCCESS))).await.unwrap();
    pushgateway::replace(&service, &check_group, &text(&check_group, Some(&check()), None)).await.unwrap();
    pushgateway::replace(&service, &elsewhere, &text(&elsewhere, Some(&failed()), None)).await.unwrap();
    let passes = |samples: &[String]| {
        let group = |command: &str, namespace: &str| {
            let labels = ["verdict=\"PASS\"", &format!("command=\"{command}\""), &format!("namespace=\"{namespace}\"")];
            value(samples, "walproof_verdict", &labels)
        };
        [group("drill", "postgres"), group("check", "postgres"), group("drill", "staging")]
    };
    assert_eq!(passes(&gateway.samples()), [Some(1.0), Some(1.0), Some(0.0)]);

    pushgateway::delete(&service, &DRILL).await.unwrap();
    gateway.await_samples(|samples| passes(samples) == [None, Some(1.0), Some(0.0)]);
    // What is gone already is removed once more.
    pushgateway::delete(&service, &DRILL).await.unwrap();
    pushgateway::delete(&service, &check_group).await.unwrap();
    pushgateway::delete(&service, &elsewhere).await.unwrap();
    gateway.await_samples(<[String]>::is_empty);
}

#[tokio::test]
async fn any_name_of_a_source_is_a_group_of_its_own() {
    let gateway = Pushgateway::start();
    // With a slash at its end, as people write it.
    let service = service(&format!("{}/", gateway.url()));
    let names = ["a/b", "a%2Fb", "a b", ".", "..", "ü?>", "a+b", "a\\\"b\nc", "plain.name_1-x"];
    for namespace in [None, Some("team/one")] {
        for source in names {
            let group = Group { command: Subject::Drill, namespace, source };
            pushgateway::replace(&service, &group, &text(&group, None, None)).await.unwrap();
        }
    }
    let samples = gateway.samples();
    let has = |namespace: &str, source: &str| {
        let source = source.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels = [format!("cluster_name=\"{source}\""), format!("cluster_namespace=\"{namespace}\"")];
        value(&samples, "walproof_last_run_started_timestamp_seconds", &[&labels[0], &labels[1]]).is_some()
    };
    for source in names {
        assert!(has("", source), "{source:?} without a namespace: {samples:#?}");
        assert!(has("team/one", source), "{source:?} in team/one: {samples:#?}");
    }
    for namespace in [None, Some("team/one")] {
        for source in names {
            pushgateway::delete(&service, &Group { command: Subject::Drill, namespace, source }).await.unwrap();
        }
    }
    gateway.await_samples(<[String]>::is_empty);
}

#[tokio::test]
async fn what_the_gateway_refuses_is_said_in_its_words() {
    let gateway = Pushgateway::start();
    let error = pushgateway::replace(&service(&gateway.url()), &DRILL, "no metrics at all\n").await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Refused(StatusCode::BAD_REQUEST));
    let text = error.to_string();
    assert!(text.starts_with("push the metrics of pal-e-postgres to the Pushgateway: 127.0.0.1:"), "{text}");
    assert!(text.contains("answered 400 Bad Request: text format parsing error"), "{text}");
}

#[test]
fn promtool_finds_no_fault_with_the_metrics_of_any_run() {
    let check_group = Group { command: Subject::Check, ..DRILL };
    let odd = Group { namespace: None, source: "a/\"b\"\\", ..DRILL };
    let texts = [
        ("a PASS", text(&DRILL, Some(&passed()), Some(SUCCESS))),
        ("a FAIL", text(&DRILL, Some(&failed()), Some(SUCCESS))),
        ("a check", text(&check_group, Some(&check()), None)),
        ("a beginning", text(&DRILL, None, None)),
        ("odd names", text(&odd, Some(&passed()), None)),
    ];
    for (what, text) in texts {
        let finished = promtool_check_metrics(&text);
        assert_eq!((finished.exit_code, finished.stdout + &finished.stderr), (0, String::new()), "{what}:\n{text}");
    }
    let faulty = promtool_check_metrics("walproof_runs 1\n");
    assert_ne!((faulty.exit_code, faulty.stderr.as_str()), (0, ""), "promtool would not have seen a fault");
}

const PATH: &str = "/behind/metrics/job/walproof/command/drill/cluster_namespace/postgres/cluster_name/pal-e-postgres";

/// Answers PUT at the group's path below `/behind`: first with `refusal`, and then with 200.
async fn refusing_once(refusal: ResponseTemplate, pushed: &str) -> MockServer {
    let server = MockServer::start().await;
    let put = || Mock::given(method("PUT")).and(path(PATH)).and(body_string(pushed));
    put().respond_with(refusal).up_to_n_times(1).expect(1).mount(&server).await;
    put()
        .and(header("content-type", "text/plain; version=0.0.4"))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_push_comes_again_after_an_answer_that_may_pass() {
    let pushed = text(&DRILL, None, None);
    for refusal in [ResponseTemplate::new(429).insert_header("Retry-After", "0"), ResponseTemplate::new(502)] {
        let server = refusing_once(refusal, &pushed).await;
        let service = service(&format!("{}/behind/", server.uri()));
        pushgateway::replace(&service, &DRILL, &pushed).await.unwrap();
        server.verify().await;
    }
}

#[tokio::test]
async fn a_refused_token_is_not_tried_again_and_not_shown() {
    let secret = "hidden-from-every-text";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, secret).unwrap();
    let server = MockServer::start().await;
    let refused = ResponseTemplate::new(401).set_body_string("<html>who are you?</html>");
    let bearer = header("authorization", format!("Bearer {secret}").as_str());
    Mock::given(method("POST")).and(bearer).respond_with(refused).expect(1).mount(&server).await;

    let address = Address::Known(server.uri().parse().unwrap());
    let authorization = Some(Authorization::Bearer(SecretPlace::File(file)));
    let service = Service::new(&Endpoint { address, authorization, authority: None }).unwrap();
    let error = pushgateway::update(&service, &DRILL, &text(&DRILL, None, None)).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(error.to_string().ends_with("answered 401 Unauthorized"), "{error}");
    assert!(!format!("{error:?}").contains(secret));
    server.verify().await;
}

#[tokio::test]
async fn a_gateway_that_is_down_was_not_reached() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = service(&format!("http://{address}"));
    let (replaced, deleted) = tokio::join!(
        async { pushgateway::replace(&service, &DRILL, &text(&DRILL, None, None)).await.unwrap_err() },
        async { pushgateway::delete(&service, &DRILL).await.unwrap_err() },
    );
    assert_eq!([replaced.kind, deleted.kind], [SendErrorKind::Unreachable; 2]);
    assert!(
        deleted.to_string().starts_with("remove the metrics of pal-e-postgres from the Pushgateway: "),
        "{deleted}"
    );
}

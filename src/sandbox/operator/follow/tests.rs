#![allow(clippy::needless_pass_by_value, reason = "a literal reads best where it is made")]
use futures_util::AsyncReadExt;
use futures_util::io::{BufReader, Cursor};
use serde_json::{Value, json};

use super::*;

fn attempts(pod: Value) -> Attempts {
    Attempts::of(&serde_json::from_value(pod).unwrap())
}

fn init_container(restarts: i64, state: Value) -> Value {
    json!({
        "metadata": {"name": "walproof-x-1", "labels": {"cnpg.io/podRole": "instance"}},
        "spec": {"containers": [], "initContainers": [{"name": "bootstrap-instance"}, {"name": "plugin-barman-cloud"}]},
        "status": {"phase": "Pending", "initContainerStatuses": [{
            "name": "bootstrap-instance", "image": "", "imageID": "", "ready": false,
            "restartCount": restarts, "state": state
        }]}
    })
}

#[test]
fn each_pod_of_the_job_is_an_attempt() {
    let pod = |phase: &str| {
        attempts(json!({
            "metadata": {"name": "x-1-full-recovery-a", "labels": {"cnpg.io/jobRole": "full-recovery"}},
            "spec": {"containers": []}, "status": {"phase": phase}
        }))
    };
    assert_eq!(pod("Running").containers, ["full-recovery"]);
    assert_eq!(pod("Running").failed, [""; 0]);
    assert_eq!(pod("Failed").failed, ["x-1-full-recovery-a"]);
}

#[test]
fn each_run_of_the_init_container_is_an_attempt() {
    let running = attempts(init_container(1, json!({"running": {}})));
    assert_eq!(running.containers, ["bootstrap-instance", "plugin-barman-cloud"]);
    assert_eq!((running.newest.as_str(), running.failed), ("walproof-x-1#1", vec!["walproof-x-1#0".to_owned()]));
    let ended = attempts(init_container(0, json!({"terminated": {"exitCode": 1}})));
    assert_eq!(ended.failed, ["walproof-x-1#0"]);
    assert_eq!(attempts(init_container(0, json!({"terminated": {"exitCode": 0}}))).failed, [""; 0]);
}

#[tokio::test]
async fn a_line_without_an_end_is_cut_while_it_is_read() {
    let endless = AsyncReadExt::take(futures_util::io::repeat(b'x'), 10 << 20);
    let mut stream = BufReader::new(endless.chain(Cursor::new("\nnext\n\nlast")));
    let mut line = Vec::new();
    assert!(read_line(&mut stream, &mut line).await.unwrap());
    assert_eq!(line.len(), LINE_LIMIT);
    assert!(line.capacity() <= 2 * LINE_LIMIT, "{}", line.capacity());
    for expected in ["next", "", "last"] {
        assert!(read_line(&mut stream, &mut line).await.unwrap());
        assert_eq!(String::from_utf8_lossy(&line), expected);
    }
    assert!(!read_line(&mut stream, &mut line).await.unwrap());
}

/// An API server that answers each request for a log with the next of these: what it says, and whether that is whole.
async fn serving(answers: &'static [(&'static str, bool)]) -> Api<Pod> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for (text, is_whole) in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut connection, &mut request).await.unwrap();
            let length = text.len() + usize::from(!is_whole);
            let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{text}");
            tokio::io::AsyncWriteExt::write_all(&mut connection, answer.as_bytes()).await.unwrap();
        }
    });
    let client = kube::Client::try_from(kube::Config::new(address.parse().unwrap())).unwrap();
    Api::namespaced(client, "sandbox")
}

#[tokio::test]
async fn a_stream_that_breaks_is_begun_again_and_ends_with_its_container() {
    let pods = serving(&[("first\n", false), ("first\nsecond\n", true)]).await;
    let place = Place { attempt: "x".into(), pod: "x".into(), container: "full-recovery".into(), since: None };
    let (has_ended, ended) = watch::channel(false);
    let (sender, mut lines) = mpsc::channel(LINES);
    let reading = tokio::spawn(read(pods, place, ended, sender));
    for expected in ["first", "first", "second"] {
        assert_eq!(lines.recv().await.unwrap().text, expected);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!reading.is_finished(), "the container still runs");
    has_ended.send_replace(true);
    timeout(Duration::from_secs(1), reading).await.unwrap().unwrap();
}

#[test]
fn a_sidecar_that_goes_on_with_the_instance_has_ended_with_its_attempt() {
    let place = |attempt: &str, container: &str| Place {
        attempt: attempt.into(),
        pod: "walproof-x-1".into(),
        container: container.into(),
        since: None,
    };
    let pod: Pod = serde_json::from_value(init_container(1, json!({"running": {}}))).unwrap();
    assert!(place("walproof-x-1#0", PLUGIN_CONTAINER).has_ended(&pod));
    assert!(!place("walproof-x-1#1", PLUGIN_CONTAINER).has_ended(&pod));
    assert!(!place("walproof-x-1#1", INIT_CONTAINER).has_ended(&pod));
    let pod: Pod = serde_json::from_value(init_container(1, json!({"terminated": {"exitCode": 0}}))).unwrap();
    assert!(place("walproof-x-1#1", INIT_CONTAINER).has_ended(&pod));
}

#[test]
fn a_pod_without_recovery_has_no_attempt() {
    assert_eq!(attempts(json!({"metadata": {"name": "x-1"}, "spec": {"containers": []}})), Attempts::default());
}

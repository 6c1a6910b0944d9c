//! What people get to see of a night: metrics in the Pushgateway, comments of one Forgejo issue. Both are down during the
//! first night, and nothing of it is lost.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::drill_pod::Drill;
use crate::forward::Forward;
use crate::installation::{self, NAMESPACE};
use crate::kubectl;
use crate::source::IN_TREE;
use crate::store::Missing;

const REPOSITORY: &str = "ops/dr-evidence";
const COMES_BACK: Duration = Duration::from_mins(3);

#[test]
fn a_night_that_nobody_could_be_told_of_is_told_by_the_next() {
    installation::ready();
    let token = installation::secret("forgejo", "walproof-forgejo", "token");
    let _secret = kubectl::lend(vec![json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "walproof-forgejo", "namespace": NAMESPACE},
        "stringData": {"token": token},
    })]);
    let _way = kubectl::lend(kubectl::documents("optional/publish.yaml"));

    let first = {
        let _down = [Down::scaled("forgejo", "forgejo"), Down::scaled("monitoring", "pushgateway")];
        drill().run()
    };
    let first_report = first.passes();
    assert!(first.log.contains("is not told"), "{first}");

    let segment = IN_TREE.archive_a_segment();
    IN_TREE.archive_a_segment();
    let missing = Missing::segment(&IN_TREE, &segment);
    let second = drill().set("/sources/0/freshness/maxWalAge", json!("5s")).run();
    drop(missing);
    second.fails("wal.gap");
    assert!(!second.log.contains("is not told") && !second.log.contains("not pushed"), "{second}");

    let metrics =
        kubectl::run(&["get", "--raw", "/api/v1/namespaces/monitoring/services/pushgateway:9091/proxy/metrics"]);
    let value = |name: &str, with: &str| -> f64 {
        let is_it = |line: &&str| {
            line.starts_with(&format!("{name}{{")) && line.contains(with) && line.contains("command=\"drill\"")
        };
        let line = metrics.lines().find(is_it).unwrap_or_else(|| panic!("no {name} with {with}\n{metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!((value("walproof_verdict", "verdict=\"FAIL\"") - 1.0).abs() < f64::EPSILON);
    let passed_at: Timestamp = first_report["finished_at"].as_str().unwrap().parse().unwrap();
    let shown = Duration::from_secs_f64(value("walproof_last_success_timestamp_seconds", IN_TREE.cluster));
    assert_eq!(shown.as_secs(), u64::try_from(passed_at.as_second()).unwrap(), "{passed_at}");
    assert!(value("walproof_undelivered_reports", IN_TREE.cluster).abs() < f64::EPSILON);

    let comments = comments(&token);
    let of_run = |report: &Value| {
        let run = report["run_id"].as_str().unwrap().to_owned();
        comments.iter().position(|comment| comment.contains(&run)).unwrap_or_else(|| panic!("{run}: {comments:#?}"))
    };
    let (pass, fail) = (of_run(&first_report), of_run(&second.report()));
    assert!(pass < fail, "the older night is told first");
    assert!(comments[pass].contains("PASS") && comments[fail].contains("FAIL"), "{comments:#?}");
    assert!(comments[fail].contains(&segment), "{comments:#?}");
}

fn drill() -> Drill {
    Drill::of(&IN_TREE).set(
        "/publish",
        json!({
            "pushgateway": {"url": "http://pushgateway.monitoring.svc:9091"},
            "forgejo": {
                "url": "http://forgejo.forgejo.svc:3000",
                "repository": REPOSITORY,
                "tokenFile": "/secrets/forgejo/token",
            },
        }),
    )
}

/// The comments of the drill's tracking issue, in order.
pub fn comments(token: &str) -> Vec<String> {
    let forward = Forward::begin("forgejo", "service/forgejo", 3000);
    let base = format!("http://127.0.0.1:{}/api/v1/repos/{REPOSITORY}", forward.port);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let get = async |path: &str| -> Vec<Value> {
        let request = reqwest::Client::new().get(format!("{base}{path}")).bearer_auth(token);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    };
    runtime.block_on(async {
        let issues = get("/issues?state=all&type=issues&limit=50").await;
        let marker = format!("source={}/{} command=drill", IN_TREE.namespace, IN_TREE.cluster);
        let is_ours = |issue: &&Value| issue["body"].as_str().unwrap_or_default().contains(&marker);
        let ours: Vec<&Value> = issues.iter().filter(is_ours).collect();
        assert_eq!(ours.len(), 1, "one tracking issue: {issues:#?}");
        let comments = get(&format!("/issues/{}/comments", ours[0]["number"])).await;
        comments.iter().map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    })
}

/// A deployment without pods for as long as the value lives.
struct Down {
    namespace: &'static str,
    name: &'static str,
}

impl Down {
    #[track_caller]
    fn scaled(namespace: &'static str, name: &'static str) -> Self {
        let down = Self { namespace, name };
        down.scale("0");
        let has_none = || {
            let pods = kubectl::list(&["pods", "--namespace", namespace, "--selector", &format!("app={name}")]);
            pods.is_empty().then_some(())
        };
        kubectl::eventually(|| format!("{name} is down"), COMES_BACK, has_none);
        down
    }

    fn scale(&self, replicas: &str) {
        let (deployment, replicas) = (format!("deployment/{}", self.name), format!("--replicas={replicas}"));
        kubectl::attempt(&["scale", &deployment, "--namespace", self.namespace, &replicas]);
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.scale("1");
        let deployment = format!("deployment/{}", self.name);
        kubectl::attempt(&["rollout", "status", &deployment, "--namespace", self.namespace, "--timeout=100s"]);
    }
}

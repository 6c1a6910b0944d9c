//! walproof as its users get it: installed by the very commands of README.md, then for two sources of which one is not
//! there.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::instructions::{least_values, values};
use crate::judged::Judged;
use crate::release::{Index, NAMESPACE, Release, SANDBOX};
use crate::source::IN_TREE;
use crate::store::Missing;
use crate::{installation, kubectl, published};

const MISSING: &str = "not-there";
/// Prometheus scrapes every few seconds, and looks at some of the rules once a minute.
const SCRAPED: Duration = Duration::from_mins(3);
/// Helm does not wait for what it deletes.
const GOES: Duration = Duration::from_mins(2);
const HISTORY: &str = "walproof-history-pal-e-postgres";

#[test]
fn a_release_proves_one_source_while_another_is_missing_and_leaves_its_history_alone() {
    installation::ready();
    IN_TREE.keep_replay_short();
    let (release, printed) = Release::by_the_readme(&least_values());
    Judged { exit_code: release.ended("drill", "first")[0].exit_code, log: printed }.passes();

    let sources = [IN_TREE.cluster, MISSING];
    release.upgrade(&values(&sources));
    let began = Timestamp::now();
    let drilled = release.drill("second");
    verdicts(&drilled, ["PASS", "INCONCLUSIVE"]);
    assert!(drilled[1].log.contains("source.cluster_unreadable"), "{}", drilled[1].log);
    let passed =
        format!("walproof_last_success_timestamp_seconds{{command=\"drill\",cluster_name=\"{}\"}}", IN_TREE.cluster);
    scraped(&format!("{passed} > {}", began.as_second()));
    let report = Judged { exit_code: 0, log: drilled[0].log.clone() }.report();
    let run = report["run_id"].as_str().unwrap();
    let comments = published::comments(&installation::secret("forgejo", "walproof-forgejo", "token"));
    assert!(comments.iter().any(|comment| comment.contains(run)), "run {run}: {comments:#?}");

    let checked = release.check("look");
    verdicts(&checked, ["PASS", "INCONCLUSIVE"]);

    let _rules = Rules::lend();
    let mut impatient = values(&sources);
    // A hole may close for as long as WAL may be late.
    impatient["config"]["sources"][0]["freshness"]["maxWalAge"] = json!("5s");
    release.upgrade(&impatient);
    let segment = IN_TREE.archive_a_segment();
    IN_TREE.archive_a_segment();
    let missing = Missing::segment(&IN_TREE, &segment);
    let drilled = release.drill("third");
    drop(missing);
    verdicts(&drilled, ["FAIL", "INCONCLUSIVE"]);
    assert!(drilled[0].log.contains(&segment), "{}", drilled[0].log);
    scraped(&format!(
        "walproof_verdict{{command=\"drill\",verdict=\"FAIL\",cluster_name=\"{}\"}} == 1",
        IN_TREE.cluster
    ));
    scraped(&format!("{passed} > {}", began.as_second()));
    let alert = format!("alertname=\"WalproofDrillFailed\",cluster_name=\"{}\"", IN_TREE.cluster);
    scraped(&format!("ALERTS{{{alert},alertstate=\"firing\"}}"));
    alerted("WalproofDrillFailed");

    let kept = history();
    assert!(kept.as_str().is_some_and(|document| !document.is_empty()), "{HISTORY} holds runs");
    release.rollback();
    release.uninstall();
    assert_eq!(history(), kept, "an upgrade, a rollback and an uninstall leave the history alone");
    kubectl::eventually(|| format!("nothing is left: {:?}", left()), GOES, || left().is_empty().then_some(()));
}

/// The verdict of each index, and its exit code, in order.
#[track_caller]
fn verdicts(indexes: &[Index], expected: [&str; 2]) {
    let found: Vec<(u64, i64)> = indexes.iter().map(|index| (index.number, index.exit_code)).collect();
    let exit_code = |verdict: &str| match verdict {
        "PASS" => 0,
        "FAIL" => 1,
        _ => 2,
    };
    let logs: Vec<&String> = indexes.iter().map(|index| &index.log).collect();
    assert_eq!(found, [(0, exit_code(expected[0])), (1, exit_code(expected[1]))], "{logs:#?}");
    for (index, verdict) in indexes.iter().zip(expected) {
        assert!(index.log.contains(&format!("\"verdict\": \"{verdict}\"")), "{}", index.log);
    }
}

/// Waits until the cluster's Prometheus finds something by this expression.
#[track_caller]
fn scraped(expression: &str) {
    let mut query = reqwest::Url::parse("http://localhost/api/v1/query").unwrap();
    query.query_pairs_mut().append_pair("query", expression);
    let path =
        format!("/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?{}", query.query().unwrap());
    let ask = || -> Value { serde_json::from_str(&kubectl::run(&["get", "--raw", &path])).unwrap() };
    let found = || ask()["data"]["result"].as_array().is_some_and(|found| !found.is_empty()).then_some(());
    kubectl::eventually(|| format!("Prometheus finds {expression}: {}", ask()), SCRAPED, found);
}

/// Waits until the cluster's Alertmanager has this alert.
#[track_caller]
fn alerted(name: &str) {
    let path = "/api/v1/namespaces/monitoring/services/alertmanager:9093/proxy/api/v2/alerts";
    let ask = || -> Vec<Value> { serde_json::from_str(&kubectl::run(&["get", "--raw", path])).unwrap() };
    let is_it = |alert: &Value| alert["labels"]["alertname"] == name && alert["status"]["state"] == "active";
    kubectl::eventually(|| format!("{name} is sent: {:#?}", ask()), SCRAPED, || ask().iter().any(is_it).then_some(()));
}

/// The chart's rules in the lab's Prometheus, which has no operator to bring them, as long as the value lives.
struct Rules;

impl Rules {
    #[track_caller]
    fn lend() -> Self {
        let rules = Self;
        let directory = format!("{}/chart/rules", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml"));
        let data: serde_json::Map<String, Value> = files
            .map(|file| {
                let name = file.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(&file).unwrap().into())
            })
            .collect();
        Self::replace(&data.into());
        rules
    }

    fn replace(data: &Value) {
        let patch = json!({"data": data}).to_string();
        let rules = ["configmap", "prometheus-rules", "--namespace", "monitoring"];
        // What is null in a patch goes; the whole is replaced by null first.
        for patch in [r#"{"data": null}"#, &patch] {
            kubectl::attempt(&[&["patch"], &rules[..], &["--type=merge", "--patch", patch]].concat());
        }
        for step in ["restart", "status"] {
            kubectl::attempt(&["rollout", step, "deployment/prometheus", "--namespace", "monitoring"]);
        }
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        Self::replace(&json!({}));
    }
}

fn history() -> Value {
    kubectl::get(&["configmap", HISTORY, "--namespace", NAMESPACE])["binaryData"]["history.json.gz"].clone()
}

/// What an uninstalled release has left, but for what the notes name: the histories, and what the user made.
fn left() -> Vec<String> {
    let kinds = "configmaps,secrets,cronjobs,jobs,pods,roles,rolebindings,networkpolicies,serviceaccounts";
    let made = [NAMESPACE, IN_TREE.namespace].into_iter().flat_map(|namespace| {
        kubectl::list(&[kinds, "--namespace", namespace, "--selector", "app.kubernetes.io/instance=walproof-chart"])
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = made.map(|object| format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"])));
    let mut left: Vec<String> = named.filter(|name| !name.starts_with("ConfigMap/walproof-history-")).collect();
    if kubectl::attempt(&["get", "namespace", SANDBOX]).exit_code == 0 {
        left.push(format!("Namespace/{SANDBOX}"));
    }
    left
}

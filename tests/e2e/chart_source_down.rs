//! Production's database is down, and stays so. The chart's drill runs all the same, and says why it could prove nothing.

use std::time::Duration;

use serde_json::json;

use crate::instructions::values;
use crate::judged::Judged;
use crate::kubectl::{self, Lent};
use crate::release::Release;
use crate::source::IN_TREE;
use crate::{installation, published};

const QUOTA: &str = "walproof-e2e-no-pods";
const ACTS: Duration = Duration::from_mins(1);
const OF_SOURCE: &str = "cnpg.io/cluster=pal-e-postgres";

#[test]
fn a_drill_of_a_source_that_is_down_is_inconclusive_and_tells_why() {
    installation::ready();
    let release = Release::install(&values(&[IN_TREE.cluster]));

    let down = Down::source();
    let mut drilled = release.drill_blindly("blind");
    drop(down);

    let index = drilled.remove(0);
    let judged = Judged { exit_code: index.exit_code, log: index.log };
    let why = judged.is_inconclusive("source.unreachable");
    let summary = why["summary"].as_str().unwrap();
    let run = judged.report()["run_id"].as_str().unwrap().to_owned();
    let comments = published::comments(&installation::secret("forgejo", "walproof-forgejo", "token"));
    let comment = comments.iter().find(|comment| comment.contains(&run));
    let comment = comment.unwrap_or_else(|| panic!("run {run}: {comments:#?}"));
    for part in ["INCONCLUSIVE", "source.unreachable", summary] {
        assert!(comment.contains(part), "no {part:?} in {comment}");
    }
}

/// The source without its pod, as long as the value lives: its namespace admits none.
struct Down(Option<Lent>);

impl Down {
    #[track_caller]
    fn source() -> Self {
        let quota = json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": QUOTA, "namespace": IN_TREE.namespace},
            "spec": {"hard": {"pods": "0"}},
        });
        let down = Self(Some(kubectl::lend(vec![quota])));
        let quota = || kubectl::get(&["resourcequota", QUOTA, "--namespace", IN_TREE.namespace]);
        let acts = || (quota()["status"]["hard"]["pods"] == "0").then_some(());
        kubectl::eventually(|| format!("the quota acts: {}", quota()), ACTS, acts);
        let pods = ["pods", "--namespace", IN_TREE.namespace, "--selector", OF_SOURCE];
        // Longer than a database needs that nobody uses; the default is half an hour.
        kubectl::run(&[&["delete"], &pods[..], &["--grace-period=20", "--timeout=100s"]].concat());
        assert!(kubectl::list(&pods).is_empty(), "the operator makes no other pod");
        down
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.0 = None;
        let cluster = format!("clusters.postgresql.cnpg.io/{}", IN_TREE.cluster);
        let source = ["--namespace", IN_TREE.namespace, &cluster];
        // The operator tries again at ever longer intervals, but at once for a Cluster that changed.
        for change in ["walproof.dev/e2e=changed", "walproof.dev/e2e-"] {
            kubectl::attempt(&[&["annotate"], &source[..], &["--overwrite", change]].concat());
        }
        let ready = ["--for=jsonpath={.status.readyInstances}=1", "--timeout=110s"];
        let back = kubectl::attempt(&[&["wait"], &source[..], &ready].concat());
        if back.exit_code != 0 {
            eprintln!("the source does not come back: {}", back.stderr);
        }
    }
}

//! The chart's drill is killed while the operator restores, and its pod deleted by force, as when a node is lost.

use crate::instructions::values;
use crate::judged::Judged;
use crate::release::{NAMESPACE, Release, SANDBOX};
use crate::source::IN_TREE;
use crate::{drill_pod, installation, kubectl, published, sandbox};

#[test]
fn a_killed_run_whose_pod_is_gone_is_closed_told_and_swept_by_the_next() {
    installation::ready();
    let release = Release::install(&values(&[IN_TREE.cluster]));
    release.start_drill_sharing_processes("killed");
    sandbox::await_recovery_in(SANDBOX);
    let run = run_in_sandbox();
    let pods = ["pods", "--namespace", NAMESPACE, "--selector", "job-name=killed"];
    let pod = kubectl::list(&pods)[0]["metadata"]["name"].as_str().unwrap().to_owned();
    drill_pod::kill(NAMESPACE, &pod);
    kubectl::run(&[&["delete"], &pods[..], &["--force", "--grace-period=0", "--timeout=60s"]].concat());
    assert!(release.ended("drill", "killed").is_empty(), "no pod, and no other one begun");
    assert!(sandbox::contents_of(SANDBOX).contains(&owner_of(&run)), "{:?}", sandbox::contents_of(SANDBOX));

    let mut next = release.drill("next");

    let next = next.remove(0);
    let judged = Judged { exit_code: next.exit_code, log: next.log };
    judged.passes();
    assert_eq!(judged.finding("run.killed", "note")["object"], run.as_str(), "{judged}");
    judged.finding("sandbox.left_behind", "note");
    assert_eq!(sandbox::contents_of(SANDBOX), Vec::<String>::new(), "{judged}");
    let report = judged.report();
    let own = report["run_id"].as_str().unwrap();
    let comments = published::comments(&installation::secret("forgejo", "walproof-forgejo", "token"));
    let closing = comments.iter().find(|comment| comment.contains(&run) && !comment.contains(own));
    let closing = closing.unwrap_or_else(|| panic!("run {run}: {comments:#?}"));
    assert!(closing.contains("INCONCLUSIVE") && closing.contains("run.killed"), "{closing}");
}

/// The run that the sandbox's only owner object names.
#[track_caller]
fn run_in_sandbox() -> String {
    let contents = sandbox::contents_of(SANDBOX);
    let run = contents.iter().find_map(|object| object.strip_prefix("ConfigMap/walproof-"));
    run.unwrap_or_else(|| panic!("a run's owner is among {contents:?}")).to_owned()
}

fn owner_of(run: &str) -> String {
    format!("ConfigMap/walproof-{run}")
}

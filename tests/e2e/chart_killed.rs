//! The pod of the chart's drill is deleted by force while the operator restores, as by a person who has no patience or by a
//! node that is gone.

use crate::instructions::values;
use crate::judged::Judged;
use crate::release::{NAMESPACE, Release, SANDBOX};
use crate::source::IN_TREE;
use crate::{installation, kubectl, published, sandbox};

#[test]
fn a_run_whose_pod_was_deleted_by_force_is_closed_told_and_swept_by_the_next() {
    installation::ready();
    let release = Release::install(&values(&[IN_TREE.cluster]));
    release.start_drill("killed");
    sandbox::await_recovery_in(SANDBOX);
    let run = run_in_sandbox();
    let force = ["--force", "--grace-period=0", "--wait=false"];
    kubectl::run(&[&["delete", "pod", "--namespace", NAMESPACE, "--selector", "job-name=killed"], &force[..]].concat());
    assert!(release.ended("drill", "killed").is_empty(), "the pod is gone, with its log");
    assert!(sandbox::contents_of(SANDBOX).contains(&owner_of(&run)), "{:?}", sandbox::contents_of(SANDBOX));

    let mut next = release.drill("next");

    let next = next.remove(0);
    let judged = Judged { exit_code: next.exit_code, log: next.log };
    judged.passes();
    assert_eq!(judged.finding("run.killed", "note")["object"], run.as_str(), "{judged}");
    judged.finding("sandbox.left_behind", "note");
    assert_eq!(sandbox::contents_of(SANDBOX), Vec::<String>::new(), "{judged}");
    let comments = published::comments(&installation::secret("forgejo", "walproof-forgejo", "token"));
    let of_run: Vec<&String> = comments.iter().filter(|comment| comment.contains(&run)).collect();
    let closing = of_run.iter().find(|comment| comment.contains("INCONCLUSIVE") && comment.contains("run.killed"));
    assert!(closing.is_some(), "run {run}: {of_run:#?}");
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

//! The application's own check: a Job with the user's image and command, and the address of the restored database. It runs
//! only in a sandbox that was shown closed, since a restored application may have mail to send.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use serde_json::json;

use super::Sandbox;
use super::manifest::{Manifest, job};
use super::names::{NO_SIDECAR, Names};
use super::network::{Ending, output, wait};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes;
use crate::plan::App;
use crate::source::cluster::SourceCluster;

const CONTAINER: &str = "app";
/// What the pull of its image may take beside the check itself, should nobody watch the Job any more.
const START: Duration = Duration::from_mins(10);
const MEMORY: &str = "1Gi";
/// Of one line of output.
const LINE_CHARACTERS: usize = 300;

/// The Job. Its image is pulled with the same pull secrets as the source's.
pub fn manifest(source: &SourceCluster, app: &App, names: &Names, owner: Option<&OwnerReference>) -> Manifest {
    let mut container = json!({
        "name": CONTAINER,
        "image": app.image,
        "env": [{
            "name": "DATABASE_URL",
            // As the application's own role, so that a missing grant shows.
            "valueFrom": {"secretKeyRef": {"name": format!("{}-app", names.name), "key": "uri"}},
        }],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": MEMORY},
        },
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    if !app.command.is_empty() {
        container["command"] = json!(app.command);
    }
    let data = json!({"spec": {
        "backoffLimit": 0,
        "activeDeadlineSeconds": app.limit.saturating_add(START).as_secs(),
        "template": {
            "metadata": {"labels": names.labels(), "annotations": {NO_SIDECAR.0: NO_SIDECAR.1}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "imagePullSecrets": source.cluster.spec.image_pull_secrets,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container],
            },
        },
    }});
    Manifest::new(job(), &names.app(), names, owner, data)
}

/// Runs the check and removes its Job.
pub async fn check(sandbox: &mut Sandbox, source: &SourceCluster, app: &App) -> Finding {
    if !sandbox.egress_closed {
        return not_checked(
            app,
            "the sandbox's egress was not shown closed, and a restored application may have mail to send",
        )
        .hint("apply the sandbox's network policy: docs/kubernetes/network.yaml");
    }
    let manifest = manifest(source, app, &sandbox.names, sandbox.owner());
    let made = match sandbox.make(&manifest).await {
        Ok(made) => made,
        Err(finding) => {
            let reason = finding.observed.unwrap_or(finding.summary);
            let checked = not_checked(app, format!("its Job could not be made: {reason}"));
            return match finding.hint {
                Some(hint) => checked.hint(hint),
                None => checked,
            };
        }
    };
    let finding = observe(sandbox, app, &made.metadata.uid.unwrap_or_default()).await;
    sandbox.remove(&manifest.resource, manifest.name()).await;
    finding
}

async fn observe(sandbox: &Sandbox, app: &App, job: &str) -> Finding {
    let namespace = &sandbox.names.namespace;
    let pods: Api<Pod> = Api::namespaced(sandbox.kubernetes.client.clone(), namespace);
    // By UID: a former Job's pod may be there yet, and may have passed.
    let selector = format!("batch.kubernetes.io/controller-uid={job}");
    let doing = format!("list the pods of the Job {namespace}/{}", sandbox.names.app());
    let look = async || kubernetes::list(&pods, &doing, &selector).await.map(|mut found| found.pop());
    let ending = wait(look, CONTAINER, app.limit).await;
    let mut lines = Vec::new();
    if app.output_lines > 0 && matches!(ending, Ending::Exited { .. } | Ending::Late) {
        let name = look().await.ok().flatten().and_then(|pod| pod.metadata.name);
        if let Some(name) = name {
            match output(&pods, &name, CONTAINER, app.output_lines.into()).await {
                Ok(output) => lines = last_lines(&output, app.output_lines.into()),
                Err(error) => tracing::warn!("the application's output is not shown: {error}"),
            }
        }
    }
    judge(app, &ending, &lines)
}

fn judge(app: &App, ending: &Ending, lines: &[String]) -> Finding {
    match ending {
        Ending::Exited { exit_code: 0, .. } => {
            let finding = Finding::passed(Code::AppCheck, "the application's own check passed").of(&app.image);
            if lines.is_empty() { finding } else { finding.observed(lines.join("\n")) }
        }
        // Our limit, not the application's word.
        Ending::Exited { reason, .. } if reason == "OOMKilled" => {
            not_checked(app, format!("it needs more memory than {MEMORY}"))
        }
        Ending::Exited { exit_code, .. } => {
            Finding::failed(Code::AppCheck, Blame::Unknown, "the application's own check failed")
                .of(&app.image)
                .expected("exit code 0")
                .observed(with_output(format!("exit code {exit_code}"), lines))
                .hint(hint(app))
        }
        Ending::Late => {
            let observed = with_output(format!("it did not end within {} s", app.limit.as_secs()), lines);
            not_checked(app, observed).hint("raise `sandbox.operator.app.limit`, or find out what it waits for")
        }
        Ending::Stuck(reason) => not_checked(app, format!("it did not start: {reason}"))
            .hint("is `sandbox.operator.app.image` right, and can the sandbox's namespace pull and run it?"),
        Ending::Unknown(reason) => not_checked(app, reason),
    }
}

fn not_checked(app: &App, observed: impl Into<String>) -> Finding {
    Finding::not_checked(Code::AppCheck, "the application's own check did not come to a result")
        .of(&app.image)
        .observed(observed)
}

fn hint(app: &App) -> &'static str {
    if app.output_lines == 0 {
        "its output is not shown, as it may hold what the database holds: `sandbox.operator.app.outputLines` shows its last lines"
    } else {
        "run the same image and command against the source: does it pass there?"
    }
}

fn with_output(observed: String, lines: &[String]) -> String {
    if lines.is_empty() { observed } else { format!("{observed}; {}", lines.join("\n")) }
}

/// The last `count` lines that hold something, each cut.
fn last_lines(output: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = output.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| line.chars().take(LINE_CHARACTERS).collect()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::finding::Outcome;
    use crate::source::fixture::source;

    fn app(output_lines: u16) -> App {
        App { image: "shop:1".to_owned(), command: vec![], limit: Duration::from_mins(5), output_lines }
    }

    fn exited(exit_code: i32, reason: &str) -> Ending {
        Ending::Exited { exit_code, reason: reason.to_owned() }
    }

    fn made(app: &App) -> Value {
        let names = Names::new("sandbox", "20261121t124500z-a1b2c3", "postgres.prod", Timestamp::UNIX_EPOCH);
        manifest(&source(), app, &names, None).shown()
    }

    #[test]
    fn the_job_runs_once_with_the_applications_own_role() {
        let job = made(&app(0));
        let spec = &job["spec"]["template"]["spec"];
        assert_eq!(job["metadata"]["name"], "walproof-20261121t124500z-a1b2c3-app");
        assert_eq!((&job["spec"]["backoffLimit"], &job["spec"]["activeDeadlineSeconds"]), (&json!(0), &json!(900)));
        assert_eq!(
            spec["containers"][0]["env"],
            json!([{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef":
                {"name": "walproof-20261121t124500z-a1b2c3-app", "key": "uri"}}}])
        );
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["imagePullSecrets"], json!([{"name": "registry"}]));
        assert_eq!(job["spec"]["template"]["metadata"]["annotations"]["sidecar.istio.io/inject"], "false");
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["walproof.dev/run"], "20261121t124500z-a1b2c3");
    }

    #[test]
    fn a_command_left_out_is_the_images_own() {
        let command = |app: &App| made(app)["spec"]["template"]["spec"]["containers"][0].get("command").cloned();
        assert_eq!(command(&app(0)), None);
        let commanded = App { command: vec!["check".to_owned(), "--now".to_owned()], ..app(0) };
        assert_eq!(command(&commanded), Some(json!(["check", "--now"])));
    }

    #[test]
    fn only_exit_code_zero_passes_and_only_another_one_fails() {
        for (ending, outcome) in [
            (exited(0, "Completed"), Outcome::Passed),
            (exited(1, "Error"), Outcome::Failed),
            (exited(137, "Error"), Outcome::Failed),
            (exited(137, "OOMKilled"), Outcome::NotChecked),
            (Ending::Late, Outcome::NotChecked),
            (Ending::Stuck("ErrImagePull".to_owned()), Outcome::NotChecked),
            (Ending::Unknown("evicted".to_owned()), Outcome::NotChecked),
        ] {
            let finding = judge(&app(0), &ending, &[]);
            assert_eq!((finding.code, finding.outcome), (Code::AppCheck, outcome), "{ending:?}");
            assert!(!finding.blames_backups(), "{ending:?}");
        }
    }

    #[test]
    fn output_is_shown_only_where_it_was_asked_for() {
        let lines = ["no such user".to_owned()];
        assert_eq!(judge(&app(5), &exited(3, "Error"), &lines).observed.unwrap(), "exit code 3; no such user");
        let silent = judge(&app(0), &exited(3, "Error"), &[]);
        assert_eq!(silent.observed.unwrap(), "exit code 3");
        assert!(silent.hint.unwrap().contains("`sandbox.operator.app.outputLines`"));
    }

    #[test]
    fn the_last_lines_are_few_and_short() {
        let output = format!("first\n\nsecond\r\n{}\n", "é".repeat(400));
        assert_eq!(last_lines(&output, 2), ["second".to_owned(), "é".repeat(300)]);
        assert_eq!(last_lines("", 2), Vec::<String>::new());
    }
}

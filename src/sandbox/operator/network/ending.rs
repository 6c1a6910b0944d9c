//! The wait for a pod that runs one program and ends: the network test's, and the application's check.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use crate::kubernetes::{self, ApiError, ApiErrorKind};
use crate::sandbox::operator::pod::{self, ContainerState};

/// Long enough for a registry that hiccups, short enough for a name that is wrong.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a pod may take to its start when nothing is seen to hold it up, as the pull of a large image.
const START_LIMIT: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_secs(1);
/// What a log may weigh here.
const LOG_BYTES: i64 = 1 << 20;

/// What became of a pod's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Exited {
        exit_code: i32,
        /// Kubernetes' word, as `Completed` or `OOMKilled`.
        reason: String,
    },
    /// It never ran, for this reason.
    Stuck(String),
    /// It ran longer than it may.
    Late,
    /// It could not be observed, for this reason.
    Unknown(String),
}

/// What one look at a pod shows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Ended(Ending),
    Running,
    /// It is held up, for this reason.
    HeldUp(String),
    /// It is on its way.
    Starting,
}

/// Looks once a second until `container` has ended, for at most `limit` from its start.
pub async fn wait(look: impl AsyncFn() -> Result<Option<Pod>, ApiError>, container: &str, limit: Duration) -> Ending {
    let begun = Instant::now();
    let mut held_up_since: Option<Instant> = None;
    let mut running_since: Option<Instant> = None;
    loop {
        let seen = match look().await {
            Ok(pod) => Ok(seen(pod.as_ref(), container)),
            Err(error) if error.kind == ApiErrorKind::Unreachable => Err(error),
            Err(error) => return Ending::Unknown(error.to_string()),
        };
        match &seen {
            Ok(Seen::Ended(ending)) => return ending.clone(),
            Ok(Seen::HeldUp(reason)) => {
                if held_up_since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    return Ending::Stuck(reason.clone());
                }
            }
            Ok(Seen::Running) => {
                held_up_since = None;
                running_since.get_or_insert_with(Instant::now);
            }
            Ok(Seen::Starting) => held_up_since = None,
            Err(_) => {}
        }
        let is_late = match running_since {
            Some(start) => start.elapsed() >= limit,
            None => begun.elapsed() >= START_LIMIT,
        };
        match seen {
            Err(error) if is_late => return Ending::Unknown(error.to_string()),
            Ok(_) if is_late && running_since.is_some() => return Ending::Late,
            Ok(_) if is_late => return Ending::Stuck(format!("it did not start within {} s", START_LIMIT.as_secs())),
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// The last lines that a container wrote.
pub async fn output(pods: &Api<Pod>, name: &str, container: &str, lines: i64) -> Result<String, ApiError> {
    let parameters = LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(lines),
        limit_bytes: Some(LOG_BYTES),
        ..LogParams::default()
    };
    kubernetes::ask(&format!("read the log of the pod {name}"), pods.logs(name, &parameters)).await
}

fn seen(found: Option<&Pod>, container: &str) -> Seen {
    let Some(found) = found else { return Seen::HeldUp("there is no pod".to_owned()) };
    let state = pod::containers(found).into_iter().find(|(name, _)| name == container).map(|(_, state)| state);
    match state {
        Some(ContainerState::Ended { exit_code, reason }) => return Seen::Ended(Ending::Exited { exit_code, reason }),
        Some(ContainerState::Running) => return Seen::Running,
        Some(ContainerState::Waiting { .. }) | None => {}
    }
    if pod::phase(found) == "Failed" {
        let status = found.status.clone().unwrap_or_default();
        let words: Vec<String> = [status.reason, status.message].into_iter().flatten().collect();
        return Seen::Ended(Ending::Unknown(format!("the pod failed: {}", words.join(": "))));
    }
    match pod::stuck(found).or_else(|| pod::unschedulable(found)) {
        Some(reason) => Seen::HeldUp(reason),
        None => Seen::Starting,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "a"}, "status": status})).unwrap()
    }

    fn container(state: &Value) -> Value {
        json!({"phase": "Pending", "containerStatuses": [
            {"name": "sidecar", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}}},
            {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}
        ]})
    }

    #[test]
    fn each_state_of_a_pod_has_its_meaning() {
        let exited = |exit_code, reason: &str| Seen::Ended(Ending::Exited { exit_code, reason: reason.to_owned() });
        for (status, expected) in [
            (container(&json!({"terminated": {"exitCode": 0, "reason": "Completed"}})), exited(0, "Completed")),
            (container(&json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})), exited(137, "OOMKilled")),
            (container(&json!({"running": {}})), Seen::Running),
            (container(&json!({"waiting": {"reason": "ContainerCreating"}})), Seen::Starting),
            (
                container(&json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}})),
                Seen::HeldUp("container app: ErrImagePull: no such image".to_owned()),
            ),
            (
                json!({"phase": "Pending", "conditions": [
                    {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}),
                Seen::HeldUp("0/1 nodes are available".to_owned()),
            ),
            (json!({"phase": "Pending"}), Seen::Starting),
            (
                json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}),
                Seen::Ended(Ending::Unknown("the pod failed: Evicted: low on memory".to_owned())),
            ),
        ] {
            assert_eq!(seen(Some(&pod(&status)), "app"), expected, "{status}");
        }
        assert_eq!(seen(None, "app"), Seen::HeldUp("there is no pod".to_owned()));
    }
}

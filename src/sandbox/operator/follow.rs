//! Following the logs of the recovery's attempts: the pods of its Job up to CloudNativePG 1.30, the runs of one init
//! container from 1.31 on; and beside either the plugin's sidecar.

use std::collections::HashMap;

use futures_util::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Sandbox;
use super::pod::{self, ContainerState};
use super::recovery_log::RecoveryLog;
use crate::drill::progress::Progress;

/// From CloudNativePG 1.31 on.
const INIT_CONTAINER: &str = "bootstrap-instance";
const PLUGIN_CONTAINER: &str = "plugin-barman-cloud";
const JOB_ROLE_LABEL: &str = "cnpg.io/jobRole";

/// What a pod shows of the recovery's attempts. A pod of the Job is one; an init container that runs again begins
/// another in the same pod.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// The containers in which the newest one runs; empty for a pod without recovery.
    pub containers: Vec<String>,
    pub newest: String,
    /// Those that have failed, the oldest first.
    pub failed: Vec<String>,
}

impl Attempts {
    pub fn of(found: &Pod) -> Self {
        let name = found.metadata.name.clone().unwrap_or_default();
        let spec = found.spec.as_ref();
        let has_init = |name: &str| {
            spec.and_then(|spec| spec.init_containers.as_ref())
                .is_some_and(|containers| containers.iter().any(|container| container.name == name))
        };
        let role = found.metadata.labels.as_ref().and_then(|labels| labels.get(JOB_ROLE_LABEL));
        let mut attempts = match role {
            Some(role) if role.ends_with("-recovery") => {
                let failed = if pod::phase(found) == "Failed" { vec![name.clone()] } else { Vec::new() };
                Self { containers: vec![role.clone()], newest: name, failed }
            }
            _ if has_init(INIT_CONTAINER) => {
                let restarts = pod::restarts(found, INIT_CONTAINER);
                let run = |number: u32| format!("{name}#{number}");
                let mut failed: Vec<String> = (0..restarts).map(run).collect();
                let states = pod::containers(found);
                let state = states.iter().find(|(container, _)| container == INIT_CONTAINER).map(|(_, state)| state);
                if matches!(state, Some(ContainerState::Ended { exit_code, .. }) if *exit_code != 0) {
                    failed.push(run(restarts));
                }
                Self { containers: vec![INIT_CONTAINER.to_owned()], newest: run(restarts), failed }
            }
            _ => return Self::default(),
        };
        if has_init(PLUGIN_CONTAINER) {
            attempts.containers.push(PLUGIN_CONTAINER.to_owned());
        }
        attempts
    }
}

/// One reader for each container of each attempt.
pub struct Followers {
    lines: mpsc::Receiver<(String, String)>,
    sender: mpsc::Sender<(String, String)>,
    /// By attempt and container.
    readers: HashMap<(String, String), AbortOnDropHandle<()>>,
    /// The attempt that the log is about.
    current: Option<String>,
}

impl Followers {
    pub fn new() -> Self {
        // A recovery that logs faster than we read waits in the API server, not in our memory.
        let (sender, lines) = mpsc::channel(1024);
        Self { lines, sender, readers: HashMap::new(), current: None }
    }

    /// Begins to read what has begun to run.
    pub fn follow(&mut self, sandbox: &Sandbox, pods: &[Pod], log: &mut RecoveryLog) {
        for found in pods {
            let attempts = Attempts::of(found);
            let states: HashMap<String, ContainerState> = pod::containers(found).into_iter().collect();
            for container in attempts.containers {
                let has_begun = !matches!(states.get(&container), None | Some(ContainerState::Waiting { .. }));
                let key = (attempts.newest.clone(), container.clone());
                if !has_begun || self.readers.contains_key(&key) {
                    continue;
                }
                if self.current.as_ref() != Some(&attempts.newest) {
                    // What the former attempt still had to say comes before the new one.
                    self.take(log);
                    log.pod(&attempts.newest);
                    self.current = Some(attempts.newest.clone());
                }
                let api: Api<Pod> = Api::namespaced(sandbox.kubernetes.client.clone(), &sandbox.names.namespace);
                let name = found.metadata.name.clone().unwrap_or_default();
                let reading = read(api, name, container, attempts.newest.clone(), self.sender.clone());
                self.readers.insert(key, AbortOnDropHandle::new(tokio::spawn(reading)));
            }
        }
    }

    /// Gives what was read so far to `log`.
    pub fn drain(&mut self, log: &mut RecoveryLog, progress: &Progress) {
        self.take(log);
        if let Some(restored) = log.restored() {
            progress.segments_so_far(restored.count);
        }
    }

    fn take(&mut self, log: &mut RecoveryLog) {
        while let Ok((attempt, line)) = self.lines.try_recv() {
            if self.current.as_ref() == Some(&attempt) {
                log.line(&line);
            }
        }
    }

    /// True when everything that the attempt logged has been read.
    pub fn has_read(&self, attempt: &str) -> bool {
        let mut of_attempt = self.readers.iter().filter(|((name, _), _)| name == attempt).peekable();
        of_attempt.peek().is_some() && of_attempt.all(|(_, reader)| reader.is_finished()) && self.lines.is_empty()
    }
}

/// Sends the lines of one container until it has ended.
async fn read(
    pods: Api<Pod>,
    pod: String,
    container: String,
    attempt: String,
    lines: mpsc::Sender<(String, String)>,
) {
    let parameters = LogParams { container: Some(container), follow: true, ..LogParams::default() };
    match pods.log_stream(&pod, &parameters).await {
        Ok(stream) => {
            let mut stream = stream.lines();
            while let Some(Ok(line)) = stream.next().await {
                if lines.send((attempt.clone(), line)).await.is_err() {
                    return;
                }
            }
        }
        Err(error) => tracing::debug!("the log of pod {pod} cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_pod_without_recovery_has_no_attempt() {
        assert_eq!(attempts(json!({"metadata": {"name": "x-1"}, "spec": {"containers": []}})), Attempts::default());
    }
}

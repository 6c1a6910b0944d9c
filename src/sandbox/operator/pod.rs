//! What a pod is doing, as its status says: the words that the waits and the network test share.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

/// Kubernetes' word for a container that was killed for its memory.
pub const OUT_OF_MEMORY: &str = "OOMKilled";

/// How far one container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Not started; the reason is Kubernetes' word, as `ImagePullBackOff`.
    Waiting {
        reason: String,
        message: String,
    },
    Running,
    Ended {
        exit_code: i32,
        reason: String,
    },
}

/// All containers that have a status, init containers first.
pub fn containers(pod: &Pod) -> Vec<(String, ContainerState)> {
    statuses(pod).map(|container| (container.name.clone(), state(container))).collect()
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let others = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().chain(others).flatten()
}

fn state(container: &ContainerStatus) -> ContainerState {
    let state = container.state.clone().unwrap_or_default();
    if let Some(ended) = state.terminated {
        return ContainerState::Ended { exit_code: ended.exit_code, reason: ended.reason.unwrap_or_default() };
    }
    if state.running.is_some() {
        return ContainerState::Running;
    }
    let waiting = state.waiting.unwrap_or_default();
    ContainerState::Waiting { reason: waiting.reason.unwrap_or_default(), message: waiting.message.unwrap_or_default() }
}

/// How often a container was started again.
pub fn restarts(pod: &Pod, name: &str) -> u32 {
    let found = statuses(pod).find(|container| container.name == name);
    found.and_then(|container| u32::try_from(container.restart_count).ok()).unwrap_or(0)
}

/// When a container's present or last run began.
pub fn started(pod: &Pod, name: &str) -> Option<Timestamp> {
    let state = statuses(pod).find(|container| container.name == name)?.state.as_ref()?;
    let of_running = || state.running.as_ref()?.started_at.as_ref();
    let of_ended = || state.terminated.as_ref()?.started_at.as_ref();
    of_running().or_else(of_ended).map(|time| time.0)
}

/// How a container ended last, if it ends again and again before it is ready.
pub fn crashing(pod: &Pod, name: &str) -> Option<String> {
    let container = statuses(pod).find(|container| container.name == name)?;
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref()?.reason.as_deref());
    // It is started again between two waits; its first restart may be an accident.
    let is_crashing = waiting == Some("CrashLoopBackOff") || (!container.ready && container.restart_count >= 2);
    let ended = || runs(container).next().map_or_else(|| "for a reason that is not known".to_owned(), text);
    is_crashing
        .then(|| format!("container {name}, started again {} times, ended last: {}", container.restart_count, ended()))
}

/// The container of the pod that was killed because it took more memory than it may, in Kubernetes' words.
pub fn out_of_memory(pod: &Pod) -> Option<String> {
    statuses(pod).find_map(|container| {
        let killed = runs(container).find(|run| run.reason.as_deref() == Some(OUT_OF_MEMORY))?;
        Some(format!("container {}: {}", container.name, text(killed)))
    })
}

/// The container's runs that have ended and are known, the newest first.
fn runs(container: &ContainerStatus) -> impl Iterator<Item = &ContainerStateTerminated> {
    let states = container.state.iter().chain(container.last_state.iter());
    states.filter_map(|state| state.terminated.as_ref())
}

fn text(run: &ContainerStateTerminated) -> String {
    format!("{}, exit code {}", run.reason.as_deref().unwrap_or("Error"), run.exit_code)
}

/// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Unknown")
}

/// Why no node takes the pod, in the scheduler's words.
pub fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let refused =
        conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    Some(refused.message.clone().unwrap_or_else(|| "no node takes it".to_owned()))
}

/// The image that cannot be pulled or the container that cannot be made, with Kubernetes' reason.
pub fn stuck(pod: &Pod) -> Option<String> {
    const REASONS: [&str; 6] = [
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
    ];
    containers(pod).into_iter().find_map(|(name, state)| match state {
        ContainerState::Waiting { reason, message } if REASONS.contains(&reason.as_str()) => {
            Some(format!("container {name}: {reason}: {message}"))
        }
        _ => None,
    })
}

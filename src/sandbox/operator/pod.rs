//! What a pod is doing, as its status says: the words that the waits and the network test share.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// How far one container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Not started; the reason is Kubernetes' word, as `ImagePullBackOff`.
    Waiting { reason: String, message: String },
    Running,
    Ended { exit_code: i32, reason: String },
}

/// All containers that have a status, init containers first.
pub fn containers(pod: &Pod) -> Vec<(String, ContainerState)> {
    let Some(status) = &pod.status else { return Vec::new() };
    let all = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    all.map(|container| (container.name.clone(), state(container))).collect()
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
    ContainerState::Waiting {
        reason: waiting.reason.unwrap_or_default(),
        message: waiting.message.unwrap_or_default(),
    }
}

/// How often a container was started again.
pub fn restarts(pod: &Pod, name: &str) -> u32 {
    let Some(status) = &pod.status else { return 0 };
    let all = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    let found = all.into_iter().find(|container| container.name == name);
    found.and_then(|container| u32::try_from(container.restart_count).ok()).unwrap_or(0)
}

/// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Unknown")
}

/// Why no node takes the pod, in the scheduler's words.
pub fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let refused = conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
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

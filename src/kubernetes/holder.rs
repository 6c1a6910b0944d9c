//! Who holds a run: the pod that it runs in. A run whose pod is gone or has ended was killed, if it did not end itself.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use super::{Kubernetes, get};

/// `pod/<namespace>/<name>/<uid>` of the pod we run in; nothing outside of the cluster, where only the time tells.
pub fn holder(kubernetes: &Kubernetes) -> Option<String> {
    let pod = kubernetes.identity.pod.as_ref()?;
    Some(format!("pod/{}/{}/{}", pod.namespace, pod.name, pod.uid))
}

/// True only when the holder is known to be gone; a holder that cannot be asked about may live.
pub async fn is_gone(kubernetes: &Kubernetes, holder: &str) -> bool {
    let parts: Vec<&str> = holder.split('/').collect();
    match parts.as_slice() {
        ["pod", namespace, name, uid] => {
            let pods: Api<Pod> = Api::namespaced(kubernetes.client.clone(), namespace);
            match get(&pods, "look for the pod of a former run", name).await {
                Ok(None) => true,
                Ok(Some(pod)) => {
                    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                    let has_ended = matches!(phase, Some("Succeeded" | "Failed"));
                    has_ended || pod.metadata.uid.as_deref() != Some(uid)
                }
                Err(_) => false,
            }
        }
        _ => false,
    }
}

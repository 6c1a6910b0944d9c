//! A bell that rings when the scratch Cluster or one of its pods changes, by watches. It may ring too often or, while
//! a watch is being renewed, not at all: whoever waits for it looks by himself from time to time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::WatchParams;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::Sandbox;
use crate::cnpg::{self, Cluster};

/// Before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_secs(5);

/// The watches; they end when this is dropped.
pub struct Changes {
    bell: Arc<Notify>,
    _watches: [AbortOnDropHandle<()>; 2],
}

impl Changes {
    pub fn watch(sandbox: &Sandbox) -> Self {
        let bell = Arc::new(Notify::new());
        let (client, names) = (&sandbox.kubernetes.client, &sandbox.names);
        let clusters: Api<Cluster> = Api::namespaced_with(client.clone(), &names.namespace, &cnpg::clusters());
        let pods: Api<Pod> = Api::namespaced(client.clone(), &names.namespace);
        let of_name = WatchParams::default().fields(&format!("metadata.name={}", names.name));
        let of_cluster = WatchParams::default().labels(&names.cluster_selector());
        let watches = [
            AbortOnDropHandle::new(tokio::spawn(ring(clusters, of_name, Arc::clone(&bell)))),
            AbortOnDropHandle::new(tokio::spawn(ring(pods, of_cluster, Arc::clone(&bell)))),
        ];
        Self { bell, _watches: watches }
    }

    /// Returns when something has changed since the last call.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }
}

async fn ring<K>(api: Api<K>, parameters: WatchParams, bell: Arc<Notify>)
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    loop {
        if let Ok(changes) = api.watch(&parameters, "0").await {
            let mut changes = std::pin::pin!(changes);
            while let Some(Ok(_)) = changes.next().await {
                bell.notify_one();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

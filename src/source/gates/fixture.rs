//! A source and its surroundings in a line, for tests of the judges.

use kube::core::Status;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::surroundings::Surroundings;
use crate::cnpg::{Cluster, SecretKey};
use crate::kubernetes::{ApiError, ask};
use crate::plan::{ArchiveLocation, Credentials};
use crate::source::cluster::{KeyOrigin, Method, SourceCluster};

pub fn object<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

/// The Cluster `postgres/prod` with the given spec and status.
pub fn cluster(metadata: &Value, spec: &Value, status: &Value) -> Cluster {
    let mut whole = json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": {"name": "prod", "namespace": "postgres"}, "spec": spec, "status": status
    });
    let known = whole["metadata"].as_object_mut().unwrap();
    known.extend(metadata.as_object().unwrap().clone());
    object(whole)
}

pub fn source_of(cluster: Cluster, method: Method) -> SourceCluster {
    let reference = |key: &str| Some(SecretKey { name: "cnpg-s3-creds".to_owned(), key: key.to_owned() });
    let store = object(json!({
        "destinationPath": "s3://postgres-wal/",
        "endpointURL": "http://minio.minio.svc:9000",
        "s3Credentials": {"accessKeyId": reference("id"), "secretAccessKey": reference("key")}
    }));
    let credentials =
        Credentials::Keys { access_key_id: "id".into(), secret_access_key: "key".into(), session_token: None };
    SourceCluster {
        namespace: "postgres".to_owned(),
        name: "prod".to_owned(),
        cluster,
        method,
        store,
        sidecar: None,
        server_name: "prod".to_owned(),
        authority: None,
        location: ArchiveLocation {
            bucket: "postgres-wal".to_owned(),
            path: String::new(),
            server_name: "prod".to_owned(),
            endpoint: Some("http://minio.minio.svc:9000".to_owned()),
            region: "us-east-1".to_owned(),
            authority: None,
            credentials: credentials.clone(),
        },
        key: KeyOrigin::Configured,
        production_key: Ok(credentials),
    }
}

/// A healthy source with the in-tree method.
pub fn source() -> SourceCluster {
    let status = json!({
        "phase": "Cluster in healthy state", "currentPrimary": "prod-2",
        "pgDataImageInfo": {"image": "registry.example/postgresql:17.5", "majorVersion": 17}
    });
    source_of(cluster(&json!({}), &json!({"storage": {"size": "2Gi"}}), &status), Method::InTree)
}

pub fn surroundings() -> Surroundings {
    let backup = |name: &str, phase: &str, stopped: &str| {
        object(json!({
            "metadata": {"name": name}, "spec": {"cluster": {"name": "prod"}},
            "status": {"phase": phase, "backupId": format!("id-{name}"), "stoppedAt": stopped}
        }))
    };
    Surroundings {
        pods: Ok(vec![object(json!({
            "metadata": {"name": "prod-2", "annotations": {"cnpg.io/operatorVersion": "1.28.1"}},
            "spec": {"nodeName": "a", "containers": []}
        }))]),
        claims: Ok(vec![object(json!({"metadata": {"name": "prod-2"}, "spec": {"storageClassName": "fast"}}))]),
        backups: Ok(vec![
            backup("prod-nightly-1", "completed", "2026-11-20T02:00:10Z"),
            backup("prod-nightly-2", "completed", "2026-11-21T02:00:10Z"),
            backup("prod-nightly-3", "failed", "2026-11-21T03:00:10Z"),
        ]),
        scheduled: Ok(vec![object(json!({
            "metadata": {"name": "prod-nightly"}, "spec": {"cluster": {"name": "prod"}, "schedule": "0 0 2 * * *"}
        }))]),
    }
}

/// The API server's answer with this status.
pub fn api_error(code: u16) -> ApiError {
    let status = Status { code, message: "pods is forbidden".to_owned(), ..Status::default() };
    let refused = async { Err::<(), _>(kube::Error::Api(Box::new(status))) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(ask("list the pods", refused)).unwrap_err()
}

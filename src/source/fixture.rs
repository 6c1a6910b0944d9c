//! A source in a line, for tests.

use kube::core::Status;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cluster::{KeyOrigin, Method, SourceCluster};
use crate::cnpg::{Cluster, SecretKey};
use crate::kubernetes::{ApiError, ask};
use crate::plan::{ArchiveLocation, Credentials};

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
        object_store: (method == Method::Plugin).then(|| "store".to_owned()),
        server_name: "prod".to_owned(),
        authority: None,
        location: ArchiveLocation {
            bucket: "postgres-wal".to_owned(),
            path: String::new(),
            server_name: "prod".to_owned(),
            endpoint: Some("http://minio.minio.svc:9000".to_owned()),
            region: "eu-central-1".to_owned(),
            authority: None,
            credentials: credentials.clone(),
        },
        key: KeyOrigin::Configured,
        production_key: Ok(credentials),
    }
}

/// A healthy source of one instance, with the in-tree method, archiving to a MinIO in the cluster.
pub fn source() -> SourceCluster {
    let status = json!({
        "phase": "Cluster in healthy state", "currentPrimary": "prod-2", "readyInstances": 1,
        "pgDataImageInfo": {"image": "registry.example/postgresql:17.5", "majorVersion": 17}
    });
    let spec = json!({"storage": {"size": "2Gi"}, "imagePullSecrets": [{"name": "registry"}]});
    source_of(cluster(&json!({}), &spec, &status), Method::InTree)
}

/// The API server's answer with this status.
pub fn api_error(code: u16) -> ApiError {
    let status = Status { code, message: "pods is forbidden".to_owned(), ..Status::default() };
    let refused = async { Err::<(), _>(kube::Error::Api(Box::new(status))) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(ask("list the pods", refused)).unwrap_err()
}

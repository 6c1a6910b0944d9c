//! A source in a line, for tests.

use serde_json::json;

use crate::plan::{ArchiveLocation, Credentials};
use crate::source::cluster::{KeyOrigin, Method, SourceCluster};

/// `postgres/prod` with one ready instance, archiving to a MinIO in the cluster.
pub fn source() -> SourceCluster {
    let cluster = serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": {"name": "prod", "namespace": "postgres"},
        "spec": {"imagePullSecrets": [{"name": "registry"}]},
        "status": {
            "readyInstances": 1,
            "pgDataImageInfo": {"image": "registry.example/postgresql:17.5", "majorVersion": 17}
        }
    }));
    let store = json!({"destinationPath": "s3://wal/", "endpointURL": "http://minio.minio.svc:9000"});
    SourceCluster {
        namespace: "postgres".to_owned(),
        name: "prod".to_owned(),
        cluster: cluster.unwrap(),
        method: Method::InTree,
        store: serde_json::from_value(store).unwrap(),
        sidecar: None,
        server_name: "prod".to_owned(),
        authority: None,
        location: ArchiveLocation {
            bucket: "wal".to_owned(),
            path: String::new(),
            server_name: "prod".to_owned(),
            endpoint: None,
            region: "eu-central-1".to_owned(),
            authority: None,
            credentials: Credentials::Ambient,
        },
        key: KeyOrigin::Configured,
        production_key: Err("not read".to_owned()),
    }
}

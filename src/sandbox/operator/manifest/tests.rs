//! The manifests as they go to the API server, and what they never hold.

use serde_json::{Value, json};

use super::*;
use crate::archive::timeline::History;
use crate::archive::wal::{Lsn, Segment, Timeline};
use crate::source::cluster::KeyOrigin;
use crate::source::fixture::{cluster as source_cluster, source_of};

fn names() -> Names {
    let expires = "2026-11-21T17:00:00Z".parse().unwrap();
    Names::new("restore-test", "20261121t124500z-a1b2c3", "postgres.prod", expires)
}

fn choice(stop: Stop) -> Choice {
    Choice {
        backup: "20261121T012331".to_owned(),
        stop,
        history: History::root(Timeline(3)),
        last_segment: Segment { timeline: Timeline(3), number: 12 },
        short_of_baseline: false,
    }
}

fn plan() -> OperatorSandbox {
    OperatorSandbox { namespace: "restore-test".to_owned(), image_override: None, storage_factor: 2.0, app: None }
}

/// A source with everything that a restore must have as well, and much that it must not.
fn source(method: Method) -> SourceCluster {
    let spec = json!({
        "instances": 3,
        "imageName": "registry.example/postgresql:17.5",
        "imagePullSecrets": [{"name": "registry"}],
        "storage": {"size": "10Gi", "storageClass": "fast"},
        "walStorage": {"size": "2Gi", "pvcTemplate": {"storageClassName": "faster"}},
        "tablespaces": [{"name": "cold", "storage": {"size": "5Gi"}, "owner": {"name": "shop"}}],
        "resources": {"limits": {"memory": "2Gi"}},
        "postgresUID": 26,
        "env": [
            {"name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required"},
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "s3cr3t"},
            {"name": "OTHER", "value": "not for the store"}
        ],
        "postgresql": {
            "parameters": {"max_connections": "200", "pg_failover_slots.primary_dsn": "x", "cron.database_name": "shop"},
            "shared_preload_libraries": ["pg_cron", "timescaledb"],
            "extensions": [{"name": "pgvector", "image": {"reference": "registry.example/pgvector:1"}}]
        },
        "bootstrap": {"initdb": {"database": "shop", "owner": "shopkeeper", "postInitSQL": ["CREATE ROLE x"]}},
        "managed": {"roles": [{"name": "reporting"}]},
        "monitoring": {"enablePodMonitor": true},
        "replica": {"enabled": false}
    });
    let status = json!({"pgDataImageInfo": {"image": "registry.example/postgresql:17.5"}});
    let metadata = json!({
        "labels": {"app.kubernetes.io/instance": "argo", "team": "shop"},
        "annotations": {"argocd.argoproj.io/sync-wave": "1"}
    });
    let mut source = source_of(source_cluster(&metadata, &spec, &status), method);
    source.store.wal = Some(json!({"compression": "gzip", "maxParallel": 8, "encryption": "AES256"}));
    source.store.data = Some(json!({"jobs": 2, "immediateCheckpoint": true}));
    source.authority = Some(b"-----BEGIN CERTIFICATE-----".to_vec());
    source.sidecar = Some(json!({
        "env": [{"name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required"}],
        "retentionPolicyIntervalSeconds": 1800
    }));
    source
}

fn made(method: Method, stop: Stop) -> Value {
    let source = source(method);
    let sizes = Sizes::of(&source, None, 0, 2.0).unwrap();
    cluster(&source, &plan(), &sizes, &choice(stop), &names(), None).shown()
}

fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap()
}

#[test]
fn the_scratch_cluster_of_an_in_tree_source() {
    insta::assert_snapshot!(yaml(&made(Method::InTree, Stop::BeforeLsn(Lsn(0x0C00_0028)))));
}

#[test]
fn the_scratch_cluster_of_a_plugin_source_differs_in_where_it_recovers_from() {
    let (plugin, in_tree) = (made(Method::Plugin, Stop::EndOfArchive), made(Method::InTree, Stop::EndOfArchive));
    assert_eq!(
        plugin["spec"]["externalClusters"][0]["plugin"],
        json!({
            "name": "barman-cloud.cloudnative-pg.io",
            "parameters": {"barmanObjectName": "walproof-20261121t124500z-a1b2c3-store", "serverName": "prod"}
        })
    );
    let without_origin = |mut cluster: Value| {
        cluster["spec"].as_object_mut().unwrap().remove("externalClusters");
        cluster
    };
    assert_eq!(without_origin(plugin), without_origin(in_tree));
}

#[test]
fn the_copied_store_has_our_secret_and_nothing_for_writing() {
    let source = source(Method::Plugin);
    insta::assert_snapshot!(yaml(&object_store(&source, &names(), None).unwrap().shown()));
    assert!(object_store(&self::source(Method::InTree), &names(), None).is_none());
}

#[test]
fn every_target_is_written_as_the_operator_accepts_it() {
    let target = |stop| made(Method::InTree, stop)["spec"]["bootstrap"]["recovery"]["recoveryTarget"].clone();
    let pinned = |mut other: Value| {
        other["backupID"] = "20261121T012331".into();
        other["targetTLI"] = "3".into();
        other
    };
    let time = "2026-11-21T01:23:31.5Z".parse().unwrap();
    assert_eq!(target(Stop::BeforeLsn(Lsn(0x28))), pinned(json!({"targetLSN": "0/28", "exclusive": true})));
    assert_eq!(target(Stop::EndOfArchive), pinned(json!({})));
    assert_eq!(target(Stop::Time(time)), pinned(json!({"targetTime": "2026-11-21T01:23:31.500000Z"})));
    assert_eq!(target(Stop::Xid(731)), pinned(json!({"targetXID": "731"})));
    assert_eq!(target(Stop::RestorePoint("x".into())), pinned(json!({"targetName": "x"})));
}

#[test]
fn the_scratch_cluster_can_archive_nowhere() {
    for method in [Method::InTree, Method::Plugin] {
        let cluster = made(method, Stop::EndOfArchive);
        let spec = cluster["spec"].as_object().unwrap();
        for key in ["backup", "plugins", "replica", "managed", "monitoring"] {
            assert!(!spec.contains_key(key), "{key}");
        }
        assert_eq!(cluster["metadata"]["annotations"]["cnpg.io/skipWalArchiving"], "enabled");
    }
}

#[test]
fn what_starts_jobs_is_not_preloaded_and_that_is_said() {
    let postgresql = made(Method::InTree, Stop::EndOfArchive)["spec"]["postgresql"].clone();
    assert_eq!(postgresql["shared_preload_libraries"], json!(["timescaledb"]));
    assert_eq!(postgresql["parameters"]["timescaledb.max_background_workers"], "0");
    assert_eq!(postgresql["parameters"]["max_logical_replication_workers"], "0");
    let deviations = deviations(&source(Method::InTree), &plan(), &choice(Stop::EndOfArchive)).join("\n");
    assert!(deviations.contains("pg_cron"), "{deviations}");
}

#[test]
fn deviations_say_which_image_and_whose_key() {
    let mut source = source(Method::InTree);
    let text = |source: &SourceCluster, plan: &OperatorSandbox| {
        deviations(source, plan, &choice(Stop::EndOfArchive)).join("\n")
    };
    assert!(text(&source, &plan()).contains("a key of walproof's"));
    source.key = KeyOrigin::Production;
    let with_image = OperatorSandbox { image_override: Some("other:17".to_owned()), ..plan() };
    let text = text(&source, &with_image);
    assert!(text.contains("image other:17 instead of registry.example/postgresql:17.5"), "{text}");
    assert!(!text.contains("key"), "{text}");
}

#[test]
fn no_metadata_of_the_source_is_copied() {
    let text = yaml(&made(Method::InTree, Stop::EndOfArchive));
    assert!(!text.contains("argo") && !text.contains("team"), "{text}");
}

#[test]
fn a_shown_secret_does_not_show_its_values() {
    let secret = store_secret(&source(Method::InTree), &names(), None);
    assert_eq!(secret.object.data["stringData"]["SECRET_ACCESS_KEY"], "key");
    let shown = secret.shown();
    assert_eq!(shown["stringData"]["SECRET_ACCESS_KEY"], "(not shown)");
    assert_eq!(shown["stringData"]["ca.crt"], "(not shown)");
}

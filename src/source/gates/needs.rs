//! What a restore needs beside the archive. All of it tends to live in the cluster that was lost.

use serde_json::Value;

use crate::finding::{Code, Finding};
use crate::source::cluster::{Method, SourceCluster};

pub(super) fn note(source: &SourceCluster) -> Finding {
    Finding::note(Code::RestoreNeeds, format!("beside the archive a restore needs {}", list(source).join("; ")))
        .of(source.text())
        .hint("keep a copy of each outside this cluster")
}

fn list(source: &SourceCluster) -> Vec<String> {
    let spec = &source.cluster.spec;
    let mut needs = vec![match source.image() {
        Some(image) => format!("the image {image}"),
        None => "the image, whose name is not known".to_owned(),
    }];
    let credentials = source.store.s3_credentials.as_ref();
    let key = credentials.and_then(|credentials| Some(&credentials.access_key_id.as_ref()?.name));
    needs.extend(key.map(|name| format!("the object store's key (Secret {name})")));
    needs.extend(source.store.endpoint_ca.as_ref().map(|ca| format!("the store's authority (Secret {})", ca.name)));
    if source.method == Method::Plugin {
        let name = source.object_store.as_ref().map_or(String::new(), |name| format!(" {name}"));
        needs.push(format!("the Barman Cloud plugin and its ObjectStore{name}"));
    }
    needs.extend(spec.image_pull_secrets.iter().map(|secret| format!("the registry's key (Secret {})", secret.name)));
    let is_encrypted = |part: &Option<Value>| {
        part.as_ref().and_then(|part| part.get("encryption")?.as_str()).is_some_and(|kind| kind == "aws:kms")
    };
    if is_encrypted(&source.store.wal) || is_encrypted(&source.store.data) {
        needs.push("the KMS key that encrypts the archive".to_owned());
    }
    for extension in &spec.postgresql.extensions {
        let name = extension.get("name").and_then(Value::as_str).unwrap_or("of an extension");
        let image = extension.pointer("/image/reference").and_then(Value::as_str).unwrap_or("of a catalog");
        needs.push(format!("the image {image} of extension {name}"));
    }
    needs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::fixture::{cluster, object, source, source_of};

    #[test]
    fn an_ordinary_source_needs_its_image_and_its_key() {
        assert_eq!(
            list(&source()),
            [
                "the image registry.example/postgresql:17.5",
                "the object store's key (Secret cnpg-s3-creds)",
                "the registry's key (Secret registry)",
            ]
        );
    }

    #[test]
    fn everything_that_a_restore_asks_for_is_listed() {
        let spec = json!({
            "imageName": "pg@sha256:abc",
            "imagePullSecrets": [{"name": "registry"}],
            "postgresql": {"extensions": [{"name": "postgis", "image": {"reference": "postgis:3"}}, {"name": "x"}]}
        });
        let mut source = source_of(cluster(&json!({}), &spec, &json!({})), Method::Plugin);
        source.object_store = Some("store".to_owned());
        source.store.endpoint_ca = Some(object(json!({"name": "minio-ca", "key": "ca.crt"})));
        source.store.wal = Some(json!({"encryption": "aws:kms"}));
        assert_eq!(
            list(&source),
            [
                "the image pg@sha256:abc",
                "the object store's key (Secret cnpg-s3-creds)",
                "the store's authority (Secret minio-ca)",
                "the Barman Cloud plugin and its ObjectStore store",
                "the registry's key (Secret registry)",
                "the KMS key that encrypts the archive",
                "the image postgis:3 of extension postgis",
                "the image of a catalog of extension x",
            ]
        );
    }
}

//! What was recorded from a real cluster (CloudNativePG 1.28.1 on Kubernetes 1.34), cleaned of secrets. `$NAME` stands
//! for what differs from run to run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A restore that succeeds, and its recovery log.
pub const RESTORED: &str = include_str!("recordings/restored.json");
pub const RESTORED_LOG: &str = include_str!("recordings/restored.log");
/// A restore from a backup that is not there. Its last step, after six retries, is put together from the API's reference.
pub const FAILED: &str = include_str!("recordings/failed.json");
pub const FAILED_LOG: &str = include_str!("recordings/failed.log");
/// A restore whose storage class does not exist.
pub const PENDING: &str = include_str!("recordings/pending.json");
/// A restore whose image does not exist.
pub const IMAGE: &str = include_str!("recordings/image.json");

const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
const SOURCE: &str = include_str!("recordings/source.json");

/// What differs between sources.
#[derive(Debug, Clone)]
pub struct Source {
    pub endpoint: String,
    /// `s3://BUCKET/`.
    pub destination: String,
    pub access_key: String,
    pub secret_key: String,
    /// The ids of its completed backups.
    pub backups: Vec<String>,
    pub major: u32,
    pub system_identifier: u64,
}

impl Source {
    /// The objects of a healthy source `pal-e-postgres` in the namespace `postgres`, and those of the cluster around it:
    /// node, storage classes, the operator's deployment.
    pub fn objects(&self) -> Vec<Value> {
        let major = self.major.to_string();
        let mut values = BTreeMap::from([
            ("ENDPOINT", self.endpoint.clone()),
            ("DESTINATION", self.destination.clone()),
            ("ACCESS_KEY", self.access_key.clone()),
            ("SECRET_KEY", self.secret_key.clone()),
            ("MAJOR", major.clone()),
            ("MAJOR_NUMBER", major),
            ("SYSTEM_IDENTIFIER", self.system_identifier.to_string()),
            ("CLUSTER", "pal-e-postgres".to_owned()),
        ]);
        let mut objects = Vec::new();
        for (index, backup) in self.backups.iter().enumerate() {
            values.insert("BACKUP", backup.clone());
            let recorded: Vec<Value> = serde_json::from_str(&filled_json(SOURCE, &values)).unwrap();
            for mut object in recorded {
                if object["kind"] == "Backup" {
                    object["metadata"]["name"] = Value::String(format!("pal-e-postgres-{}", backup.to_lowercase()));
                } else if index > 0 {
                    continue;
                }
                objects.push(object);
            }
        }
        objects
    }
}

impl Source {
    /// The same objects where the Barman Cloud plugin archives, run by an operator that restores its archives.
    pub fn plugin_objects(&self) -> Vec<Value> {
        let mut objects = self.objects();
        let store = objects
            .iter_mut()
            .find(|object| object["kind"] == "Cluster")
            .map(|cluster| cluster["spec"]["backup"].take()["barmanObjectStore"].take())
            .unwrap();
        for object in &mut objects {
            match object["kind"].as_str() {
                Some("Cluster") => {
                    object["spec"]["plugins"] = json!([{
                        "name": PLUGIN,
                        "isWALArchiver": true,
                        "parameters": {"barmanObjectName": "plugin-store"},
                    }]);
                }
                Some("Backup" | "ScheduledBackup") => {
                    object["spec"]["method"] = json!("plugin");
                    object["spec"]["pluginConfiguration"] = json!({"name": PLUGIN});
                    if object["status"]["method"].is_string() {
                        object["status"]["method"] = json!("plugin");
                    }
                }
                Some("Pod") => object["metadata"]["annotations"]["cnpg.io/operatorVersion"] = json!("1.30.0"),
                _ => {}
            }
        }
        objects.push(json!({
            "apiVersion": "barmancloud.cnpg.io/v1",
            "kind": "ObjectStore",
            "metadata": {"name": "plugin-store", "namespace": "postgres"},
            "spec": {"configuration": store},
        }));
        objects
    }
}

/// A text with its values.
pub fn filled(text: &str, values: &BTreeMap<&'static str, String>) -> String {
    let mut filled = text.to_owned();
    // The longest name first: one name may begin as another.
    for (name, value) in values.iter().rev() {
        filled = filled.replace(&format!("${name}"), value);
    }
    filled
}

/// A JSON text with its values; `"$PORT"` and `"$MAJOR_NUMBER"` become numbers.
pub fn filled_json(text: &str, values: &BTreeMap<&'static str, String>) -> String {
    let mut filled = text.to_owned();
    for (name, value) in values.iter().rev() {
        if matches!(*name, "PORT" | "MAJOR_NUMBER") {
            filled = filled.replace(&format!("\"${name}\""), value);
        }
        let escaped = Value::String(value.clone()).to_string();
        filled = filled.replace(&format!("${name}"), &escaped[1..escaped.len() - 1]);
    }
    filled
}

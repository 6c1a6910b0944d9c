//! The kinds of objects that the API server in memory serves, and the key of one object.

use serde_json::Value;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    pub group: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
    pub is_namespaced: bool,
}

/// Which object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub resource: Resource,
    /// Empty for what belongs to no namespace.
    pub namespace: String,
    pub name: String,
}

const KNOWN: &[(&str, &str, &str, bool)] = &[
    ("", "namespaces", "Namespace", false),
    ("", "nodes", "Node", false),
    ("", "persistentvolumes", "PersistentVolume", false),
    ("storage.k8s.io", "storageclasses", "StorageClass", false),
    ("", "configmaps", "ConfigMap", true),
    ("", "secrets", "Secret", true),
    ("", "services", "Service", true),
    ("", "endpoints", "Endpoints", true),
    ("", "serviceaccounts", "ServiceAccount", true),
    ("", "pods", "Pod", true),
    ("", "events", "Event", true),
    ("", "persistentvolumeclaims", "PersistentVolumeClaim", true),
    ("", "resourcequotas", "ResourceQuota", true),
    ("", "limitranges", "LimitRange", true),
    ("batch", "jobs", "Job", true),
    ("apps", "deployments", "Deployment", true),
    ("networking.k8s.io", "networkpolicies", "NetworkPolicy", true),
    ("postgresql.cnpg.io", "clusters", "Cluster", true),
    ("postgresql.cnpg.io", "backups", "Backup", true),
    ("postgresql.cnpg.io", "scheduledbackups", "ScheduledBackup", true),
    ("postgresql.cnpg.io", "imagecatalogs", "ImageCatalog", true),
    ("postgresql.cnpg.io", "clusterimagecatalogs", "ClusterImageCatalog", false),
    ("barmancloud.cnpg.io", "objectstores", "ObjectStore", true),
];

impl Resource {
    pub fn of_path(group: &str, plural: &str) -> Option<Self> {
        Self::all().find(|resource| resource.group == group && resource.plural == plural)
    }

    #[track_caller]
    pub fn of_object(object: &Value) -> Self {
        let kind = object["kind"].as_str().unwrap_or_else(|| panic!("an object without a kind: {object}"));
        Self::of_kind(kind)
    }

    #[track_caller]
    pub fn of_kind(kind: &str) -> Self {
        Self::all().find(|resource| resource.kind == kind).unwrap_or_else(|| panic!("{kind} is unknown here"))
    }

    /// `clusters.postgresql.cnpg.io`, as in messages.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group) }
    }

    fn all() -> impl Iterator<Item = Self> {
        KNOWN.iter().map(|&(group, plural, kind, is_namespaced)| Self { group, plural, kind, is_namespaced })
    }
}

impl Key {
    #[track_caller]
    pub fn of(object: &Value) -> Self {
        let resource = Resource::of_object(object);
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        Self {
            resource,
            namespace: if resource.is_namespaced { text("namespace") } else { String::new() },
            name: text("name"),
        }
    }

    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { resource: Resource::of_kind(kind), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resource, namespace, name } = self;
        if namespace.is_empty() {
            write!(formatter, "{} {name}", resource.kind)
        } else {
            write!(formatter, "{} {namespace}/{name}", resource.kind)
        }
    }
}

/// In a list of what is left, the short form is enough.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

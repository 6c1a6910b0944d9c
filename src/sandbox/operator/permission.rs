//! Every permission that a drill in Kubernetes uses, as one table: `--plan` prints it, and the Roles in docs/kubernetes/
//! grant it, which a test compares.

use crate::plan::OperatorSandbox;
use crate::source::cluster::{KeyOrigin, Method, SourceCluster};

/// Where a permission is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Source,
    Sandbox,
    /// The namespace that the drill's own pod runs in.
    Job,
}

/// One rule of a Role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    pub place: Place,
    /// Empty for the core group.
    pub group: &'static str,
    pub resource: &'static str,
    pub verbs: &'static [&'static str],
    pub why: &'static str,
}

const fn permission(
    place: Place,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    why: &'static str,
) -> Permission {
    Permission { place, group, resource, verbs, why }
}

/// The drill needs all of these, and uses each. What only answers further questions is in docs/kubernetes/optional/.
pub const PERMISSIONS: &[Permission] = &[
    permission(Place::Source, "postgresql.cnpg.io", "clusters", &["get"], "what is to be restored"),
    permission(Place::Source, "postgresql.cnpg.io", "backups", &["list"], "which base backups completed"),
    permission(Place::Source, "postgresql.cnpg.io", "scheduledbackups", &["list"], "whether backups go on"),
    permission(Place::Source, "barmancloud.cnpg.io", "objectstores", &["get"], "the plugin's archive"),
    permission(Place::Source, "", "pods", &["list"], "the operator's version and the nodes, on the pods"),
    permission(
        Place::Source,
        "",
        "persistentvolumeclaims",
        &["list"],
        "whether archive and database share a storage class; which volumes the drill must not reach",
    ),
    permission(
        Place::Sandbox,
        "postgresql.cnpg.io",
        "clusters",
        &["get", "list", "watch", "create", "delete"],
        "the scratch Cluster; whether others are there",
    ),
    permission(
        Place::Sandbox,
        "barmancloud.cnpg.io",
        "objectstores",
        &["get", "create", "delete"],
        "the plugin's description of the archive",
    ),
    permission(
        Place::Sandbox,
        "",
        "configmaps",
        &["get", "list", "create", "delete"],
        "the owner of each run's objects",
    ),
    permission(
        Place::Sandbox,
        "",
        "secrets",
        &["get", "list", "create", "delete"],
        "the key to the archive; the restored server's password and authority",
    ),
    permission(
        Place::Sandbox,
        "",
        "pods",
        &["get", "list", "watch", "create", "delete"],
        "the network test; how the recovery goes",
    ),
    permission(Place::Sandbox, "", "pods/log", &["get"], "why a recovery failed"),
    permission(Place::Sandbox, "batch", "jobs", &["get", "list", "create", "delete"], "recovery; the app check"),
    permission(Place::Sandbox, "", "events", &["list"], "why a pod does not start"),
    permission(Place::Sandbox, "", "persistentvolumeclaims", &["list"], "whether the volumes are gone"),
    permission(Place::Sandbox, "", "services", &["get"], "where the restored server listens"),
    permission(Place::Sandbox, "", "resourcequotas", &["list"], "whether there is room"),
    permission(Place::Job, "", "pods", &["get"], "whether the pod of a former run is gone"),
    permission(Place::Job, "", "configmaps", &["get", "update"], "the history, by its name alone"),
];

/// The permissions as a person reads them, with the namespaces of this plan.
pub fn text(source: &SourceCluster, sandbox: &OperatorSandbox, is_inside: bool) -> String {
    let mut lines = Vec::new();
    for permission in PERMISSIONS {
        if permission.resource == "objectstores" && source.method == Method::InTree {
            continue;
        }
        let namespace = match permission.place {
            Place::Source => &source.namespace,
            Place::Sandbox => &sandbox.namespace,
            // Each former run names its own.
            Place::Job => "(the job's namespace)",
        };
        let group = if permission.group.is_empty() { String::new() } else { format!(".{}", permission.group) };
        let verbs = permission.verbs.join(",");
        lines.push(format!("  {namespace}: {verbs} {}{group}   ({})", permission.resource, permission.why));
    }
    if source.key == KeyOrigin::Production
        && let Some(secret) = source.store.s3_credentials.as_ref().and_then(|keys| keys.access_key_id.as_ref())
    {
        lines.push(format!("  {}: get secrets {}   (production's own key)", source.namespace, secret.name));
    }
    if let Some(authority) = &source.store.endpoint_ca {
        lines.push(format!("  {}: get secrets {}   (the store's authority)", source.namespace, authority.name));
    }
    if !is_inside {
        let namespace = &sandbox.namespace;
        lines.push(format!("  {namespace}: create pods/portforward   (outside of the cluster: the way to the server)"));
    }
    lines.join("\n")
}

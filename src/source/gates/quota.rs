//! The quotas of the sandbox's namespace against what a run makes there.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Api;

use super::unread;
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::{self, ApiError, Kubernetes};
use crate::plan::OperatorSandbox;
use crate::sandbox::operator::room::{Sizes, quantity};
use crate::source::cluster::{Method, SourceCluster};

/// Secrets that the operator makes for a Cluster (CA, server, replication, superuser, application), and the copied key.
const SECRETS: u128 = 6;
/// `-rw`, `-r` and `-ro`.
const SERVICES: u128 = 3;
/// The owner.
const CONFIG_MAPS: u128 = 1;

/// What a run needs at once, in thousandths, under the names that a quota has for it.
type Needs = BTreeMap<String, u128>;

pub(super) async fn ask(
    kubernetes: &Kubernetes,
    source: &SourceCluster,
    sandbox: &OperatorSandbox,
    sizes: &Sizes,
) -> Finding {
    let quotas: Api<ResourceQuota> = Api::namespaced(kubernetes.client.clone(), &sandbox.namespace);
    let doing = format!("list the quotas of namespace {}", sandbox.namespace);
    let quotas = kubernetes::list(&quotas, &doing, "").await;
    judge(&sandbox.namespace, &quotas, &needs(source, sandbox, sizes))
}

fn needs(source: &SourceCluster, sandbox: &OperatorSandbox, sizes: &Sizes) -> Needs {
    let mut needs = Needs::new();
    let mut need = |names: &[&str], thousandths: u128| {
        for name in names {
            needs.insert((*name).to_owned(), thousandths);
        }
    };
    // The network test's pod ends before the recovery's begins, and that before the server's; the app's runs beside it.
    let pods = if sandbox.app.is_some() { 2 } else { 1 };
    let jobs = pods;
    let volumes = u128::try_from(sizes.volumes().count()).unwrap_or(u128::MAX);
    need(&["requests.storage"], u128::from(sizes.bytes()) * 1000);
    need(&["persistentvolumeclaims", "count/persistentvolumeclaims"], volumes * 1000);
    need(&["pods", "count/pods"], pods * 1000);
    need(&["count/jobs.batch"], jobs * 1000);
    need(&["secrets", "count/secrets"], SECRETS * 1000);
    need(&["services", "count/services"], SERVICES * 1000);
    need(&["configmaps", "count/configmaps"], CONFIG_MAPS * 1000);
    need(&["count/clusters.postgresql.cnpg.io"], 1000);
    if source.method == Method::Plugin {
        need(&["count/objectstores.barmancloud.cnpg.io"], 1000);
    }
    let resources = source.cluster.spec.resources.as_ref();
    let asked = |kind: &str, resource: &str| {
        let value = resources?.get(kind)?.get(resource)?;
        quantity::thousandths(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    for resource in ["cpu", "memory"] {
        // Without a request, the limit is the request.
        if let Some(request) = asked("requests", resource).or_else(|| asked("limits", resource)) {
            need(&[resource, &format!("requests.{resource}")], request);
        }
        if let Some(limit) = asked("limits", resource) {
            need(&[&format!("limits.{resource}")], limit);
        }
    }
    needs
}

fn judge(namespace: &str, quotas: &Result<Vec<ResourceQuota>, ApiError>, needs: &Needs) -> Finding {
    let code = Code::SandboxQuota;
    let quotas = match quotas {
        Ok(quotas) => quotas,
        Err(error) => {
            let summary = "whether a quota leaves room for the sandbox is not known";
            let permission = format!("`list` on resourcequotas in namespace {namespace}");
            return unread(code, summary, error, &permission).of(namespace);
        }
    };
    // A quota with a scope counts only some pods, which may not be ours.
    let counts_all = |quota: &&ResourceQuota| {
        quota.spec.as_ref().is_none_or(|spec| spec.scopes.is_none() && spec.scope_selector.is_none())
    };
    let short: Vec<String> = quotas.iter().filter(counts_all).flat_map(|quota| shortages(quota, needs)).collect();
    if short.is_empty() {
        let summary = match quotas.len() {
            0 => "the sandbox's namespace has no quota",
            _ => "the quota of the sandbox's namespace leaves room",
        };
        return Finding::passed(code, summary).of(namespace);
    }
    Finding::failed(code, Blame::Environment, "the quota of the sandbox's namespace does not leave enough room")
        .of(namespace)
        .observed(short.join("; "))
        .hint("raise the quota, or lower `sandbox.operator.storageFactor` if it is about storage")
}

fn shortages(quota: &ResourceQuota, needs: &Needs) -> Vec<String> {
    let name = quota.metadata.name.as_deref().unwrap_or_default();
    let Some(status) = &quota.status else { return Vec::new() };
    let read =
        |values: &Option<BTreeMap<String, Quantity>>, key: &str| quantity::thousandths(&values.as_ref()?.get(key)?.0);
    let short = needs.iter().filter_map(|(key, &needed)| {
        let hard = read(&status.hard, key)?;
        let left = hard.saturating_sub(read(&status.used, key).unwrap_or(0));
        (left < needed)
            .then(|| format!("{key}: {} left of quota {name}, {} needed", shown(key, left), shown(key, needed)))
    });
    short.collect()
}

fn shown(key: &str, thousandths: u128) -> String {
    if key.ends_with("memory") || key.ends_with("storage") {
        return format!("{}Mi", thousandths / 1000 / (1 << 20));
    }
    if thousandths.is_multiple_of(1000) { (thousandths / 1000).to_string() } else { format!("{thousandths}m") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::finding::Outcome;
    use crate::source::fixture::{api_error, cluster, object, source_of};

    fn our_needs() -> Needs {
        let spec = json!({"resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "1Gi", "cpu": 2}}});
        let source = source_of(cluster(&json!({}), &spec, &json!({})), Method::InTree);
        let sandbox =
            OperatorSandbox { namespace: "sandbox".to_owned(), image_override: None, storage_factor: 2.0, app: None };
        let sizes = Sizes { data: "4096Mi".to_owned(), wal: Some("1024Mi".to_owned()), tablespaces: vec![] };
        needs(&source, &sandbox, &sizes)
    }

    fn quota(spec: &Value, hard: &Value, used: &Value) -> ResourceQuota {
        object(json!({"metadata": {"name": "q"}, "spec": spec, "status": {"hard": hard, "used": used}}))
    }

    #[test]
    fn a_quota_must_leave_room_for_everything_a_run_makes() {
        for (name, hard, used, expected) in [
            ("exactly enough", json!({"requests.storage": "10Gi"}), json!({"requests.storage": "5Gi"}), None),
            (
                "storage",
                json!({"requests.storage": "10Gi"}),
                json!({"requests.storage": "6Gi"}),
                Some("requests.storage: 4096Mi left of quota q, 5120Mi needed"),
            ),
            (
                "claims",
                json!({"persistentvolumeclaims": "1"}),
                json!({}),
                Some("persistentvolumeclaims: 1 left of quota q, 2 needed"),
            ),
            (
                "cpu",
                json!({"requests.cpu": "1"}),
                json!({"requests.cpu": "960m"}),
                Some("requests.cpu: 40m left of quota q, 50m needed"),
            ),
            ("limits", json!({"limits.cpu": "1500m"}), json!({}), Some("limits.cpu: 1500m left of quota q, 2 needed")),
            (
                "a limit is the request",
                json!({"memory": "512Mi"}),
                json!({}),
                Some("memory: 512Mi left of quota q, 1024Mi needed"),
            ),
            ("overdrawn", json!({"pods": "2"}), json!({"pods": "3"}), Some("pods: 0 left of quota q, 1 needed")),
            (
                "Clusters",
                json!({"count/clusters.postgresql.cnpg.io": "0"}),
                json!({}),
                Some("count/clusters.postgresql.cnpg.io: 0 left of quota q, 1 needed"),
            ),
            ("not ours", json!({"services.loadbalancers": "0"}), json!({}), None),
        ] {
            let finding = judge("sandbox", &Ok(vec![quota(&json!({}), &hard, &used)]), &our_needs());
            assert_eq!(finding.observed.as_deref(), expected, "{name}");
            assert_eq!(finding.outcome == Outcome::Failed, expected.is_some(), "{name}");
        }
    }

    #[test]
    fn no_quota_leaves_room_and_an_unreadable_one_is_a_note() {
        assert_eq!(judge("sandbox", &Ok(vec![]), &our_needs()).outcome, Outcome::Passed);
        assert_eq!(judge("sandbox", &Err(api_error(403)), &our_needs()).outcome, Outcome::Note);
        let scoped = quota(&json!({"scopes": ["BestEffort"]}), &json!({"pods": "0"}), &json!({}));
        assert_eq!(judge("sandbox", &Ok(vec![scoped]), &our_needs()).outcome, Outcome::Passed);
    }
}

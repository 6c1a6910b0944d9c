//! Removing what killed drills left in the sandbox's namespace: only what has our label, a run's name, and is expired
//! or held by a pod that is gone.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::names::{EXPIRES_ANNOTATION, Names};
use super::{Made, Sandbox, manifest};
use crate::cnpg;
use crate::kubernetes::{self, Kubernetes, holder};
use crate::plan::CLOCK_SKEW;
use crate::sandbox::Swept;

/// Removes the leftovers of all sources; what a living run owns is not touched.
pub async fn sweep(kubernetes: &Kubernetes, namespace: &str, now: Timestamp) -> Vec<Swept> {
    let owners: Api<ConfigMap> = Api::namespaced(kubernetes.client.clone(), namespace);
    let doing = format!("look for leftovers in the namespace {namespace}");
    let found = match kubernetes::list(&owners, &doing, &Names::any_selector()).await {
        Ok(found) => found,
        Err(error) => return vec![Swept::Left(format!("whether something is left is not known: {error}"))],
    };
    let mut swept = Vec::new();
    for owner in found {
        let Some(name) = owner.metadata.name.as_deref() else { continue };
        let Some(run) = Names::run_of(name) else { continue };
        let expires = owner.metadata.annotations.as_ref().and_then(|all| all.get(EXPIRES_ANNOTATION)?.parse().ok());
        let is_expired = expires.is_some_and(|expires: Timestamp| expires + CLOCK_SKEW < now);
        let holder = owner.data.as_ref().and_then(|data| data.get("holder")).map_or("", String::as_str);
        if !is_expired && !holder::is_gone(kubernetes, holder).await {
            continue;
        }
        let names = Names::new(namespace, run, "", now);
        let text = format!("{namespace}/{name}");
        let left = Sandbox::of_leftover(kubernetes.clone(), names).tear_down().await;
        swept.push(if left.is_empty() { Swept::Removed(text) } else { Swept::Left(left.join("; ")) });
    }
    swept
}

impl Sandbox {
    /// What a run of these names may have made.
    fn of_leftover(kubernetes: Kubernetes, names: Names) -> Self {
        let made = |resource, name: &str| Made { resource, name: name.to_owned() };
        let everything = vec![
            made(manifest::core("ConfigMap"), &names.name),
            made(manifest::core("Secret"), &names.store()),
            made(cnpg::object_stores(), &names.store()),
            made(manifest::core("Pod"), &names.network()),
            made(cnpg::clusters(), &names.name),
            made(manifest::job(), &names.app()),
        ];
        Self { made: everything, ..Self::new(kubernetes, names, false) }
    }
}

//! The operator's version, and what is known of it: an operator restores as its code says, not as the archive deserves.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use super::surroundings::Surroundings;
use super::unread;
use crate::archive::inventory::Inventory;
use crate::cnpg::OPERATOR_VERSION_ANNOTATION;
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::{self, ApiError, Kubernetes};
use crate::source::cluster::Method;
use crate::target::Choice;

/// The operator's deployment, whatever it is called.
const OPERATOR_LABEL: &str = "app.kubernetes.io/name=cloudnative-pg";
const USUAL_NAMESPACE: &str = "cnpg-system";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

/// The version and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub version: Version,
    from: String,
}

/// `spec.backup.barmanObjectStore` is deprecated from here (release notes of 1.26) …
const IN_TREE_DEPRECATED: Version = Version::new(1, 26, 0);
/// … and gone from here (release notes of 1.30).
const IN_TREE_GONE: Version = Version::new(1, 31, 0);
/// The Barman Cloud plugin needs this one (its documentation).
const PLUGIN_FROM: Version = Version::new(1, 26, 0);
/// Recovery through a plugin silently stops at the base backup's timeline: brought in by cloudnative-pg #9650 and #9849,
/// fixed by #10818. First and last version of each range.
const STOPS_AT_TIMELINE: [(Version, Version); 3] = [
    (Version::new(1, 27, 3), Version::new(1, 27, 4)),
    (Version::new(1, 28, 1), Version::new(1, 28, 3)),
    (Version::new(1, 29, 0), Version::new(1, 29, 1)),
];
const STOPS_AT_TIMELINE_HINT: &str = "upgrade the operator to 1.28.4, 1.29.2 or 1.30.0: in this one a recovery through \
     the plugin silently stops where the base backup's timeline ends";

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// `1.28.1`, `v1.28`, `1.30.0-rc1`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.trim().trim_start_matches('v').split(['-', '+']).next()?;
        let mut parts = number.split('.').map(str::parse);
        let version = Self::new(parts.next()?.ok()?, parts.next()?.ok()?, parts.next().unwrap_or(Ok(0)).ok()?);
        parts.next().is_none().then_some(version)
    }

    fn stops_at_timeline(self) -> bool {
        STOPS_AT_TIMELINE.iter().any(|(first, last)| (*first..=*last).contains(&self))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The version, or the finding that says why it is not known.
pub(super) async fn ask(kubernetes: &Kubernetes, surroundings: &Surroundings) -> Result<Known, Box<Finding>> {
    if let Ok(pods) = &surroundings.pods
        && let Some(known) = of_pods(pods)
    {
        return Ok(known);
    }
    let everywhere: Api<Deployment> = Api::all(kubernetes.client.clone());
    let usual: Api<Deployment> = Api::namespaced(kubernetes.client.clone(), USUAL_NAMESPACE);
    let doing = "list the operator's deployment";
    let deployments = match kubernetes::list(&everywhere, doing, OPERATOR_LABEL).await {
        Ok(deployments) => Ok(deployments),
        Err(_) => kubernetes::list(&usual, doing, OPERATOR_LABEL).await,
    };
    match (deployments.as_deref().map(of_deployments), &surroundings.pods) {
        (Ok(Some(known)), _) => Ok(known),
        (_, Err(error)) => Err(Box::new(unknown(Some(error)))),
        (Ok(None) | Err(_), Ok(_)) => Err(Box::new(unknown(None))),
    }
}

fn unknown(error: Option<&ApiError>) -> Finding {
    let summary = "the operator's version is not known, and with it whether it restores this archive right";
    match error {
        Some(error) => unread(Code::OperatorVersion, summary, error, "`list` on pods in the source's namespace"),
        None => Finding::note(Code::OperatorVersion, summary)
            .observed(format!("no pod of the source has the annotation {OPERATOR_VERSION_ANNOTATION}"))
            .hint(format!("grant `list` on deployments in namespace {USUAL_NAMESPACE}: docs/kubernetes.md")),
    }
}

/// Instances are updated one after another: the newest version is the operator's.
fn of_pods(pods: &[Pod]) -> Option<Known> {
    let annotations = pods.iter().filter_map(|pod| pod.metadata.annotations.as_ref()?.get(OPERATOR_VERSION_ANNOTATION));
    let versions: BTreeSet<Version> = annotations.filter_map(|text| Version::parse(text)).collect();
    let newest = *versions.last()?;
    let from = if versions.len() == 1 {
        "the annotation of the source's pods".to_owned()
    } else {
        let all: Vec<String> = versions.iter().map(ToString::to_string).collect();
        format!("the newest annotation of the source's pods, which say {}", all.join(" and "))
    };
    Some(Known { version: newest, from })
}

fn of_deployments(deployments: &[Deployment]) -> Option<Known> {
    let version = |deployment: &Deployment| {
        let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
        let image = pod.containers.first()?.image.as_deref()?;
        let image = image.split('@').next()?;
        Version::parse(image.rsplit('/').next()?.rsplit_once(':')?.1)
    };
    let version = deployments.iter().filter_map(version).max()?;
    Some(Known { version, from: "the image of the operator's deployment".to_owned() })
}

/// What is known of the version with this method, whatever the target.
pub(super) fn judge(method: Method, known: &Result<Known, Box<Finding>>) -> Finding {
    let known = match known {
        Ok(known) => known,
        Err(finding) => return (**finding).clone(),
    };
    let version = known.version;
    let code = Code::OperatorVersion;
    let text = format!("CloudNativePG {version} ({})", known.from);
    match method {
        Method::InTree if version >= IN_TREE_GONE => {
            Finding::failed(code, Blame::Environment, "the operator no longer restores `spec.backup.barmanObjectStore`")
                .of(version.to_string())
                .expected(format!("an operator before {IN_TREE_GONE}, or the Barman Cloud plugin"))
                .observed(text)
                .hint("migrate the source to the Barman Cloud plugin; the archive stays where it is")
        }
        Method::InTree if version >= IN_TREE_DEPRECATED => Finding::note(
            code,
            format!("{text} still restores `spec.backup.barmanObjectStore`, {IN_TREE_GONE} will not"),
        )
        .of(version.to_string())
        .hint("migrate the source to the Barman Cloud plugin before the operator is upgraded"),
        Method::Plugin if version < PLUGIN_FROM => {
            Finding::failed(code, Blame::Environment, "the operator is too old for the Barman Cloud plugin")
                .of(version.to_string())
                .expected(format!("{PLUGIN_FROM} or newer"))
                .observed(text)
                .hint("upgrade the operator")
        }
        Method::Plugin if version.stops_at_timeline() => {
            Finding::note(code, format!("{text} cannot recover through the plugin from one timeline into another"))
                .of(version.to_string())
                .hint(STOPS_AT_TIMELINE_HINT)
        }
        Method::InTree | Method::Plugin => Finding::passed(code, format!("{text} restores with this method")),
    }
}

/// What is known of the version when recovery leaves the base backup's timeline; None when it does not matter.
pub(super) fn across_timelines(
    method: Method,
    known: &Result<Known, Box<Finding>>,
    inventory: &Inventory,
    choice: &Choice,
) -> Option<Finding> {
    let begin = inventory.backup(&choice.backup)?.info.as_ref().ok()?.timeline?;
    let end = choice.history.timeline;
    if method == Method::InTree || begin == end {
        return None;
    }
    let way = format!("recovery goes from timeline {begin} of base backup {} to timeline {end}", choice.backup);
    let code = Code::OperatorVersion;
    match known {
        Ok(known) if known.version.stops_at_timeline() => Some(
            Finding::failed(code, Blame::Environment, format!("{way}, which this operator cannot"))
                .of(known.version.to_string())
                .expected("an operator that follows timelines: 1.28.4, 1.29.2, 1.30.0 and later")
                .observed(format!("CloudNativePG {} ({})", known.version, known.from))
                .hint(STOPS_AT_TIMELINE_HINT),
        ),
        Ok(_) => None,
        Err(_) => Some(
            Finding::note(code, format!("{way}; whether this operator can is not known")).hint(STOPS_AT_TIMELINE_HINT),
        ),
    }
}

#[cfg(test)]
mod tests;

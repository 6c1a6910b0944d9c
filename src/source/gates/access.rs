//! The proof that the drill cannot write to production: the API server is asked by name about each object that matters,
//! and for every rule that our identity has in the source's namespace. A question without a name is answered "no"
//! although a Role names one object, and the list of rules may be incomplete, so both are asked.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SelfSubjectRulesReview,
    SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
};
use kube::Api;

use super::surroundings::Surroundings;
use super::{WriteAccess, backups, listed};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::{self, ApiError, Kubernetes};
use crate::source::cluster::SourceCluster;

const READING: [&str; 3] = ["get", "list", "watch"];
/// A way into a container or past the API server, whatever the verb: the streams begin with a GET.
const REACHING: [&str; 6] =
    ["pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy"];
const CNPG: &str = "postgresql.cnpg.io";

/// One thing that the drill must not be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    verb: &'static str,
    group: &'static str,
    /// `pods/exec` names a subresource.
    resource: &'static str,
    name: Option<String>,
    namespaced: bool,
}

/// The API server's answers.
struct Answers {
    /// The questions, and whether they were answered with yes.
    by_name: Vec<(String, Result<bool, ApiError>)>,
    rules: Result<SubjectRulesReviewStatus, ApiError>,
    /// Every pod and claim of the source was known, and so asked about.
    all_instances: bool,
}

/// Who asked, and what a person said to it.
#[derive(Clone, Copy)]
struct Asker<'a> {
    user: &'a str,
    inside: bool,
    writes: WriteAccess,
}

pub(super) async fn ask(
    kubernetes: &Kubernetes,
    source: &SourceCluster,
    surroundings: &Surroundings,
    writes: WriteAccess,
) -> Finding {
    let questions = questions(source, surroundings);
    let by_name = questions.iter().map(|question| answer(kubernetes, &source.namespace, question));
    let by_name = join_all(by_name.collect::<Vec<_>>());
    let (by_name, rules) = tokio::join!(by_name, rules(kubernetes, &source.namespace));
    let asker = Asker { user: &kubernetes.identity.user, inside: kubernetes.is_inside(), writes };
    let all_instances = surroundings.pods.is_ok() && surroundings.claims.is_ok();
    judge(&Answers { by_name, rules, all_instances }, source, asker)
}

async fn answer(kubernetes: &Kubernetes, namespace: &str, question: &Question) -> (String, Result<bool, ApiError>) {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(kubernetes.client.clone());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(question.attributes(namespace)),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let text = question.text();
    let answer = kubernetes::create(&reviews, &format!("ask whether we may {text}"), &review).await;
    (text, answer.map(|review| review.status.is_some_and(|status| status.allowed)))
}

async fn rules(kubernetes: &Kubernetes, namespace: &str) -> Result<SubjectRulesReviewStatus, ApiError> {
    let api: Api<SelfSubjectRulesReview> = Api::all(kubernetes.client.clone());
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let doing = format!("ask for our rights in namespace {namespace}");
    let answer = kubernetes::create(&api, &doing, &review).await?;
    // No status is no list.
    Ok(answer.status.unwrap_or_else(|| SubjectRulesReviewStatus { incomplete: true, ..Default::default() }))
}

/// What is asked by name. Everything else is covered by the rules.
fn questions(source: &SourceCluster, surroundings: &Surroundings) -> Vec<Question> {
    let cluster = Some(source.name.clone());
    let (pods, claims) = instances(source, surroundings);
    let backup = surroundings.backups.as_ref().ok().and_then(|all| backups::newest_completed(all));
    let backup = backup.and_then(|backup| backup.metadata.name.clone());
    let scheduled = surroundings.scheduled.as_ref().ok().and_then(|all| all.first()?.metadata.name.clone());
    let key = source.store.s3_credentials.as_ref().and_then(|credentials| credentials.access_key_id.as_ref());
    let key = key.map(|reference| reference.name.clone());
    let in_namespace = |verb, group, resource, name: &Option<String>| Question {
        verb,
        group,
        resource,
        name: name.clone(),
        namespaced: true,
    };
    let mut questions = vec![
        in_namespace("update", CNPG, "clusters", &cluster),
        in_namespace("patch", CNPG, "clusters", &cluster),
        in_namespace("delete", CNPG, "clusters", &cluster),
        in_namespace("patch", CNPG, "clusters/status", &cluster),
        in_namespace("create", CNPG, "backups", &None),
        in_namespace("delete", CNPG, "backups", &backup),
        in_namespace("patch", CNPG, "scheduledbackups", &scheduled),
        // A pod made there could mount everything.
        in_namespace("create", "", "pods", &None),
        in_namespace("update", "", "secrets", &key),
        in_namespace("delete", "", "secrets", &key),
        in_namespace("create", "", "serviceaccounts/token", &cluster),
        in_namespace("impersonate", "", "serviceaccounts", &cluster),
        in_namespace("create", "rbac.authorization.k8s.io", "rolebindings", &None),
        in_namespace("bind", "rbac.authorization.k8s.io", "roles", &None),
        in_namespace("escalate", "rbac.authorization.k8s.io", "roles", &None),
    ];
    for pod in pods {
        let of_pod = |verb, resource| in_namespace(verb, "", resource, &Some(pod.clone()));
        questions.extend([
            of_pod("delete", "pods"),
            of_pod("create", "pods/exec"),
            of_pod("get", "pods/exec"),
            of_pod("create", "pods/attach"),
            of_pod("create", "pods/portforward"),
            of_pod("patch", "pods/ephemeralcontainers"),
        ]);
    }
    questions.extend(claims.into_iter().map(|name| in_namespace("delete", "", "persistentvolumeclaims", &Some(name))));
    let doors = database_secrets(source);
    questions.extend(doors.into_iter().map(|name| in_namespace("get", "", "secrets", &Some(name))));
    if source.object_store.is_some() {
        questions.push(in_namespace("patch", "barmancloud.cnpg.io", "objectstores", &source.object_store));
    }
    for resource in ["users", "groups"] {
        questions.push(Question { verb: "impersonate", group: "", resource, name: None, namespaced: false });
    }
    questions
}

/// The names of the source's pods and claims. CloudNativePG calls an instance's claim as its pod.
fn instances(source: &SourceCluster, surroundings: &Surroundings) -> (BTreeSet<String>, BTreeSet<String>) {
    let primary = source.cluster.status.as_ref().and_then(|status| status.current_primary.clone());
    let primary = primary.unwrap_or_else(|| format!("{}-1", source.name));
    let pods = surroundings.pods.iter().flatten().filter_map(|pod| pod.metadata.name.clone());
    let claims = surroundings.claims.iter().flatten().filter_map(|claim| claim.metadata.name.clone());
    (pods.chain([primary.clone()]).collect(), claims.chain([primary]).collect())
}

/// The Secrets that open production's database: with them nobody needs the API server to write.
fn database_secrets(source: &SourceCluster) -> BTreeSet<String> {
    let own = ["superuser", "app", "ca", "replication"];
    let mut names: BTreeSet<String> = own.iter().map(|suffix| format!("{}-{suffix}", source.name)).collect();
    let spec = &source.cluster.spec;
    let bootstrap = spec.bootstrap.as_ref();
    for method in ["initdb", "recovery"] {
        let given = bootstrap.and_then(|bootstrap| bootstrap.pointer(&format!("/{method}/secret/name"))?.as_str());
        names.extend(given.map(str::to_owned));
    }
    let passwords = spec.managed.roles.iter().filter_map(|role| role.password_secret.as_ref());
    names.extend(spec.superuser_secret.iter().chain(passwords).map(|secret| secret.name.clone()));
    names
}

impl Question {
    fn attributes(&self, namespace: &str) -> ResourceAttributes {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ResourceAttributes {
            verb: given(self.verb),
            group: given(self.group),
            resource: given(resource),
            subresource: given(subresource),
            name: self.name.clone(),
            namespace: self.namespaced.then(|| namespace.to_owned()),
            ..ResourceAttributes::default()
        }
    }

    fn text(&self) -> String {
        let name = self.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        format!("{} {}{group}{name}", self.verb, self.resource)
    }
}

fn judge(answers: &Answers, source: &SourceCluster, asker: Asker) -> Finding {
    let doors = database_secrets(source);
    let mut allowed = BTreeSet::new();
    if let Ok(rules) = &answers.rules {
        allowed.extend(rules.resource_rules.iter().flat_map(|rule| powers(rule, &doors)));
    }
    let by_name = answers.by_name.iter();
    allowed.extend(by_name.filter(|(_, answer)| matches!(answer, Ok(true))).map(|(text, _)| text.clone()));
    if !allowed.is_empty() {
        return found(&allowed.into_iter().collect::<Vec<_>>(), source, asker);
    }
    let count = answers.by_name.len();
    let unanswered = answers.by_name.iter().find_map(|(_, answer)| answer.as_ref().err());
    match (&answers.rules, unanswered) {
        (Err(error), _) | (Ok(_), Some(error)) => Finding::not_checked(
            Code::AccessCanWrite,
            "the API server did not say whether the drill could write to production",
        )
        .of(source.text())
        .observed(error.to_string())
        .hint("access reviews are allowed to every identity by the ClusterRole system:basic-user"),
        (Ok(rules), None) if rules.incomplete && !answers.all_instances => Finding::not_checked(
            Code::AccessCanWrite,
            "whether the drill could write to every pod and volume of production is not known",
        )
        .of(source.text())
        .observed(
            "the API server's own list of rules was incomplete, and the source's pods or claims could not be listed",
        )
        .hint("grant `list` on pods and persistentvolumeclaims in the source's namespace: docs/kubernetes.md"),
        (Ok(rules), None) => {
            let how = if rules.incomplete {
                format!(
                    "{count} questions by name, about every pod, claim and Secret of the source, were all answered no; \
                     the API server's own list of rules was incomplete"
                )
            } else {
                format!("no rule in the source's namespace writes, and {count} questions by name were answered no")
            };
            Finding::passed(Code::AccessCanWrite, how).of(source.text())
        }
    }
}

fn found(allowed: &[String], source: &SourceCluster, asker: Asker) -> Finding {
    let Asker { user, inside, writes } = asker;
    if writes == WriteAccess::Accepted && !inside {
        let summary = format!("{user} could write to production; --accept-write-access was given");
        return Finding::note(Code::AccessCanWrite, summary)
            .of(source.text())
            .observed(listed(allowed))
            .hint("better: `--as system:serviceaccount:walproof:walproof`, the drill's own identity");
    }
    let summary = match writes {
        WriteAccess::Accepted => {
            format!("{user} could write to production, and inside the cluster --accept-write-access is of no use")
        }
        WriteAccess::Refused => format!("{user} could write to production"),
    };
    let hint = if user.starts_with("system:serviceaccount:") {
        format!("take these rights in namespace {} from the Roles bound to {user}", source.namespace)
    } else {
        "act as the drill's own identity: `--as system:serviceaccount:walproof:walproof`".to_owned()
    };
    Finding::failed(Code::AccessCanWrite, Blame::Environment, summary)
        .of(source.text())
        .expected("get, list and watch alone, and no Secret that opens the database")
        .observed(listed(allowed))
        .hint(hint)
}

/// What one rule allows beyond reading, one text a resource.
fn powers(rule: &ResourceRule, doors: &BTreeSet<String>) -> Vec<String> {
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    let names = rule.resource_names.as_deref().unwrap_or_default();
    let opens_a_door = names.is_empty() || names.iter().any(|name| doors.contains(name));
    let is_core = groups.iter().any(|group| group.is_empty() || group == "*");
    let mut powers = Vec::new();
    for resource in rule.resources.as_deref().unwrap_or_default() {
        let reads_secrets = is_core && opens_a_door && matches!(resource.as_str(), "secrets" | "*");
        let (parent, child) = resource.split_once('/').unwrap_or((resource, ""));
        let reaches = is_core
            && (REACHING.contains(&resource.as_str())
                || resource == "*"
                || (parent == "*" && REACHING.iter().any(|reaching| reaching.ends_with(&format!("/{child}"))))
                || child == "*");
        // Questions about rights change nothing, and everybody may ask them.
        let is_question = |verb: &str| verb == "create" && parent.ends_with("reviews");
        let beyond = |verb: &&str| !is_question(verb) && (!READING.contains(verb) || reads_secrets || reaches);
        let verbs: Vec<&str> = rule.verbs.iter().map(String::as_str).filter(beyond).collect();
        if !verbs.is_empty() {
            let group = groups.iter().find(|group| !group.is_empty()).map(|group| format!(".{group}"));
            let names = if names.is_empty() { String::new() } else { format!(" {}", names.join(" ")) };
            powers.push(format!("{} {resource}{}{names}", verbs.join("+"), group.unwrap_or_default()));
        }
    }
    powers
}

#[cfg(test)]
mod tests;

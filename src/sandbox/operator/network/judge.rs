//! What the network test found, from the lines that its pod wrote. The lines are read strictly: a pod that says anything
//! else has shown nothing.

use serde_json::json;

use super::{PRODUCTION_PORT, STRAY_HOST, STRAY_PORT, production_host};
use crate::finding::{Blame, Code, Finding};
use crate::sandbox::operator::names::PROGRAM;
use crate::source::cluster::SourceCluster;
use crate::source::endpoint::{Endpoint, Service};

const STORE_SUMMARY: &str = "a pod with the labels of the recovery pod does not reach the object store";

/// How one connection went.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// With the first line of an HTTP answer, where one was asked for.
    Open(Option<String>),
    /// Connected, and no HTTP answer came.
    Silent,
    Refused,
    Unreachable,
    Timeout,
    NameUnknown,
    NameUnanswered,
    /// In a way that the pod has no word for.
    Failed,
}

/// Both findings of the test. `namespace` is the sandbox's.
pub fn judge(output: &str, source: &SourceCluster, endpoint: &Endpoint, namespace: &str) -> Vec<Finding> {
    let said = |subject: &str| {
        let mut lines = output.lines().filter_map(|line| line.strip_prefix(subject)?.strip_prefix(' '));
        lines.next_back().and_then(Answer::parse)
    };
    vec![store(said("store"), endpoint, namespace), egress(said("production"), said("stray"), source)]
}

impl Answer {
    fn parse(words: &str) -> Option<Self> {
        let answer = match words {
            "open" => Self::Open(None),
            "silent" => Self::Silent,
            "refused" => Self::Refused,
            "unreachable" => Self::Unreachable,
            "timeout" => Self::Timeout,
            "name-unknown" => Self::NameUnknown,
            "name-unanswered" => Self::NameUnanswered,
            "failed" => Self::Failed,
            _ => {
                let (version, status) = words.strip_prefix("open HTTP/")?.split_once(' ')?;
                let is_version = version.len() <= 3 && version.chars().all(|c| c.is_ascii_digit() || c == '.');
                let is_status = status.len() == 3 && status.chars().all(|c| c.is_ascii_digit());
                return (is_version && is_status).then(|| Self::Open(Some(format!("HTTP/{version} {status}"))));
            }
        };
        Some(answer)
    }

    fn text(&self) -> String {
        match self {
            Self::Open(None) => "the connection opened".to_owned(),
            Self::Open(Some(line)) => format!("it answers {line}"),
            Self::Silent => "the connection opened, but no HTTP answer came within 3 s".to_owned(),
            Self::Refused => "the connection was refused".to_owned(),
            Self::Unreachable => "the network says that it is unreachable".to_owned(),
            Self::Timeout => "no connection within 3 s".to_owned(),
            Self::NameUnknown => "its name is not known".to_owned(),
            Self::NameUnanswered => "nobody answers when its name is looked up".to_owned(),
            Self::Failed => "the connection failed".to_owned(),
        }
    }
}

fn store(answer: Option<Answer>, endpoint: &Endpoint, namespace: &str) -> Finding {
    let place = endpoint.text();
    let Some(answer) = answer else {
        return Finding::not_checked(Code::NetworkStoreBlocked, "whether the object store is reached is not known")
            .of(place)
            .observed("the pod of the network test gave no answer that can be read")
            .hint("does its image have bash, as CloudNativePG's do?");
    };
    let observed = answer.text();
    if let Answer::Open(_) = answer {
        let summary = "a pod with the labels of the recovery pod reaches the object store";
        return Finding::passed(Code::NetworkStoreBlocked, summary).of(place).observed(observed);
    }
    Finding::failed(Code::NetworkStoreBlocked, Blame::Environment, STORE_SUMMARY)
        .of(place)
        .expected(if endpoint.is_http { "a connection and an HTTP answer" } else { "a connection" })
        .observed(observed)
        .hint(store_hint(&answer, endpoint, namespace))
}

fn store_hint(answer: &Answer, endpoint: &Endpoint, namespace: &str) -> String {
    let Endpoint { host, port, .. } = endpoint;
    match (answer, endpoint.service()) {
        (Answer::NameUnanswered, _) => {
            format!("allow DNS in the egress of namespace {namespace}: docs/kubernetes/network.yaml")
        }
        (Answer::NameUnknown, Some(Service { namespace: None, .. })) => format!(
            "only pods in its own namespace know {host} by that name: write {host}.NAMESPACE.svc into the source's endpointURL"
        ),
        (Answer::NameUnknown, _) => {
            format!("is the host in the source's endpointURL right, and may namespace {namespace} ask the DNS?")
        }
        (Answer::Silent, _) => "does the endpoint speak http there, or https?".to_owned(),
        (_, Some(Service { namespace: Some(store), .. })) => format!(
            "if a NetworkPolicy guards the store's pods, add one with the same podSelector (without such a policy do not: \
             the first one shuts production out): kubectl apply -f - <<< '{}'; and the egress of namespace {namespace} \
             must allow the store too: docs/kubernetes/network.yaml",
            additive_policy(store, *port, namespace)
        ),
        _ => format!("allow {host}:{port} in the egress of namespace {namespace}: docs/kubernetes/network.yaml"),
    }
}

/// Opens the store's namespace to the sandbox. Which pods it selects is left to fill in, in a form that the API server
/// refuses: a policy that selects pods which no other selects would close them to everybody else.
fn additive_policy(store: &str, port: u16, namespace: &str) -> serde_json::Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "walproof-restore-test", "namespace": store},
        "spec": {
            "podSelector": {"matchLabels": {"LABEL": "<as in the policy that guards the store>"}},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "podSelector": {"matchLabels": {"app.kubernetes.io/managed-by": PROGRAM}},
                }],
                "ports": [{"port": port}],
            }],
        },
    })
}

/// Open by one connection that opened; closed only by two that failed, since production may be guarded by a policy of its
/// own, and a server that is down refuses everybody. A policy may drop or refuse.
fn egress(production: Option<Answer>, stray: Option<Answer>, source: &SourceCluster) -> Finding {
    let places = [
        format!("production's database {}:{PRODUCTION_PORT}", production_host(source)),
        format!("the operator {STRAY_HOST}:{STRAY_PORT}"),
    ];
    let not_shown = |observed: String, hint: &str| {
        Finding::not_checked(Code::NetworkEgressOpen, "whether the sandbox's egress is closed was not shown")
            .of(places.join(", "))
            .expected("connections to production's database and to the operator fail")
            .observed(observed)
            .hint(hint)
    };
    let answers = [production, stray];
    let is_open = |answer: &Option<Answer>| matches!(answer, Some(Answer::Open(_) | Answer::Silent));
    let open: Vec<&str> =
        places.iter().zip(&answers).filter(|(_, answer)| is_open(answer)).map(|(place, _)| place.as_str()).collect();
    if !open.is_empty() {
        let summary = "the sandbox can connect to what is none of its business, so it could to others";
        return Finding::failed(Code::NetworkEgressOpen, Blame::Environment, summary)
            .of(open.join(", "))
            .expected("the connection fails")
            .observed("the connection opened")
            .hint("apply the sandbox's network policy: docs/kubernetes/network.yaml");
    }
    let [Some(production), Some(stray)] = answers else {
        return not_shown(
            "the pod of the network test gave no answer that can be read".to_owned(),
            "does its image have bash, as CloudNativePG's do?",
        );
    };
    let observed = format!("production: {}; operator: {}", production.text(), stray.text());
    let is_unclear = |answer: &Answer| matches!(answer, Answer::NameUnknown | Answer::NameUnanswered | Answer::Failed);
    if stray == Answer::NameUnknown {
        return not_shown(observed, "only an operator that runs in namespace cnpg-system can be tried");
    }
    if is_unclear(&production) || is_unclear(&stray) {
        return not_shown(observed, "allow DNS in the sandbox's egress: docs/kubernetes/network.yaml");
    }
    if !is_ready(source) {
        return not_shown(
            format!("{observed}, but the source has no ready instance either"),
            "bring the source up and run the drill again",
        );
    }
    // Where policies refuse, they refuse both.
    if stray == Answer::Refused && production != Answer::Refused {
        return not_shown(observed, "is the operator up? Run the drill again");
    }
    Finding::passed(
        Code::NetworkEgressOpen,
        "connections from the sandbox to production's database and to the operator failed, as they must",
    )
    .of(places.join(", "))
    .observed(observed)
}

fn is_ready(source: &SourceCluster) -> bool {
    let status = source.cluster.status.as_ref();
    status.and_then(|status| status.ready_instances).is_some_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;
    use crate::source::fixture::source;

    fn endpoint(url: &str) -> Endpoint {
        let mut source = source();
        source.store.endpoint_url = Some(url.to_owned());
        Endpoint::of(&source).unwrap()
    }

    fn judged(output: &str) -> Vec<(Outcome, String)> {
        let findings = judge(output, &source(), &endpoint("http://minio.minio.svc:9000"), "sandbox");
        assert_eq!(
            findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
            [Code::NetworkStoreBlocked, Code::NetworkEgressOpen]
        );
        findings.into_iter().map(|finding| (finding.outcome, finding.observed.unwrap_or_default())).collect()
    }

    #[test]
    fn an_open_store_and_a_closed_egress_pass() {
        for (output, observed) in [
            (
                "store open HTTP/1.1 400\nproduction timeout\nstray timeout\n",
                ["it answers HTTP/1.1 400", "production: no connection within 3 s; operator: no connection within 3 s"],
            ),
            (
                "store open\nproduction unreachable\nstray unreachable",
                [
                    "the connection opened",
                    "production: the network says that it is unreachable; \
                     operator: the network says that it is unreachable",
                ],
            ),
        ] {
            let expected: Vec<_> = observed.iter().map(|text| (Outcome::Passed, (*text).to_owned())).collect();
            assert_eq!(judged(output), expected, "{output}");
        }
    }

    #[test]
    fn an_egress_is_closed_only_if_neither_production_nor_the_operator_is_reached() {
        use Outcome::{Failed, NotChecked, Passed};
        for (production, stray, expected) in [
            ("timeout", "timeout", Passed),
            ("timeout", "unreachable", Passed),
            // Nothing listens there for a moment, and the other shows the policy.
            ("refused", "timeout", Passed),
            // A policy that refuses instead of dropping.
            ("refused", "refused", Passed),
            // Production is guarded by itself, and the operator is away.
            ("timeout", "refused", NotChecked),
            // Production is guarded by itself.
            ("timeout", "open", Failed),
            ("refused", "open", Failed),
            ("open", "timeout", Failed),
            ("open", "open", Failed),
            ("name-unknown", "open", Failed),
            ("garbage", "open", Failed),
            ("timeout", "name-unknown", NotChecked),
            ("timeout", "name-unanswered", NotChecked),
            ("timeout", "failed", NotChecked),
            ("timeout", "garbage", NotChecked),
            ("name-unknown", "timeout", NotChecked),
            ("name-unanswered", "timeout", NotChecked),
            ("failed", "timeout", NotChecked),
            ("garbage", "timeout", NotChecked),
        ] {
            let output = format!("store open\nproduction {production}\nstray {stray}");
            let finding = judge(&output, &source(), &endpoint("https://store"), "sandbox").pop().unwrap();
            assert_eq!(finding.outcome, expected, "{production}, {stray}");
            assert_eq!(finding.blame, (expected == Failed).then_some(Blame::Environment), "{production}, {stray}");
            assert_eq!(finding.hint.is_some(), expected != Passed, "{production}, {stray}");
        }
        let two_lines = judge("store open\nproduction timeout", &source(), &endpoint("https://store"), "sandbox");
        assert_eq!(two_lines[1].outcome, NotChecked);
    }

    #[test]
    fn a_store_without_an_answer_is_blocked_by_the_environment() {
        for word in ["silent", "refused", "unreachable", "timeout", "name-unknown", "name-unanswered", "failed"] {
            let output = format!("store {word}\nproduction timeout");
            let findings = judge(&output, &source(), &endpoint("http://minio.minio.svc:9000"), "sandbox");
            assert_eq!((findings[0].outcome, findings[0].blame), (Outcome::Failed, Some(Blame::Environment)), "{word}");
            assert!(findings[0].hint.is_some(), "{word}");
        }
    }

    #[test]
    fn what_cannot_be_read_shows_nothing() {
        for output in [
            "",
            "bash: not found",
            "store\nproduction\nstray",
            "store opened\nproduction closed\nstray closed",
            "store open HTTP/1.1 200 OK\nproduction open x\nstray shut",
            "store open HTTP/1.1 <b>\nproduction TIMEOUT\nstray TIMEOUT",
            " store open\n production timeout\n stray timeout",
        ] {
            let outcomes: Vec<Outcome> = judged(output).into_iter().map(|(outcome, _)| outcome).collect();
            assert_eq!(outcomes, [Outcome::NotChecked, Outcome::NotChecked], "{output}");
        }
    }

    #[test]
    fn a_source_that_is_down_does_not_show_that_the_egress_is_closed() {
        let mut source = source();
        source.cluster.status.as_mut().unwrap().ready_instances = Some(0);
        let findings =
            judge("store open\nproduction refused\nstray refused", &source, &endpoint("https://store"), "sandbox");
        assert_eq!(findings[1].outcome, Outcome::NotChecked);
    }

    #[test]
    fn a_blocked_store_in_the_cluster_is_opened_by_a_policy_that_needs_its_selector() {
        let hint = store_hint(&Answer::Timeout, &endpoint("http://minio.store.svc:9000"), "sandbox");
        let policy = hint.split('\'').find(|part| part.starts_with('{')).unwrap();
        let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
        assert_eq!(policy, additive_policy("store", 9000, "sandbox"));
        assert!(!hint.contains('\n'), "{hint}");
    }

    #[test]
    fn each_kind_of_block_has_its_remedy() {
        for (answer, url, expected) in [
            (
                Answer::Timeout,
                "https://s3.example.org",
                "allow s3.example.org:443 in the egress of namespace sandbox: ",
            ),
            (Answer::NameUnanswered, "http://minio.store:9000", "allow DNS in the egress of namespace sandbox: "),
            (Answer::NameUnknown, "http://minio:9000", "only pods in its own namespace know minio by that name: "),
            (Answer::NameUnknown, "http://minio.store:9000", "is the host in the source's endpointURL right, "),
            (Answer::Silent, "http://minio.store:9000", "does the endpoint speak http there, or https?"),
        ] {
            let hint = store_hint(&answer, &endpoint(url), "sandbox");
            assert!(hint.starts_with(expected), "{hint}");
        }
    }
}

//! The API server's own word on what the drill's identity did, over all cases: in the sources' namespaces nothing but
//! reading, elsewhere nothing but questions about its own rights and its history, in the sandbox's namespace what it
//! likes.

use std::fs::File;
use std::io::{BufRead, BufReader};

use jiff::Timestamp;
use serde_json::Value;

use crate::source::{IN_TREE, PLUGIN};
use crate::{installation, release, sandbox};

/// Of the manifests, and of the chart's release.
const IDENTITIES: [&str; 2] =
    ["system:serviceaccount:walproof:walproof", "system:serviceaccount:walproof-chart:walproof-chart"];
const READING: [&str; 3] = ["get", "list", "watch"];
/// A get on them does more than read.
const DOORS: [&str; 4] = ["exec", "attach", "portforward", "proxy"];
const QUESTIONS: [&str; 3] = ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"];

#[test]
fn the_drill_s_identity_wrote_nowhere_but_in_the_sandbox_s_namespace() {
    let path = variable("WALPROOF_AUDIT_LOG", "the path of the API server's audit log");
    let since: Timestamp =
        variable("WALPROOF_E2E_SINCE", "when the cases began, as scripts/e2e sets it").parse().unwrap();
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = BufReader::new(file).lines().map(Result::unwrap);
    // Most lines are other identities', and parsing them takes longest.
    let events = lines
        .filter(|line| IDENTITIES.iter().any(|identity| line.contains(identity)))
        .map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let own: Vec<Value> = events.filter(|event| is_own(event) && is_since(event, since)).collect();
    assert!(
        !own.is_empty(),
        "{path} has no line of {IDENTITIES:?} since {since}: the log or the identity is not the one"
    );
    let read = own.iter().any(|event| namespace(event) == IN_TREE.namespace);
    assert!(read, "{path} has no line of {IDENTITIES:?} in the source's namespace: that cannot be all");

    let forbidden: Vec<String> = own.iter().filter(|event| !is_allowed(event)).map(shown).collect();
    assert_eq!(forbidden, Vec::<String>::new());
}

#[track_caller]
fn variable(name: &str, meaning: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: {meaning}"))
}

/// By its own token, or by somebody who impersonates it.
fn is_own(event: &Value) -> bool {
    let users = [&event["user"]["username"], &event["impersonatedUser"]["username"]];
    users.iter().any(|user| IDENTITIES.iter().any(|identity| **user == *identity))
}

fn is_since(event: &Value, since: Timestamp) -> bool {
    let at = event["requestReceivedTimestamp"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    at.expect("every event says when") >= since
}

fn is_allowed(event: &Value) -> bool {
    let reference = &event["objectRef"];
    let resource = reference["resource"].as_str().unwrap_or_default();
    let verb = event["verb"].as_str().unwrap_or_default();
    let is_reading = READING.contains(&verb) && !DOORS.contains(&reference["subresource"].as_str().unwrap_or_default());
    match namespace(event) {
        sandbox::NAMESPACE | release::SANDBOX => true,
        source if [IN_TREE.namespace, PLUGIN.namespace].contains(&source) => is_reading,
        installation::NAMESPACE | release::NAMESPACE if resource == "configmaps" && verb == "update" => {
            reference["name"].as_str().unwrap_or_default().starts_with("walproof-history-")
        }
        _ => is_reading || (verb == "create" && QUESTIONS.contains(&resource)),
    }
}

fn namespace(event: &Value) -> &str {
    event["objectRef"]["namespace"].as_str().unwrap_or_default()
}

fn shown(event: &Value) -> String {
    let at = event["requestReceivedTimestamp"].as_str().unwrap_or_default();
    let code = &event["responseStatus"]["code"];
    format!("{at} {} {} → {code}", event["verb"].as_str().unwrap_or_default(), event["requestURI"])
}

use serde_json::{Value, json};

use super::*;
use crate::finding::Outcome;
use crate::source::fixture::{self, object};

fn rule(json: Value) -> ResourceRule {
    serde_json::from_value(json).unwrap()
}

fn answers(rules: &[Value], allowed: &[&str], incomplete: bool) -> Answers {
    let asked = ["patch clusters prod", "create pods/exec prod-1"];
    Answers {
        by_name: asked.iter().map(|text| ((*text).to_owned(), Ok(allowed.contains(text)))).collect(),
        rules: Ok(SubjectRulesReviewStatus {
            incomplete,
            resource_rules: rules.iter().cloned().map(rule).collect(),
            ..SubjectRulesReviewStatus::default()
        }),
        all_instances: true,
    }
}

fn judged(answers: &Answers) -> Finding {
    judge(answers, &fixture::source(), Asker { user: "drill", inside: true, writes: WriteAccess::Refused })
}

#[test]
fn a_rule_that_writes_is_found_whatever_it_is_named() {
    let reader = json!({"apiGroups": ["", CNPG], "resources": ["pods", "clusters"], "verbs": ["get", "list", "watch"]});
    for (name, rule, expected) in [
        ("reading", reader, None),
        (
            "asking for rights",
            json!({"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"], "verbs": ["create"]}),
            None,
        ),
        (
            "production's key alone",
            json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cnpg-s3-creds"], "verbs": ["get"]}),
            None,
        ),
        (
            "one object by its name",
            json!({"apiGroups": [CNPG], "resources": ["clusters"], "resourceNames": ["prod"], "verbs": ["get", "patch"]}),
            Some("patch clusters.postgresql.cnpg.io prod"),
        ),
        ("everything", json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}), Some("* *.*")),
        (
            "an unknown verb",
            json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["approve"]}),
            Some("approve deployments.apps"),
        ),
        (
            "reading the superuser's password",
            json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["prod-superuser"], "verbs": ["get"]}),
            Some("get secrets prod-superuser"),
        ),
        (
            "reading all Secrets",
            json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}),
            Some("list secrets"),
        ),
        (
            "exec by a websocket",
            json!({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}),
            Some("get pods/exec"),
        ),
        (
            "every subresource of pods",
            json!({"apiGroups": [""], "resources": ["pods/*"], "verbs": ["get"]}),
            Some("get pods/*"),
        ),
        (
            "exec of everything",
            json!({"apiGroups": [""], "resources": ["*/exec"], "verbs": ["get"]}),
            Some("get */exec"),
        ),
        ("logs", json!({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}), None),
        (
            "another group's secrets",
            json!({"apiGroups": ["example.org"], "resources": ["secrets"], "verbs": ["get"]}),
            None,
        ),
    ] {
        let finding = judged(&answers(&[rule], &[], false));
        match expected {
            Some(expected) => {
                assert_eq!(finding.outcome, Outcome::Failed, "{name}");
                assert_eq!(finding.observed.as_deref(), Some(expected), "{name}");
            }
            None => assert_eq!(finding.outcome, Outcome::Passed, "{name}: {finding:?}"),
        }
    }
}

#[test]
fn one_yes_by_name_is_enough_even_without_a_rule() {
    let finding = judged(&answers(&[], &["create pods/exec prod-1"], true));
    assert_eq!(finding.outcome, Outcome::Failed);
    assert_eq!(finding.observed.as_deref(), Some("create pods/exec prod-1"));
}

#[test]
fn an_incomplete_list_of_rules_is_said() {
    let whole = judged(&answers(&[], &[], false));
    let incomplete = judged(&answers(&[], &[], true));
    assert_eq!((whole.outcome, incomplete.outcome), (Outcome::Passed, Outcome::Passed));
    assert!(incomplete.summary.contains("list of rules was incomplete"), "{}", incomplete.summary);
    assert!(!whole.summary.contains("incomplete"), "{}", whole.summary);
    let without_instances = |incomplete| Answers { all_instances: false, ..answers(&[], &[], incomplete) };
    assert_eq!(judged(&without_instances(true)).outcome, Outcome::NotChecked);
    assert_eq!(judged(&without_instances(false)).outcome, Outcome::Passed);
}

#[test]
fn a_review_without_an_answer_proves_nothing_but_a_yes_still_counts() {
    let error = || fixture::api_error(500);
    let mut without_rules = answers(&[], &[], false);
    without_rules.rules = Err(error());
    assert_eq!(judged(&without_rules).outcome, Outcome::NotChecked);
    let mut without_one = answers(&[], &[], false);
    without_one.by_name[0].1 = Err(error());
    assert_eq!(judged(&without_one).outcome, Outcome::NotChecked);
    without_one.by_name[1].1 = Ok(true);
    assert_eq!(judged(&without_one).outcome, Outcome::Failed);
}

#[test]
fn only_outside_the_cluster_may_a_person_accept_write_access() {
    let answers = answers(&[], &["patch clusters prod"], false);
    let with = |inside, writes| judge(&answers, &fixture::source(), Asker { user: "drill", inside, writes });
    let accepted = with(false, WriteAccess::Accepted);
    assert_eq!(accepted.outcome, Outcome::Note);
    assert!(accepted.summary.contains("--accept-write-access was given"), "{}", accepted.summary);
    let inside = with(true, WriteAccess::Accepted);
    assert_eq!((inside.outcome, inside.blame), (Outcome::Failed, Some(Blame::Environment)));
    assert!(inside.summary.contains("of no use"), "{}", inside.summary);
    assert!(with(false, WriteAccess::Refused).hint.unwrap().contains("--as system:serviceaccount:"));
    let account = Asker { user: "system:serviceaccount:a:b", inside: false, writes: WriteAccess::Refused };
    assert!(judge(&answers, &fixture::source(), account).hint.unwrap().contains("from the Roles bound to"));
}

#[test]
fn every_object_that_matters_is_asked_about_by_name() {
    let surroundings = surroundings();
    let mut source = fixture::source();
    source.cluster.spec.superuser_secret = Some(object(json!({"name": "admin-password"})));
    source.cluster.spec.managed = object(json!({"roles": [
        {"name": "a", "passwordSecret": {"name": "reporting-password"}}, {"name": "b"}
    ]}));
    source.object_store = Some("store".to_owned());
    let questions = questions(&source, &surroundings);
    let texts: Vec<String> = questions.iter().map(Question::text).collect();
    for expected in [
        "patch clusters.postgresql.cnpg.io prod",
        "delete backups.postgresql.cnpg.io prod-nightly-2",
        "patch scheduledbackups.postgresql.cnpg.io prod-nightly",
        "create pods/exec prod-2",
        "get pods/exec prod-2",
        "delete persistentvolumeclaims prod-2",
        "update secrets cnpg-s3-creds",
        "get pods/exec prod-1",
        "delete persistentvolumeclaims prod-1-wal",
        "get secrets prod-superuser",
        "get secrets prod-replication",
        "get secrets admin-password",
        "get secrets reporting-password",
        "patch objectstores.barmancloud.cnpg.io store",
        "create serviceaccounts/token prod",
        "impersonate users",
    ] {
        assert!(texts.iter().any(|text| text == expected), "{expected} in {texts:?}");
    }
    assert!(texts.len() <= 40, "{}", texts.len());
    let exec = questions.iter().find(|question| question.resource == "pods/exec").unwrap().attributes("postgres");
    let parts = (exec.resource.as_deref(), exec.subresource.as_deref(), exec.namespace.as_deref());
    assert_eq!(parts, (Some("pods"), Some("exec"), Some("postgres")));
}

/// Of a source with two instances; one claim has a name of its own.
fn surroundings() -> Surroundings {
    let backup = |name: &str, phase: &str, stopped: &str| {
        object(json!({
            "metadata": {"name": name}, "spec": {"cluster": {"name": "prod"}},
            "status": {"phase": phase, "backupId": format!("id-{name}"), "stoppedAt": stopped}
        }))
    };
    let claim = |name: &str| object(json!({"metadata": {"name": name}}));
    let pod = |name: &str| object(json!({"metadata": {"name": name}}));
    Surroundings {
        pods: Ok(vec![pod("prod-1"), pod("prod-2")]),
        claims: Ok(vec![claim("prod-1"), claim("prod-1-wal"), claim("prod-2")]),
        backups: Ok(vec![
            backup("prod-nightly-1", "completed", "2026-11-20T02:00:10Z"),
            backup("prod-nightly-2", "completed", "2026-11-21T02:00:10Z"),
            backup("prod-nightly-3", "failed", "2026-11-21T03:00:10Z"),
        ]),
        scheduled: Ok(vec![object(json!({
            "metadata": {"name": "prod-nightly"}, "spec": {"cluster": {"name": "prod"}, "schedule": "0 0 2 * * *"}
        }))]),
    }
}

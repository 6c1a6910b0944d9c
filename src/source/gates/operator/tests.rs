use serde_json::json;

use super::*;
use crate::archive::inventory::fixture::inventory;
use crate::archive::timeline::History;
use crate::archive::wal::{Segment, Timeline};
use crate::finding::Outcome;
use crate::source::fixture::{self, object};
use crate::target::Stop;

fn known(text: &str) -> Known {
    Known { version: Version::parse(text).unwrap(), from: "x".to_owned() }
}

#[test]
fn versions_are_compared_as_numbers() {
    let version = |text| Version::parse(text);
    assert_eq!(version("1.28.1"), Some(Version::new(1, 28, 1)));
    assert_eq!(version("v1.30.0-rc1"), Some(Version::new(1, 30, 0)));
    assert_eq!(version("1.30"), Some(Version::new(1, 30, 0)));
    assert!(version("1.9.10") < version("1.28.1"));
    for text in ["", "1", "latest", "1.2.3.4", "1.x.0"] {
        assert_eq!(version(text), None, "{text}");
    }
}

#[test]
fn what_is_known_of_an_operator_depends_on_the_method() {
    for (method, version, expected) in [
        (Method::InTree, "1.25.3", Outcome::Passed),
        (Method::InTree, "1.26.0", Outcome::Note),
        (Method::InTree, "1.30.9", Outcome::Note),
        (Method::InTree, "1.31.0", Outcome::Failed),
        (Method::InTree, "2.0.0", Outcome::Failed),
        (Method::Plugin, "1.25.1", Outcome::Failed),
        (Method::Plugin, "1.27.2", Outcome::Passed),
        (Method::Plugin, "1.27.3", Outcome::Note),
        (Method::Plugin, "1.28.0", Outcome::Passed),
        (Method::Plugin, "1.28.3", Outcome::Note),
        (Method::Plugin, "1.28.4", Outcome::Passed),
        (Method::Plugin, "1.29.1", Outcome::Note),
        (Method::Plugin, "1.29.2", Outcome::Passed),
        (Method::Plugin, "1.31.0", Outcome::Passed),
    ] {
        let finding = judge(method, &Ok(known(version)));
        assert_eq!(finding.outcome, expected, "{method:?} {version}");
        assert!(finding.blame.is_none_or(|blame| blame == Blame::Environment));
    }
}

#[test]
fn an_operator_that_stops_at_a_timeline_fails_only_where_recovery_leaves_one() {
    let inventory = inventory(&[(1, 3), (2, 6)], &[(1, 3..=5), (2, 5..=8)]);
    let history = History::parse(Timeline(2), "1\t0/5000000\tno recovery target specified\n").unwrap();
    let judged = |backup: usize, method, known: &Result<Known, Box<Finding>>| {
        let choice = Choice {
            backup: inventory.backups[backup].id.clone(),
            stop: Stop::EndOfArchive,
            history: history.clone(),
            last_segment: Segment { timeline: Timeline(2), number: 8 },
            short_of_baseline: false,
        };
        across_timelines(method, known, &inventory, &choice).map(|finding| finding.outcome)
    };
    let unknown = Err(Box::new(unknown(None)));
    assert_eq!(judged(0, Method::Plugin, &Ok(known("1.28.1"))), Some(Outcome::Failed));
    assert_eq!(judged(1, Method::Plugin, &Ok(known("1.28.1"))), None);
    assert_eq!(judged(0, Method::InTree, &Ok(known("1.28.1"))), None);
    assert_eq!(judged(0, Method::Plugin, &Ok(known("1.28.4"))), None);
    assert_eq!(judged(0, Method::Plugin, &unknown), Some(Outcome::Note));
    assert_eq!(judged(1, Method::Plugin, &unknown), None);
}

#[test]
fn the_newest_annotation_of_the_pods_counts_else_the_deployment_s_image() {
    let pod = |version: &str| object(json!({"metadata": {"annotations": {OPERATOR_VERSION_ANNOTATION: version}}}));
    let known = of_pods(&[pod("1.28.1"), pod("1.30.0"), pod("1.28.1"), object(json!({"metadata": {}}))]).unwrap();
    assert_eq!(known.version, Version::new(1, 30, 0));
    assert!(known.from.contains("1.28.1 and 1.30.0"), "{}", known.from);
    assert_eq!(of_pods(&[]), None);
    let deployment = |image: &str| {
        object(json!({"spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "m", "image": image}]}}}}))
    };
    for (image, expected) in [
        ("registry.example/cloudnative-pg:1.28.1", Some(Version::new(1, 28, 1))),
        ("here:5000/cloudnative-pg:v1.29.0@sha256:abc", Some(Version::new(1, 29, 0))),
        ("here:5000/cloudnative-pg", None),
        ("cloudnative-pg@sha256:abc", None),
    ] {
        assert_eq!(of_deployments(&[deployment(image)]).map(|known| known.version), expected, "{image}");
    }
}

#[test]
fn an_unknown_version_is_a_note_that_names_the_permission() {
    let finding = unknown(Some(&fixture::api_error(403)));
    assert_eq!(finding.outcome, Outcome::Note);
    assert!(finding.hint.unwrap().contains("`list` on pods"));
    assert_eq!(judge(Method::InTree, &Err(Box::new(unknown(None)))).outcome, Outcome::Note);
}

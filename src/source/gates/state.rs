//! The source's own state: asleep on purpose, archiving, healthy.

use super::{cut, listed};
use crate::cnpg::{Cluster, FENCING_ANNOTATION, HEALTHY, HIBERNATION_ANNOTATION};
use crate::finding::{Blame, Code, Finding};

pub(super) fn judge(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = vec![running(cluster)];
    findings.extend(fenced_standbys(cluster));
    findings.extend(archiving(cluster));
    findings
}

fn running(cluster: &Cluster) -> Finding {
    let name = cluster.metadata.name.clone().unwrap_or_default();
    let reasons = pauses(cluster, &name);
    if !reasons.is_empty() {
        return Finding::failed(
            Code::SourcePaused,
            Blame::Source,
            "the source is paused on purpose, so its archive stands still",
        )
        .of(name)
        .observed(reasons.join("; "))
        .hint("drill it when it runs again, or leave it out of the configuration meanwhile");
    }
    match cluster.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some(HEALTHY) => Finding::passed(Code::SourcePaused, "the operator calls the source healthy").of(name),
        Some(phase) => {
            Finding::note(Code::SourcePaused, format!("the operator says of the source: {}", cut(phase))).of(name)
        }
        None => Finding::note(Code::SourcePaused, "the operator says nothing of the source yet").of(name),
    }
}

/// Why nothing new may be expected in the archive.
fn pauses(cluster: &Cluster, name: &str) -> Vec<String> {
    let annotation = |key: &str| cluster.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let mut reasons = Vec::new();
    if annotation(HIBERNATION_ANNOTATION) == Some("on") {
        reasons.push("it hibernates".to_owned());
    }
    match fencing(cluster) {
        Fencing::All => reasons.push("all instances are fenced".to_owned()),
        Fencing::Primary(primary) => reasons.push(format!("its primary {} is fenced", cut(primary))),
        Fencing::Standbys(_) => {}
    }
    if let Some(replica) = &cluster.spec.replica {
        // As the operator decides it: `enabled`, else whether the primary of the topology is another Cluster.
        let own = replica.own_name.as_deref().unwrap_or(name);
        let primary = replica.primary.as_deref().unwrap_or(own);
        if replica.enabled.unwrap_or(primary != own) {
            let of = if primary == own { String::new() } else { format!(" of {}", cut(primary)) };
            reasons.push(format!("it is a replica cluster{of}"));
        }
    }
    reasons
}

/// Who is fenced: only without its primary does a source write no WAL.
enum Fencing<'a> {
    All,
    Primary(&'a str),
    /// Which ones; none is none.
    Standbys(Vec<String>),
}

fn fencing(cluster: &Cluster) -> Fencing<'_> {
    let written = cluster.metadata.annotations.as_ref().and_then(|all| all.get(FENCING_ANNOTATION));
    // A list that cannot be read names nobody.
    let fenced: Vec<String> = written.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    if fenced.iter().any(|name| name == "*") {
        return Fencing::All;
    }
    let primary = cluster.status.as_ref().and_then(|status| status.current_primary.as_deref());
    match primary.filter(|primary| fenced.iter().any(|name| name == primary)) {
        Some(primary) => Fencing::Primary(primary),
        None => Fencing::Standbys(fenced),
    }
}

fn fenced_standbys(cluster: &Cluster) -> Option<Finding> {
    let Fencing::Standbys(fenced) = fencing(cluster) else { return None };
    (!fenced.is_empty()).then(|| {
        Finding::note(Code::SourcePaused, "standbys of the source are fenced; its primary goes on")
            .of(cluster.metadata.name.clone().unwrap_or_default())
            .observed(listed(&fenced.iter().map(|name| cut(name)).collect::<Vec<_>>()))
    })
}

/// What the operator last heard of the archiver; None when it says nothing.
fn archiving(cluster: &Cluster) -> Option<Finding> {
    let condition = cluster.status.as_ref()?.condition("ContinuousArchiving")?;
    let since = condition.last_transition_time.map(|time| format!(" since {time}")).unwrap_or_default();
    Some(match condition.status.as_str() {
        "True" => Finding::passed(Code::SourceArchivingFailing, "the operator says that continuous archiving works"),
        "False" => Finding::failed(
            Code::SourceArchivingFailing,
            Blame::Source,
            format!("the operator says that archiving fails{since}"),
        )
        .observed(cut(condition.message.as_deref().unwrap_or("no message")))
        .hint("WAL piles up on the source until its volume is full: see the log of its primary"),
        _ => Finding::note(
            Code::SourceArchivingFailing,
            format!("the operator does not know whether archiving works{since}"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::finding::Outcome;
    use crate::source::fixture::cluster;

    #[test]
    fn a_source_that_sleeps_is_fenced_or_follows_another_is_paused() {
        let annotated = |key: &str, value: &str| json!({"annotations": {key: value}});
        let none = json!({});
        for (name, metadata, spec, expected) in [
            ("awake", none.clone(), none.clone(), None),
            ("hibernates", annotated(HIBERNATION_ANNOTATION, "on"), none.clone(), Some("it hibernates")),
            ("woken", annotated(HIBERNATION_ANNOTATION, "off"), none.clone(), None),
            ("fenced", annotated(FENCING_ANNOTATION, r#"["*"]"#), none.clone(), Some("all instances are fenced")),
            (
                "primary fenced",
                annotated(FENCING_ANNOTATION, r#"["prod-1","prod-2"]"#),
                none.clone(),
                Some("its primary prod-2 is fenced"),
            ),
            ("standby fenced", annotated(FENCING_ANNOTATION, r#"["prod-1"]"#), none.clone(), None),
            ("no longer fenced", annotated(FENCING_ANNOTATION, "[]"), none.clone(), None),
            ("replica", none.clone(), json!({"replica": {"enabled": true}}), Some("it is a replica cluster")),
            ("was a replica", none.clone(), json!({"replica": {"enabled": false, "primary": "other"}}), None),
            (
                "in a topology",
                none.clone(),
                json!({"replica": {"primary": "other"}}),
                Some("it is a replica cluster of other"),
            ),
            ("primary of a topology", none.clone(), json!({"replica": {"primary": "prod"}}), None),
            ("primary by another name", none, json!({"replica": {"primary": "eu", "self": "eu"}}), None),
        ] {
            let finding = running(&cluster(&metadata, &spec, &json!({"phase": HEALTHY, "currentPrimary": "prod-2"})));
            assert_eq!(finding.observed.as_deref(), expected, "{name}");
            let outcome = if expected.is_some() { Outcome::Failed } else { Outcome::Passed };
            assert_eq!(finding.outcome, outcome, "{name}");
        }
    }

    #[test]
    fn a_fenced_standby_is_a_note_and_a_fenced_primary_more_than_that() {
        let notes = |fenced: &str| {
            let metadata = json!({"annotations": {FENCING_ANNOTATION: fenced}});
            let all = judge(&cluster(&metadata, &json!({}), &json!({"phase": HEALTHY, "currentPrimary": "prod-2"})));
            all.into_iter()
                .filter(|one| one.outcome == Outcome::Note)
                .filter_map(|note| note.observed)
                .collect::<Vec<_>>()
        };
        assert_eq!(notes(r#"["prod-1","prod-3"]"#), ["prod-1, prod-3"]);
        for fenced in [r#"["prod-1","prod-2"]"#, r#"["*"]"#, "[]", "broken"] {
            assert_eq!(notes(fenced), Vec::<String>::new(), "{fenced}");
        }
    }

    #[test]
    fn an_unhealthy_phase_is_a_note() {
        let of = |status: Value| running(&cluster(&json!({}), &json!({}), &status)).outcome;
        assert_eq!(of(json!({"phase": "Failing over"})), Outcome::Note);
        assert_eq!(of(json!({})), Outcome::Note);
    }

    #[test]
    fn archiving_fails_only_when_the_operator_says_so() {
        let of = |status: &str| {
            let conditions = json!({"conditions": [{"type": "ContinuousArchiving", "status": status, "message": "m"}]});
            archiving(&cluster(&json!({}), &json!({}), &conditions)).map(|finding| finding.outcome)
        };
        assert_eq!(of("True"), Some(Outcome::Passed));
        assert_eq!(of("False"), Some(Outcome::Failed));
        assert_eq!(of("Unknown"), Some(Outcome::Note));
        assert_eq!(archiving(&cluster(&json!({}), &json!({}), &json!({}))), None);
    }
}

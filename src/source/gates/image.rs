//! The image that the sandbox runs: known, of the right PostgreSQL, and with a barman that the operator can talk to.

use super::operator::Version;
use crate::finding::{Blame, Code, Finding};
use crate::plan::OperatorSandbox;
use crate::source::cluster::{Method, SourceCluster};

/// Kinds of CloudNativePG's images that have no barman-cloud (README of postgres-containers).
const WITHOUT_BARMAN: [&str; 2] = ["minimal", "standard"];

/// Images whose barman refuses what an operator passes.
struct KnownPair {
    /// First parts of the tag.
    tags: &'static [&'static str],
    /// Operators before this one are known to fail with it.
    before: Version,
    why: &'static str,
}

const KNOWN_PAIRS: [KnownPair; 1] = [KnownPair {
    // Built between PostgreSQL's and barman's releases of 2025-02-20 and the pin to 3.12.1 five days later
    // (postgres-containers #158, #159).
    tags: &["17.4-1", "16.8-1", "15.12-1", "14.17-1", "13.20-1"],
    // cloudnative-pg #6932: 1.25.1 puts options between barman-cloud-restore's arguments.
    before: Version::new(1, 25, 2),
    why: "its barman 3.13.0 answers `unrecognized arguments` when options stand between the arguments",
}];

/// The parts of `registry/path/name:tag@digest` that tell something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Image<'a> {
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    fn parse(text: &'a str) -> Self {
        let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
        let name = named.rsplit('/').next().unwrap_or(named);
        Self { tag: name.split_once(':').map(|(_, tag)| tag), digest }
    }

    /// The number that the tag begins with, where it can be a version of PostgreSQL.
    fn major(self) -> Option<u32> {
        let digits: String = self.tag?.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|major| (9..100).contains(major))
    }

    /// Why a restore with barman from within this image fails.
    fn barman_trouble(self, operator: Option<Version>) -> Option<Trouble> {
        let tag = self.tag?;
        if let Some(kind) = tag.split('-').find(|part| WITHOUT_BARMAN.contains(part)) {
            return Some(Trouble { why: format!("`{kind}` images have no barman-cloud"), certain: true });
        }
        let is_of = |known: &str| tag.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        let pair = KNOWN_PAIRS.iter().find(|pair| pair.tags.iter().any(|known| is_of(known)))?;
        Some(Trouble { why: pair.why.to_owned(), certain: operator.is_some_and(|operator| operator < pair.before) })
    }
}

struct Trouble {
    why: String,
    /// Else it depends on an operator that is not known to fail.
    certain: bool,
}

pub(super) fn judge(source: &SourceCluster, sandbox: &OperatorSandbox, operator: Option<Version>) -> Vec<Finding> {
    let code = Code::ImageUnsuitable;
    let overridden = sandbox.image_override.as_deref();
    let Some(used) = source.image_for(sandbox) else {
        return vec![
            Finding::failed(code, Blame::Environment, "the image that production runs is not known")
                .of(source.text())
                .hint("set `sandbox.operator.imageOverride` to an image of the source's PostgreSQL version"),
        ];
    };
    let mut findings = vec![used_image(source, used, overridden.is_some(), operator)];
    if overridden.is_some()
        && source.method == Method::InTree
        && let Some(own) = source.image()
        && let Some(trouble) = Image::parse(own).barman_trouble(operator)
    {
        findings.push(
            Finding::note(code, format!("a recovery with the source's own image may fail: {}", trouble.why))
                .of(own)
                .hint("whoever restores by hand needs the override too: write it into the runbook"),
        );
    }
    findings
}

fn used_image(source: &SourceCluster, used: &str, is_overridden: bool, operator: Option<Version>) -> Finding {
    let code = Code::ImageUnsuitable;
    let image = Image::parse(used);
    if let (Some(wanted), Some(found)) = (source.major(), image.major())
        && is_overridden
        && wanted != found
    {
        return Finding::failed(code, Blame::Environment, "the image of `imageOverride` has another PostgreSQL")
            .of(used)
            .expected(format!("PostgreSQL {wanted}, as the source"))
            .observed(format!("PostgreSQL {found} by its tag"))
            .hint("set `sandbox.operator.imageOverride` to an image of the source's major version");
    }
    let trouble = if source.method == Method::InTree { image.barman_trouble(operator) } else { None };
    match trouble {
        Some(Trouble { why, certain: true }) => {
            // A real recovery with the source's own image would fail the same way.
            let blame = if is_overridden { Blame::Environment } else { Blame::Source };
            Finding::failed(code, blame, format!("a recovery with this image fails: {why}"))
                .of(used)
                .expected("an image with a barman-cloud that this operator can call")
                .hint("set `sandbox.operator.imageOverride` to a newer `system` image of the same PostgreSQL version")
        }
        Some(Trouble { why, certain: false }) => {
            Finding::note(code, format!("a recovery with this image has failed with other operators: {why}"))
                .of(used)
                .hint(
                    "if this one fails too, set `sandbox.operator.imageOverride` to a newer image of the same version",
                )
        }
        None => {
            let pinned = match image.digest {
                Some(_) => "pinned by its digest",
                None => "by a tag, which may be moved",
            };
            Finding::passed(code, format!("{used}, {pinned}")).of(used)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::finding::Outcome;
    use crate::source::fixture::{cluster, source_of};

    fn judged(
        method: Method,
        image: Option<&str>,
        override_: Option<&str>,
        operator: &str,
    ) -> Vec<(Outcome, Option<Blame>)> {
        let status = json!({"pgDataImageInfo": {"image": image, "majorVersion": 17}});
        let source = source_of(cluster(&json!({}), &json!({}), &status), method);
        let sandbox = OperatorSandbox {
            namespace: "sandbox".to_owned(),
            image_override: override_.map(str::to_owned),
            storage_factor: 2.0,
            app: None,
        };
        let findings = judge(&source, &sandbox, Version::parse(operator));
        findings.into_iter().map(|finding| (finding.outcome, finding.blame)).collect()
    }

    #[test]
    fn an_image_is_judged_by_method_operator_and_override() {
        use Method::{InTree, Plugin};
        let (passed, note) = ((Outcome::Passed, None), (Outcome::Note, None));
        let (source, environment) =
            ((Outcome::Failed, Some(Blame::Source)), (Outcome::Failed, Some(Blame::Environment)));
        let own = "registry.example/postgresql:17.6-system-trixie";
        let standard = "registry.example/postgresql:17.6-standard-trixie";
        let old = "registry.example/postgresql:17.4-1";
        for (name, method, image, override_, operator, expected) in [
            ("as it should be", InTree, Some(own), None, "1.28.1", vec![passed]),
            ("unknown", InTree, None, None, "1.28.1", vec![environment]),
            ("unknown, overridden", InTree, None, Some(own), "1.28.1", vec![passed]),
            ("another major", InTree, Some(own), Some("postgresql:16.9"), "1.28.1", vec![environment]),
            ("a tag that says nothing", InTree, Some(own), Some("here:5000/pg:latest"), "1.28.1", vec![passed]),
            ("no barman in it", InTree, Some(standard), None, "1.28.1", vec![source]),
            ("no barman needed", Plugin, Some(standard), None, "1.28.1", vec![passed]),
            ("override without barman", InTree, Some(own), Some("pg:17-minimal-bookworm"), "1.28.1", vec![environment]),
            ("override with barman", InTree, Some(standard), Some(own), "1.28.1", vec![passed, note]),
            ("known pair", InTree, Some(old), None, "1.25.1", vec![source]),
            ("known image, later operator", InTree, Some(old), None, "1.28.1", vec![note]),
            ("known image, unknown operator", InTree, Some(old), None, "?", vec![note]),
            ("the image after it", InTree, Some("pg:17.4-10"), None, "1.25.1", vec![passed]),
        ] {
            assert_eq!(judged(method, image, override_, operator), expected, "{name}");
        }
    }

    #[test]
    fn an_image_s_tag_and_digest_are_told_apart_from_a_port() {
        for (text, major, has_digest) in [
            ("registry.example/postgresql:17.4-1", Some(17), false),
            ("registry.example/postgis:15-3.5-78@sha256:abc", Some(15), true),
            ("localhost:5000/postgresql", None, false),
            ("postgresql@sha256:17", None, true),
            ("postgresql:v17", None, false),
            ("postgresql:20250224", None, false),
        ] {
            let image = Image::parse(text);
            assert_eq!((image.major(), image.digest.is_some()), (major, has_digest), "{text}");
        }
    }
}

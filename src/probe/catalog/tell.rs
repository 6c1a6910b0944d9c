//! Differences of catalogs in words: a finding for each kind of object and each sort of difference, whatever their number.

use super::{Differences, Judging};
use crate::finding::{Blame, Code, Finding};
use crate::report::text::count;
use crate::source::catalog::Digest;

/// How many objects a finding names.
const NAMED: usize = 10;
/// Longer definitions are cut.
const SHOWN: usize = 300;

pub(super) fn tell(code: Code, prefix: &str, kind: &str, differences: &Differences, judging: Judging) -> Vec<Finding> {
    // A policy and a default privilege are privileges themselves.
    let prefix = if matches!(kind, "policy" | "default privilege") { "" } else { prefix };
    let Differences { missing, changed, additional, explained, overwritten, dropped_by_operator } = differences;
    let place = judging.place;
    let mut findings = Vec::new();
    let mut add = |names: Vec<&str>, one: &str, several: &str, expected: String, observed: String| {
        if names.is_empty() {
            return;
        }
        let verb = if names.len() == 1 && prefix.is_empty() { one } else { several };
        let summary = format!("{} of {place} {verb}", subject(prefix, kind, &names));
        let finding = if judging.committed == 0 {
            Finding::failed(code, Blame::Backups, summary)
                .hint("the backup is not what the source held: make a new base backup, keep this one for analysis")
        } else {
            let committed = judging.committed;
            let summary = format!("{summary}; {committed} transactions beyond the baseline may explain it");
            Finding::not_checked(code, summary).hint("run the drill again; a baseline at a quieter time is exact")
        };
        findings.push(finding.of(object(place, prefix, kind, &names)).expected(expected).observed(observed));
    };
    let shown = |pairs: &[(&str, &str)]| list(pairs.iter().map(|(name, definition)| one(name, definition)));
    let first =
        |triples: &[(&str, &str, &str)]| list(triples.iter().map(|(name, definition, _)| one(name, definition)));
    let second = |triples: &[(&str, &str, &str)]| list(triples.iter().map(|(name, _, found)| one(name, found)));

    let names = missing.iter().map(|(name, _)| *name).collect();
    add(names, "is missing", "are missing", shown(missing), "not there".to_owned());
    let names = changed.iter().map(|(name, ..)| *name).collect();
    add(names, "is not as it was", "are not as they were", first(changed), second(changed));
    let names = additional.iter().map(|(name, _)| *name).collect();
    add(names, "is not the source's", "are not the source's", "not there".to_owned(), shown(additional));

    if !overwritten.is_empty() {
        let names: Vec<&str> = overwritten.iter().map(|(name, ..)| *name).collect();
        let summary = format!("whoever used the copy before has changed {} of {place}", subject(prefix, kind, &names));
        let finding = Finding::not_checked(code, summary).of(object(place, prefix, kind, &names));
        findings.push(finding.expected(first(overwritten)).observed(second(overwritten)));
    }
    for (names, who) in [
        (explained, "transactions beyond the baseline have written"),
        (dropped_by_operator, "the operator has dropped, as its Cluster has no parameters for it,"),
    ] {
        if !names.is_empty() {
            let summary = format!("{who} {} of {place}", subject(prefix, kind, names));
            findings.push(Finding::note(code, summary).of(object(place, prefix, kind, names)));
        }
    }
    findings
}

/// Two digests that differ; the number is of objects that the copy has made or changed itself.
pub(super) fn digests(
    code: Code,
    prefix: &str,
    kind: &str,
    (expected, observed, by_copy): (&Digest, &Digest, u64),
    judging: Judging,
) -> Finding {
    let (place, kinds) = (judging.place, plural(kind));
    let summary = format!("among the {prefix}{kinds} of {place}, too many to name, there are differences");
    let finding = if judging.committed == 0 && by_copy == 0 {
        Finding::failed(code, Blame::Backups, summary)
    } else {
        let summary = format!("{summary}; transactions beyond the baseline or of the copy's own may explain them");
        Finding::not_checked(code, summary)
    };
    let text = |digest: &Digest| format!("{}, sum {}", count(digest.objects, kind, &kinds), digest.sum);
    finding
        .of(format!("{place}: {prefix}{kinds}"))
        .expected(text(expected))
        .observed(text(observed))
        .hint("run the drill with --keep and compare the copy's catalogs with the source's by hand")
}

pub(super) fn not_read(code: Code, prefix: &str, kind: &str, who: &str, reason: &str, judging: Judging) -> Finding {
    let summary = format!("{who} the {prefix}{} of {}: {reason}", plural(kind), judging.place);
    Finding::not_checked(code, summary).of(judging.place)
}

/// `index public.accounts.accounts_name_idx`, or `3 indexes`.
fn subject(prefix: &str, kind: &str, names: &[&str]) -> String {
    match names {
        [name] => format!("{prefix}{kind} {name}"),
        _ => format!("{prefix}{} {}", names.len(), plural(kind)),
    }
}

fn object(place: &str, prefix: &str, kind: &str, names: &[&str]) -> String {
    match names {
        [name] => format!("{place}: {prefix}{kind} {name}"),
        _ => format!("{place}: {prefix}{}", plural(kind)),
    }
}

fn plural(kind: &str) -> String {
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('x') => format!("{kind}es"),
        None => format!("{kind}s"),
    }
}

fn one(name: &str, definition: &str) -> String {
    let definition: String = match definition.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &definition[..end]),
        None => definition.to_owned(),
    };
    if definition.is_empty() { name.to_owned() } else { format!("{name}: {definition}") }
}

fn list(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let mut named: Vec<String> = all.take(NAMED).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join("; ")
}

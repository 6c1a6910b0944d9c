//! The gates of a drill of a Kubernetes source: what can be asked before anything is made. Every gate is asked and
//! reported, also after a failed one; each is a reader that only asks, and a judge that is pure. What our identity may
//! not read is a note that names the permission, never a failure.

mod access;
mod backups;
mod credentials;
mod image;
mod namespace;
mod needs;
mod neighbours;
mod operator;
mod quota;
mod state;
mod surroundings;
mod unpinned;
mod volumes;

use jiff::Timestamp;

use self::surroundings::Surroundings;
use super::cluster::SourceCluster;
use crate::archive::inventory::Inventory;
use crate::finding::{Code, Finding, Outcome};
use crate::kubernetes::{ApiError, ApiErrorKind, Kubernetes};
use crate::plan::OperatorSandbox;
use crate::sandbox::operator::room::Sizes;
use crate::target::Choice;

/// What a person says to an identity that could write to production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteAccess {
    Refused,
    /// `--accept-write-access`: go on all the same. Of no use inside the cluster.
    Accepted,
}

/// The gates that need nothing but the source's `Cluster`. Without an operator sandbox only those about the source and
/// its archive.
pub async fn first(
    kubernetes: &Kubernetes,
    source: &SourceCluster,
    sandbox: Option<&OperatorSandbox>,
    writes: WriteAccess,
    now: Timestamp,
) -> Vec<Finding> {
    let surroundings = Surroundings::read(kubernetes, source).await;
    let sandboxed = async {
        let Some(sandbox) = sandbox else { return Vec::new() };
        let (access, operator, namespace) = tokio::join!(
            access::ask(kubernetes, source, &surroundings, writes),
            operator::ask(kubernetes, &surroundings),
            namespace::ask(kubernetes, &sandbox.namespace),
        );
        let mut findings = vec![access, operator::judge(source.method, &operator)];
        findings.extend(image::judge(source, sandbox, operator.as_ref().ok().map(|known| known.version)));
        findings.extend(namespace);
        findings
    };
    let (mut findings, credentials, neighbours) =
        tokio::join!(sandboxed, credentials::ask(source), neighbours::ask(kubernetes, source, &surroundings),);
    findings.extend(credentials);
    findings.extend(state::judge(&source.cluster));
    findings.push(backups::scheduled(&source.name, &surroundings.scheduled, now));
    findings.extend(backups::completed(&surroundings.backups));
    findings.push(neighbours);
    findings.push(needs::note(source));
    findings
}

/// The gates that need the archive's inventory and what was chosen from it.
pub async fn of_choice(
    kubernetes: &Kubernetes,
    source: &SourceCluster,
    sandbox: &OperatorSandbox,
    inventory: &Inventory,
    choice: &Choice,
    sizes: &Sizes,
) -> Vec<Finding> {
    let surroundings = Surroundings::read(kubernetes, source).await;
    let (operator, quota, volumes) = tokio::join!(
        operator::ask(kubernetes, &surroundings),
        quota::ask(kubernetes, source, sandbox, sizes),
        volumes::ask(kubernetes, source, sizes),
    );
    let mut findings = Vec::new();
    findings.extend(backups::in_archive(source, &surroundings.backups, inventory));
    findings.push(unpinned::judge(inventory, choice));
    findings.extend(operator::across_timelines(source.method, &operator, inventory, choice));
    findings.push(quota);
    findings.extend(volumes);
    findings
}

/// True when a finding from before the restore makes it pointless or unsafe.
pub fn ends_drill(finding: &Finding) -> bool {
    match finding.outcome {
        Outcome::Passed | Outcome::Note => false,
        Outcome::Failed => finding.blames_backups() || is_decisive(finding.code) || needs_an_answer(finding.code),
        Outcome::NotChecked => needs_an_answer(finding.code),
    }
}

/// A restore would end badly, or say nothing about the backups.
const fn is_decisive(code: Code) -> bool {
    matches!(
        code,
        Code::SourcePaused
            | Code::OperatorVersion
            | Code::ImageUnsuitable
            | Code::SandboxNamespace
            | Code::SandboxQuota
            | Code::SandboxNoSpace
            | Code::SandboxUnusable
            | Code::SandboxPending
            | Code::NetworkStoreBlocked
    )
}

/// Not even a missing answer may be taken for a good one.
const fn needs_an_answer(code: Code) -> bool {
    matches!(
        code,
        Code::AccessCanWrite
            | Code::CredentialsUnusable
            | Code::KubernetesUnreachable
            | Code::SourceClusterUnreadable
            | Code::SourceNotSupported
    )
}

/// The note for what could not be read: the permission that would allow it, or what else was in the way.
fn unread(code: Code, summary: &str, error: &ApiError, permission: &str) -> Finding {
    let finding = Finding::note(code, summary).observed(error.to_string());
    match error.kind {
        ApiErrorKind::Forbidden => finding.hint(format!("grant {permission}: docs/kubernetes.md")),
        _ => finding.hint(error.hint()),
    }
}

/// The first ten of many, and how many more there are.
fn listed(items: &[String]) -> String {
    const SHOWN: usize = 10;
    let text = items.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN { format!("{text} and {} more", items.len() - SHOWN) } else { text }
}

/// A message from the cluster, which may have any length.
fn cut(message: &str) -> String {
    const SHOWN: usize = 300;
    if message.chars().count() <= SHOWN {
        return message.to_owned();
    }
    message.chars().take(SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Blame;

    #[test]
    fn a_gate_ends_the_drill_only_where_a_restore_would_be_pointless_or_unsafe() {
        let when_failed_or_unanswered = [
            Code::AccessCanWrite,
            Code::CredentialsUnusable,
            Code::KubernetesUnreachable,
            Code::SourceClusterUnreadable,
            Code::SourceNotSupported,
        ];
        let when_failed = [
            Code::SourcePaused,
            Code::OperatorVersion,
            Code::ImageUnsuitable,
            Code::SandboxNamespace,
            Code::SandboxQuota,
            Code::SandboxNoSpace,
            Code::SandboxUnusable,
            Code::SandboxPending,
            Code::NetworkStoreBlocked,
        ];
        for &code in Code::ALL {
            let ends = |finding: Finding| ends_drill(&finding);
            let unanswered = when_failed_or_unanswered.contains(&code);
            assert!(!ends(Finding::passed(code, "x")), "{code:?}");
            assert!(!ends(Finding::note(code, "x")), "{code:?}");
            assert_eq!(ends(Finding::not_checked(code, "x")), unanswered, "{code:?}");
            for blame in [Blame::Source, Blame::Environment, Blame::Baseline, Blame::Unknown] {
                let expected = unanswered || when_failed.contains(&code);
                assert_eq!(ends(Finding::failed(code, blame, "x")), expected, "{code:?} {blame:?}");
            }
            assert!(ends(Finding::failed(code, Blame::Backups, "x")), "{code:?}");
        }
    }

    #[test]
    fn a_long_list_and_a_long_message_stay_short() {
        let items: Vec<String> = (1..=12).map(|number| number.to_string()).collect();
        assert_eq!(listed(&items), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
        assert_eq!(listed(&items[..2]), "1, 2");
        assert_eq!(cut(&"ä".repeat(400)).chars().count(), 301);
        assert_eq!(cut("short"), "short");
    }
}

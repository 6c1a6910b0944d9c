//! The verdict: a pure function of the findings. What each code counts for stands in one table, [`weight`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Blame, Code, Finding, Outcome};
use crate::plan::{Plan, Requirement};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Everything required was looked at and is as it should be.
    Pass,
    /// The backups are at fault, and a finding says why.
    Fail,
    /// It could not be found out.
    Inconclusive,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
        }
    }
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Check,
    Drill,
}

impl Subject {
    pub const fn as_str(self) -> &'static str {
        match self {
            Subject::Check => "check",
            Subject::Drill => "drill",
        }
    }
}

/// What a code counts for in a verdict that no finding made FAIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// At least one finding of this code must have passed, and none may be failed or not checked.
    Proof,
    /// It need not occur, but where it does it may not be failed or not checked.
    NoDoubt,
    /// It may stay unchecked, but nothing may have failed, whoever is to blame.
    NoFault,
    /// Only FAIL by blame of the backups counts.
    Free,
}

/// The table: what each code counts for. A user's `require` can only raise it.
pub const fn weight(subject: Subject, code: Code) -> Weight {
    match (subject, code) {
        (Subject::Check, Code::ArchiveUnreadable | Code::BackupNone | Code::WalMissingForBackup | Code::WalStale)
        | (
            Subject::Drill,
            Code::ArchiveUnreadable | Code::ServerUp | Code::ServerIdentity | Code::RecoveryStop | Code::TableRowCount,
        ) => Weight::Proof,

        (Subject::Check, Code::ArchiveEmpty | Code::WalGap | Code::WalSegmentInvalid | Code::WalHistoryDamaged)
        | (
            Subject::Drill,
            Code::BackupNone
            | Code::BaselineNotCaptured
            | Code::BaselineVoid
            | Code::BaselineTableNotRead
            | Code::TargetOutsideWindow
            | Code::SandboxNoSpace
            | Code::SandboxUnusable
            | Code::AccessCanWrite
            | Code::OperatorVersion
            | Code::ImageUnsuitable
            | Code::SandboxNamespace
            | Code::SandboxQuota
            | Code::SandboxPending
            | Code::NetworkStoreBlocked
            | Code::RecoveryPaused
            | Code::AppCheck
            | Code::BackupVanished
            | Code::ServerIsolation
            | Code::ServerObjects
            | Code::RecoveryTransactionsMissing
            | Code::TableTimestamps
            | Code::TableAfterTarget
            | Code::SchemaObjects
            | Code::SchemaMigrations
            | Code::RoleDefinition
            | Code::RolePrivileges
            | Code::SequenceBehind
            | Code::QueryAnswer
            | Code::ServerWrite
            | Code::ServerRoleAccess
            | Code::IntegrityLibrary
            | Code::SourceMixedServers
            | Code::SourceReplicaLag,
        )
        | (
            _,
            Code::RunStopped
            | Code::RunFailed
            | Code::RunKilled
            | Code::KubernetesUnreachable
            | Code::SourceClusterUnreadable
            | Code::SourceNotSupported
            | Code::SourcePaused
            | Code::CredentialsUnusable,
        ) => Weight::NoDoubt,

        (Subject::Drill, Code::TableContent | Code::LargeObjectContent) => Weight::NoFault,

        _ => Weight::Free,
    }
}

/// FAIL if any finding blames the backups; else INCONCLUSIVE if anything required did not pass; else PASS.
///
/// No finding at all is INCONCLUSIVE: what was not looked at is not proven. `raised` are the codes that the user wants
/// proven too, from [`required`].
pub fn verdict(subject: Subject, findings: &[Finding], raised: &[Code]) -> Verdict {
    if findings.iter().any(Finding::blames_backups) {
        return Verdict::Fail;
    }
    if undecided(subject, findings, raised).is_empty() { Verdict::Pass } else { Verdict::Inconclusive }
}

/// The required codes that were not proven.
pub fn undecided(subject: Subject, findings: &[Finding], raised: &[Code]) -> Vec<Code> {
    let is_undecided = |&code: &Code| {
        let of_code = || findings.iter().filter(|finding| finding.code == code);
        let has_failed = of_code().any(|finding| finding.outcome == Outcome::Failed);
        let in_doubt = of_code().any(|finding| match finding.outcome {
            Outcome::Failed | Outcome::NotChecked => true,
            Outcome::Passed | Outcome::Note => false,
        });
        match if raised.contains(&code) { Weight::Proof } else { weight(subject, code) } {
            Weight::Proof => in_doubt || !of_code().any(|finding| finding.outcome == Outcome::Passed),
            Weight::NoDoubt => in_doubt,
            Weight::NoFault => has_failed,
            Weight::Free => false,
        }
    };
    Code::ALL.iter().copied().filter(is_undecided).collect()
}

/// The codes that a plan's `require` raises to proof: those that the subject can decide, and only objectives that are
/// set.
pub fn required(plan: &Plan, subject: Subject) -> Vec<Code> {
    let can_be_decided = |code: &Code| match code {
        Code::ObjectiveRecoveryTime => subject == Subject::Drill && plan.objectives.recovery_time.is_some(),
        Code::ObjectiveRecoveryPoint => subject == Subject::Drill && plan.objectives.recovery_point.is_some(),
        Code::ObjectiveRecoveryWindow => plan.objectives.recovery_window.is_some(),
        Code::BaselineInexact | Code::AppCheck | Code::TableContent | Code::IntegrityTable | Code::IntegrityIndex => {
            subject == Subject::Drill
        }
        _ => true,
    };
    plan.require.iter().flat_map(|requirement| requirement.codes()).copied().filter(can_be_decided).collect()
}

impl Requirement {
    /// The codes that must have passed when this is required.
    pub const fn codes(self) -> &'static [Code] {
        match self {
            Requirement::Objectives => {
                &[Code::ObjectiveRecoveryTime, Code::ObjectiveRecoveryPoint, Code::ObjectiveRecoveryWindow]
            }
            Requirement::Freshness => &[Code::WalStale, Code::BackupStale],
            Requirement::ExactBaseline => &[Code::BaselineInexact],
            Requirement::App => &[Code::AppCheck],
            Requirement::Content => &[Code::TableContent],
            Requirement::Integrity => &[Code::IntegrityTable, Code::IntegrityIndex],
        }
    }
}

/// The findings that explain a verdict other than PASS, the decisive ones first: those that blame the backups, then
/// those of the required codes that were not proven.
pub fn reasons<'a>(findings: &'a [Finding], undecided: &[Code]) -> Vec<&'a Finding> {
    let mut reasons: Vec<&Finding> = findings
        .iter()
        .filter(|finding| match finding.outcome {
            Outcome::Failed | Outcome::NotChecked => finding.blames_backups() || undecided.contains(&finding.code),
            Outcome::Passed | Outcome::Note => false,
        })
        .collect();
    reasons.sort_by_key(|finding| match finding.blame {
        Some(Blame::Backups) => 0,
        Some(_) => 1,
        None => 2,
    });
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(subject: Subject) -> Vec<Finding> {
        let needed = Code::ALL.iter().filter(|&&code| weight(subject, code) == Weight::Proof);
        needed.map(|&code| Finding::passed(code, "as it should be")).collect()
    }

    #[test]
    fn a_run_that_looked_at_nothing_proves_nothing() {
        assert_eq!(verdict(Subject::Drill, &[], &[]), Verdict::Inconclusive);
        assert_eq!(verdict(Subject::Check, &[], &[]), Verdict::Inconclusive);
    }

    #[test]
    fn a_run_whose_required_findings_all_passed_is_a_pass() {
        for subject in [Subject::Check, Subject::Drill] {
            assert_eq!(verdict(subject, &proof(subject), &[]), Verdict::Pass);
        }
    }

    #[test]
    fn each_proof_is_needed() {
        for subject in [Subject::Check, Subject::Drill] {
            for missing in 0..proof(subject).len() {
                let mut findings = proof(subject);
                let code = findings.remove(missing).code;
                assert_eq!(verdict(subject, &findings, &[]), Verdict::Inconclusive, "without {}", code.as_str());
            }
        }
    }

    #[test]
    fn only_the_backups_can_fail_a_run() {
        for blame in [Blame::Source, Blame::Environment, Blame::Baseline, Blame::Unknown] {
            let mut findings = proof(Subject::Drill);
            findings.push(Finding::failed(Code::ServerUp, blame, "it did not come up"));
            assert_eq!(verdict(Subject::Drill, &findings, &[]), Verdict::Inconclusive, "{blame:?}");
        }
        let mut findings = proof(Subject::Drill);
        findings.push(Finding::failed(Code::ArchiveOrphan, Blame::Backups, "any code will do"));
        assert_eq!(verdict(Subject::Drill, &findings, &[]), Verdict::Fail);
    }

    #[test]
    fn one_undecided_table_is_enough_to_withhold_a_pass() {
        let mut findings = proof(Subject::Drill);
        findings.push(Finding::not_checked(Code::TableRowCount, "it was locked").of("public.notes"));
        assert_eq!(verdict(Subject::Drill, &findings, &[]), Verdict::Inconclusive);
    }

    #[test]
    fn rows_that_did_not_fit_withhold_no_pass_and_rows_that_cannot_be_read_do() {
        let mut findings = proof(Subject::Drill);
        findings.push(Finding::not_checked(Code::TableContent, "did not fit"));
        assert_eq!(verdict(Subject::Drill, &findings, &[]), Verdict::Pass);
        assert_eq!(verdict(Subject::Drill, &findings, &[Code::TableContent]), Verdict::Inconclusive);
        findings.push(Finding::failed(Code::TableContent, Blame::Unknown, "cannot be read"));
        assert_eq!(verdict(Subject::Drill, &findings, &[]), Verdict::Inconclusive);
    }

    #[test]
    fn a_note_neither_proves_nor_hinders() {
        let mut findings = proof(Subject::Drill);
        findings.push(Finding::note(Code::TableTimestamps, "no column of time"));
        assert_eq!(verdict(Subject::Drill, &findings, &[]), Verdict::Pass);
        assert_eq!(
            verdict(Subject::Drill, &[Finding::note(Code::ServerUp, "it is said to be up")], &[]),
            Verdict::Inconclusive
        );
    }

    #[test]
    fn only_what_decided_is_given_as_the_reason() {
        let mut findings = proof(Subject::Drill);
        findings.push(Finding::failed(Code::ObjectiveRecoveryTime, Blame::Source, "it took too long"));
        findings.push(Finding::not_checked(Code::TableRowCount, "it was locked"));
        let undecided = undecided(Subject::Drill, &findings, &[]);
        let reasons: Vec<Code> = reasons(&findings, &undecided).iter().map(|finding| finding.code).collect();
        assert_eq!((undecided, reasons), (vec![Code::TableRowCount], vec![Code::TableRowCount]));
    }

    #[test]
    fn what_the_user_requires_must_have_passed() {
        let findings = proof(Subject::Drill);
        assert_eq!(verdict(Subject::Drill, &findings, &[Code::BaselineInexact]), Verdict::Inconclusive);
    }
}

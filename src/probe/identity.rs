//! Is the restored server this source's? Its system identifier against backup.info's and the baseline's.

use crate::finding::{Blame, Code, Finding};

/// The three witnesses; those that are not there are not asked.
#[derive(Debug, Clone)]
pub struct SystemIdentifiers {
    pub restored: Option<u64>,
    pub backup: Option<u64>,
    pub baseline: Option<u64>,
}

pub fn judge(identifiers: &SystemIdentifiers) -> Finding {
    let Some(restored) = identifiers.restored else {
        return Finding::not_checked(Code::ServerIdentity, "pg_control of the restored server names no system");
    };
    let witnesses = [("the baseline", identifiers.baseline), ("backup.info", identifiers.backup)];
    for (name, witness) in witnesses {
        if let Some(expected) = witness
            && expected != restored
        {
            return Finding::failed(
                Code::ServerIdentity,
                Blame::Backups,
                format!("the restored server is another cluster's than {name} says"),
            )
            .expected(format!("system identifier {expected} ({name})"))
            .observed(format!("system identifier {restored}"))
            .hint("is `archive.s3.serverName` the source's? If so, another cluster archives under its name");
        }
    }
    let known: Vec<&str> = witnesses.iter().filter(|(_, witness)| witness.is_some()).map(|(name, _)| *name).collect();
    if known.is_empty() {
        return Finding::not_checked(Code::ServerIdentity, "nothing says which system this should be");
    }
    Finding::passed(Code::ServerIdentity, format!("system identifier {restored}, as {} say", known.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    fn outcome(restored: Option<u64>, backup: Option<u64>, baseline: Option<u64>) -> Outcome {
        judge(&SystemIdentifiers { restored, backup, baseline }).outcome
    }

    #[test]
    fn all_witnesses_must_agree() {
        assert_eq!(outcome(Some(1), Some(1), Some(1)), Outcome::Passed);
        assert_eq!(outcome(Some(1), Some(2), Some(1)), Outcome::Failed);
        assert_eq!(outcome(Some(1), Some(1), Some(2)), Outcome::Failed);
    }

    #[test]
    fn without_a_witness_nothing_is_known() {
        assert_eq!(outcome(Some(1), None, None), Outcome::NotChecked);
        assert_eq!(outcome(None, Some(1), Some(1)), Outcome::NotChecked);
        assert_eq!(outcome(Some(1), Some(1), None), Outcome::Passed);
    }
}

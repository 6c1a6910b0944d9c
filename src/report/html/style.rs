//! What all parts of the page share: the style sheet, and the marks that say in a shape what a colour says too.

use crate::finding::{Blame, Finding, Outcome};
use crate::verdict::Verdict;

pub const SHEET: &str = include_str!("style.css");

/// A sign that is told from the others without its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Tick,
    Cross,
    Question,
    Dot,
}

impl Mark {
    pub const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Tick,
            Verdict::Fail => Self::Cross,
            Verdict::Inconclusive => Self::Question,
        }
    }

    pub const fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Tick,
            Outcome::Failed => Self::Cross,
            Outcome::NotChecked => Self::Question,
            Outcome::Note => Self::Dot,
        }
    }

    /// A picture as high as the text beside it, which says the same in a word.
    pub const fn svg(self) -> &'static str {
        match self {
            Self::Tick => {
                r#"<svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><path d="M2.5 8.5 L6.5 12.5 L13.5 4"/></svg>"#
            }
            Self::Cross => {
                r#"<svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><path d="M3.5 3.5 L12.5 12.5 M12.5 3.5 L3.5 12.5"/></svg>"#
            }
            Self::Question => {
                r#"<svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><path d="M4.5 5.5 C4.5 1 11.5 1 11.5 5.2 C11.5 8 8 7.6 8 10.6 M8 13.4 L8 13.5"/></svg>"#
            }
            Self::Dot => r#"<svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><path d="M8 8 L8 8.01"/></svg>"#,
        }
    }
}

/// The style's name for a verdict.
pub const fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "doubt",
    }
}

/// The style's name for a finding, and its word.
pub const fn outcome(finding: &Finding) -> (&'static str, &'static str) {
    match (finding.outcome, finding.blame) {
        (Outcome::Passed, _) => ("pass", "passed"),
        (Outcome::Failed, Some(Blame::Backups)) => ("fail", "failed: backups at fault"),
        (Outcome::Failed, Some(Blame::Source)) => ("doubt", "failed: source at fault"),
        (Outcome::Failed, Some(Blame::Environment)) => ("doubt", "failed: environment at fault"),
        (Outcome::Failed, Some(Blame::Baseline)) => ("doubt", "failed: baseline at fault"),
        (Outcome::Failed, Some(Blame::Unknown) | None) => ("doubt", "failed: fault unknown"),
        (Outcome::NotChecked, _) => ("doubt", "not checked"),
        (Outcome::Note, _) => ("note", "note"),
    }
}

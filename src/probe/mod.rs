//! Probes: each one comparison or test on the restored server. They know a connection and the baseline, nothing else.
//! All run; none stops the next.

pub mod certificate;
pub mod identity;
pub mod isolation;
pub mod objects;
pub mod recovery;
pub mod tables;

use crate::finding::{Code, Finding};

/// A probe that could not ask its question proves nothing either way.
pub(crate) fn not_asked(code: Code, error: &tokio_postgres::Error) -> Finding {
    Finding::not_checked(code, format!("the restored server could not be asked: {}", crate::postgres::reason(error)))
        .hint("run the drill with --keep and ask it by hand")
}

//! The libraries that functions in C live in: an image without one restores everything, and the first call fails.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::Programs;
use crate::finding::{Blame, Code, Finding};
use crate::postgres::{quote_literal, reason};
use crate::report::text::count;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// As functions name it: `$libdir/postgis-3`.
    pub file: String,
    pub functions: u64,
}

/// Every library that a function of this database names, PostgreSQL's own included.
pub async fn needed(client: &Client) -> Result<Vec<Library>, Error> {
    let question = "SELECT probin, count(*)::int8 FROM pg_proc WHERE probin IS NOT NULL
        GROUP BY 1 ORDER BY 1";
    let rows = client.query(question, &[]).await?;
    let library = |row: &tokio_postgres::Row| Library {
        file: row.get(0),
        functions: u64::try_from(row.get::<_, i64>(1)).unwrap_or(0),
    };
    Ok(rows.iter().map(library).collect())
}

/// Loads one library into this session, which may end by it.
pub async fn load(client: &Client, library: &Library) -> Result<(), Error> {
    client.batch_execute(&format!("SET lc_messages = 'C'; LOAD {}", quote_literal(&library.file))).await
}

/// None for one that is there and works.
pub fn judge(library: &Library, database: &str, programs: Programs, outcome: Result<(), Error>) -> Option<Finding> {
    let error = outcome.err()?;
    let Some(refusal) = error.as_db_error() else {
        let summary = format!("the server ended while library {} was loaded", library.file);
        return Some(Finding::not_checked(Code::IntegrityLibrary, summary).of(&library.file).observed(reason(&error)));
    };
    Some(refused(library, database, programs, refusal.code(), refusal.message()))
}

fn refused(library: &Library, database: &str, programs: Programs, code: &SqlState, message: &str) -> Finding {
    let needed = format!("{} of {database}", count(library.functions, "function", "functions"));
    let does_not_fit = ["could not access file", "could not load library", "incompatible library"]
        .iter()
        .any(|text| message.starts_with(text));
    if !does_not_fit && *code != SqlState::UNDEFINED_FILE {
        let summary = format!("library {} is there, and cannot be loaded by itself", library.file);
        return Finding::note(Code::IntegrityLibrary, summary).of(&library.file).observed(message);
    }
    if programs == Programs::OfThisMachine {
        let summary = format!("this machine has no library {}, so {needed} cannot run here", library.file);
        return Finding::note(Code::IntegrityLibrary, summary)
            .of(&library.file)
            .observed(message)
            .hint("install the extension's package here, or drill with the operator and the source's image");
    }
    Finding::failed(
        Code::IntegrityLibrary,
        Blame::Environment,
        format!("library {} is missing or does not fit, so {needed} cannot run", library.file),
    )
    .of(&library.file)
    .expected("every library that a function names")
    .observed(message)
    .hint("restore with an image that has the extension; if production does without it, drop those functions there")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    const MISSING: &str = "could not access file \"$libdir/postgis-3\": No such file or directory";

    fn judged(programs: Programs, code: &SqlState, message: &str) -> Finding {
        let library = Library { file: "$libdir/postgis-3".to_owned(), functions: 700 };
        refused(&library, "shop", programs, code, message)
    }

    #[test]
    fn a_missing_library_blames_the_image_and_never_the_backups() {
        for programs in [Programs::OfSource, Programs::OfOtherImage] {
            let finding = judged(programs, &SqlState::UNDEFINED_FILE, MISSING);
            assert_eq!(finding.blame, Some(Blame::Environment));
        }
        assert_eq!(judged(Programs::OfThisMachine, &SqlState::UNDEFINED_FILE, MISSING).outcome, Outcome::Note);
    }

    #[test]
    fn a_library_that_lacks_another_one_is_missing_too() {
        let message =
            "could not load library \"/usr/lib/postgis-3.so\": libgeos_c.so.1: cannot open shared object file";
        assert_eq!(judged(Programs::OfSource, &SqlState::INTERNAL_ERROR, message).outcome, Outcome::Failed);
    }

    #[test]
    fn a_library_that_only_works_preloaded_is_there() {
        let message = "pg_cron can only be loaded via shared_preload_libraries";
        let finding = judged(Programs::OfSource, &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
        assert_eq!(finding.outcome, Outcome::Note);
    }
}

//! What goes wrong around a drill: the store, the archive's contents, the machine, the user's own wishes, signals. Each
//! has an exit code, a finding with a cause and a hint, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod contents;
mod machine;
mod signals;
mod store;
mod wishes;

use serde_json::{Value, json};
use support::prepared::SERVER;
use support::{ArchiveCopy, Outcome, Prepared, S3, Walproof};

/// A copy of the prepared archive, served, and a walproof that has its baseline and restores its newest backup.
struct Trial {
    walproof: Walproof,
    s3: S3,
    archive: ArchiveCopy,
}

impl Trial {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// With an archive that is broken first.
    fn with(damage: impl FnOnce(&ArchiveCopy)) -> Self {
        let prepared = Prepared::get();
        let archive = ArchiveCopy::copy_of(prepared);
        damage(&archive);
        let s3 = archive.serve();
        let walproof =
            Walproof::new(&s3, SERVER).baseline(&prepared.baseline()).set("/sources/0/backup", json!("newest"));
        Self { walproof, s3, archive }
    }

    fn set(mut self, pointer: &str, value: Value) -> Self {
        self.walproof = self.walproof.set(pointer, value);
        self
    }

    #[track_caller]
    fn check(&self) -> Outcome {
        self.walproof.run(&["check", "--output", "json"])
    }

    #[track_caller]
    fn drill(&self) -> Outcome {
        let outcome = self.walproof.run(&["drill", "--output", "json"]);
        assert!(self.walproof.left_behind().is_empty(), "{:?}\n{outcome}", self.walproof.left_behind());
        assert!(signals::processes_in(&self.walproof.sandboxes()).is_empty(), "{outcome}");
        outcome
    }

    /// The object with the data of the newest backup.
    fn data(&self) -> String {
        data(&self.archive)
    }
}

fn data(archive: &ArchiveCopy) -> String {
    archive.backup_key(newest_backup(), "data.tar.gz")
}

fn newest_backup() -> &'static str {
    Prepared::get().backups.last().unwrap()
}

#[track_caller]
fn assert_passes(outcome: &Outcome) {
    assert_eq!((outcome.exit_code, &outcome.report()["verdict"]), (0, &json!("PASS")), "{outcome}");
}

/// The finding with this code that failed; it says what to do, and the exit code is what the blame demands.
#[track_caller]
fn assert_fails(outcome: &Outcome, code: &str, blame: &str) -> Value {
    let expected = if blame == "backups" { (1, json!("FAIL")) } else { (2, json!("INCONCLUSIVE")) };
    let report = outcome.report();
    assert_eq!((outcome.exit_code, report["verdict"].clone()), expected, "{outcome}");
    let failed = outcome.finding(code, "failed");
    assert_eq!(failed["blame"], blame, "{outcome}");
    for part in ["summary", "hint"] {
        assert!(failed[part].as_str().is_some_and(|text| !text.is_empty()), "no {part}: {outcome}");
    }
    failed
}

#[track_caller]
fn assert_says(finding: &Value, part: &str, text: &str) {
    assert!(finding[part].as_str().is_some_and(|said| said.contains(text)), "`{part}` without {text:?}: {finding:#}");
}

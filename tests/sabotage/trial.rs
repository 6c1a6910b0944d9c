//! An archive on trial: the real binary's verdict on it. After each run it is asserted that the archive is what it was
//! before, byte for byte, that nothing was asked of the store but reading, and that no directory and no process is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::archive::files;
use crate::support::prepared::SERVER;
use crate::support::{ArchiveCopy, Operation, Outcome, Postgres, Prepared, S3, Walproof};

/// Older than any grace for segments that overtake one another.
pub const AGE: Duration = Duration::from_hours(1);

/// An archive, served, and a configuration for it.
pub struct Trial {
    root: PathBuf,
    s3: S3,
    walproof: Walproof,
    /// Kept as long as it is served.
    _archive: Option<ArchiveCopy>,
}

/// What a run made of it.
pub struct Judged(Outcome);

/// What a failed or undecided finding must say: its code, and its object or a part of it.
pub type Expected<'a> = (&'a str, &'a str);

impl Trial {
    /// A broken copy of the prepared archive, an hour old, with the baseline document that belongs to it. It is waited
    /// two seconds for what does not arrive.
    pub fn of_prepared(sabotage: impl FnOnce(&ArchiveCopy)) -> Self {
        let prepared = Prepared::get();
        let archive = ArchiveCopy::copy_of(prepared).aged(AGE);
        sabotage(&archive);
        Self::of_archive(archive, &prepared.baseline())
    }

    /// Any archive of [`SERVER`], with the baseline document that it is held against.
    pub fn of_archive(archive: ArchiveCopy, baseline: &Path) -> Self {
        let s3 = archive.serve();
        let walproof = Walproof::new(&s3, SERVER).baseline(baseline);
        Self::new(s3, walproof, Some(archive))
    }

    /// The archive of a source of the case's own, which is still running and asked for the baseline.
    pub fn of_source(s3: S3, server: &str, postgres: &Postgres) -> Self {
        let walproof = Walproof::new(&s3, server).connection(postgres);
        Self::new(s3, walproof, None)
    }

    fn new(s3: S3, walproof: Walproof, archive: Option<ArchiveCopy>) -> Self {
        // By default the choice rotates from day to day.
        let walproof = walproof.set("/sources/0/backup", json!("newest")).set("/limits/archiveWait", json!("2s"));
        Self { root: s3.root().to_owned(), s3, walproof, _archive: archive }
    }

    /// Another baseline document than the prepared one.
    #[must_use]
    pub fn baseline(self, document: &Path) -> Self {
        Self { walproof: self.walproof.baseline(document), ..self }
    }

    /// The source, to be asked by a check.
    #[must_use]
    pub fn connection(self, postgres: &Postgres) -> Self {
        Self { walproof: self.walproof.connection(postgres), ..self }
    }

    /// Sets one value of the configuration; see [`Walproof::set`].
    #[must_use]
    pub fn set(self, pointer: &str, value: Value) -> Self {
        Self { walproof: self.walproof.set(pointer, value), ..self }
    }

    #[track_caller]
    pub fn check(&self) -> Judged {
        self.run("check")
    }

    #[track_caller]
    pub fn drill(&self) -> Judged {
        self.run("drill")
    }

    #[track_caller]
    fn run(&self, command: &str) -> Judged {
        let before = objects(&self.root);
        self.s3.forget_requests();
        let outcome = self.walproof.run(&[command, "--output", "json"]);
        assert_eq!(self.s3.count(Operation::Write), 0, "the archive was written to: {:?}", self.s3.requests());
        assert!(before == objects(&self.root), "the archive was changed\n{outcome}");
        assert_eq!(self.walproof.left_behind(), Vec::<PathBuf>::new(), "{outcome}");
        assert_eq!(processes_in(&self.walproof.sandboxes()), Vec::<String>::new(), "{outcome}");
        Judged(outcome)
    }
}

impl Judged {
    /// PASS, with nothing that failed.
    #[track_caller]
    pub fn passes(&self) {
        self.is("PASS", 0);
        assert_eq!(self.codes("failed"), Vec::<String>::new(), "{self}");
    }

    /// FAIL by exactly these findings that blame the backups, each with expected, observed and a hint.
    #[track_caller]
    pub fn fails(&self, expected: &[Expected]) {
        self.is("FAIL", 1);
        let blaming = self.findings(|finding| finding["outcome"] == "failed" && finding["blame"] == "backups");
        self.are(&blaming, expected);
        for finding in blaming {
            for field in ["expected", "observed", "hint"] {
                assert!(finding[field].is_string(), "{finding:#} does not say `{field}`\n{self}");
            }
        }
    }

    /// INCONCLUSIVE: no finding blames the backups, and exactly these failed or were not decided.
    #[track_caller]
    pub fn is_inconclusive(&self, expected: &[Expected]) {
        self.is("INCONCLUSIVE", 2);
        let blaming = self.findings(|finding| finding["blame"] == "backups");
        assert!(blaming.is_empty(), "{blaming:#?}\n{self}");
        self.are(
            &self.findings(|finding| finding["outcome"] == "failed" || finding["outcome"] == "not_checked"),
            expected,
        );
    }

    /// The finding with this code and outcome; there must be exactly one.
    #[track_caller]
    pub fn finding(&self, code: &str, outcome: &str) -> Value {
        let found = self.findings(|finding| finding["code"] == code && finding["outcome"] == outcome);
        assert_eq!(found.len(), 1, "one {outcome} finding {code}\n{self}");
        found[0].clone()
    }

    #[track_caller]
    pub fn codes(&self, outcome: &str) -> Vec<String> {
        self.0.codes(outcome)
    }

    #[track_caller]
    pub fn report(&self) -> Value {
        self.0.report()
    }

    #[track_caller]
    fn is(&self, verdict: &str, exit_code: i32) {
        let report = self.report();
        assert_eq!((report["verdict"].as_str(), self.0.exit_code), (Some(verdict), exit_code), "{self}");
        assert_eq!(report["left_behind"], json!([]), "{self}");
    }

    #[track_caller]
    fn findings(&self, choose: impl Fn(&Value) -> bool) -> Vec<Value> {
        let report = self.report();
        report["findings"].as_array().unwrap().iter().filter(|finding| choose(finding)).cloned().collect()
    }

    #[track_caller]
    fn are(&self, findings: &[Value], expected: &[Expected]) {
        let said = |finding: &Value| {
            let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
            (text("code"), text("object"))
        };
        let mut said: Vec<(String, String)> = findings.iter().map(said).collect();
        said.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let same = said.len() == expected.len()
            && said.iter().zip(&expected).all(|((code, object), (wanted, part))| {
                code == wanted && object.contains(part) && object.is_empty() == part.is_empty()
            });
        assert!(same, "expected {expected:?}, found {said:?}\n{self}");
    }
}

impl std::fmt::Display for Judged {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Every file of the store with its age and content.
fn objects(root: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let object = |path: PathBuf| {
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let content = fs::read(&path).unwrap();
        (path, (modified, content))
    };
    files(root).into_iter().map(object).collect()
}

/// The command lines of all processes that work in a directory or name it.
fn processes_in(directory: &Path) -> Vec<String> {
    let name = directory.to_str().unwrap();
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process = entry.ok()?.path();
        let command = String::from_utf8_lossy(&fs::read(process.join("cmdline")).ok()?).replace('\0', " ");
        let works_in = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory));
        (works_in || command.contains(name)).then_some(command)
    });
    commands.collect()
}

//! The history as a document: JSON, compressed with gzip. What is damaged in it costs only itself: each run and each
//! report is read alone.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{History, PastRun, SCHEMA_VERSION};
use crate::report::Report;

/// No history that walproof wrote is longer than a quarter of this.
const READ_LIMIT: u64 = 64 << 20;

/// Why a document as a whole is no history of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    #[error("it has schema version {0}, and this walproof knows {SCHEMA_VERSION} and older ones")]
    Newer(u64),
    #[error("it is the history of the source {0}")]
    Foreign(String),
    /// It is to be set aside.
    #[error("{0}")]
    Damaged(String),
}

/// A document, and how long it is without compression.
#[derive(Debug, Clone)]
pub struct Written {
    pub bytes: Vec<u8>,
    pub json_bytes: usize,
}

/// The same history gives the same bytes.
pub fn write(history: &History) -> Written {
    let json = serde_json::to_vec(history).expect("all keys are strings and all values finite");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(&json).and_then(|()| encoder.finish());
    Written { bytes: written.expect("memory takes all that is written to it"), json_bytes: json.len() }
}

/// The history of `source`. Nothing at all is one without runs.
pub fn read(bytes: &[u8], source: &str) -> Result<History, Defect> {
    if bytes.is_empty() {
        return Ok(History::of(source));
    }
    let mut json = Vec::new();
    let decompressed = GzDecoder::new(bytes).take(READ_LIMIT + 1).read_to_end(&mut json);
    decompressed.map_err(|error| Defect::Damaged(format!("it cannot be decompressed: {error}")))?;
    if json.len() as u64 > READ_LIMIT {
        return Err(Defect::Damaged(format!("it is longer than {READ_LIMIT} bytes")));
    }
    let history = match serde_json::from_slice::<History>(&json) {
        Ok(history) => history,
        Err(_) => piece_by_piece(&json)?,
    };
    if history.schema_version > SCHEMA_VERSION {
        return Err(Defect::Newer(history.schema_version.into()));
    }
    if !history.source.is_empty() && history.source != source {
        return Err(Defect::Foreign(history.source));
    }
    Ok(History { source: source.to_owned(), ..history })
}

fn piece_by_piece(json: &[u8]) -> Result<History, Defect> {
    let mut document: Map<String, Value> =
        serde_json::from_slice(json).map_err(|error| Defect::Damaged(format!("it is no JSON object: {error}")))?;
    let version = document.get("schema_version").and_then(Value::as_u64);
    let version = version.ok_or_else(|| Defect::Damaged("it has no schema version".to_owned()))?;
    if version > SCHEMA_VERSION.into() {
        return Err(Defect::Newer(version));
    }
    let mut damaged: Vec<Value> = whole(&mut document, "damaged").unwrap_or_default();
    let mut history = History {
        source: whole(&mut document, "source").unwrap_or_default(),
        drills: whole(&mut document, "drills").unwrap_or_default(),
        checks: whole(&mut document, "checks").unwrap_or_default(),
        lost_reports: whole(&mut document, "lost_reports").unwrap_or_default(),
        ..History::default()
    };
    let mut set_aside = |what: &str, value: &Value, error: &serde_json::Error| {
        tracing::warn!("{what} in the history cannot be read and is set aside: {error}");
        damaged.push(json!({what: value}));
    };
    for value in whole::<Vec<Value>>(&mut document, "runs").unwrap_or_default() {
        match PastRun::deserialize(&value) {
            Ok(run) => history.runs.push(run),
            Err(error) => set_aside("run", &value, &error),
        }
    }
    for (run_id, value) in whole::<BTreeMap<String, Value>>(&mut document, "reports").unwrap_or_default() {
        match Report::deserialize(&value) {
            Ok(report) => drop(history.reports.insert(run_id, report)),
            Err(error) => set_aside("report", &value, &error),
        }
    }
    history.damaged = damaged;
    Ok(history)
}

/// One field, or None with a warning.
fn whole<T: DeserializeOwned>(document: &mut Map<String, Value>, field: &str) -> Option<T> {
    let value = document.remove(field)?;
    serde_json::from_value(value)
        .inspect_err(|error| tracing::warn!("`{field}` of the history cannot be read and is lost: {error}"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::{at, report, run};
    use crate::verdict::{Subject, Verdict};

    fn compressed(json: &Value) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(json.to_string().as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn sound() -> History {
        let mut history = History::of("app");
        for day in 1..=3 {
            history.begin(run(Subject::Drill, day));
            history.finish(&report(Subject::Drill, day, Verdict::Pass), &BTreeMap::new(), &[]);
        }
        history
    }

    #[test]
    fn what_is_written_is_read_again() {
        let history = sound();
        assert_eq!(read(&write(&history).bytes, "app"), Ok(history));
        assert_eq!(read(b"", "app"), Ok(History::of("app")));
    }

    #[test]
    fn a_damaged_entry_costs_only_itself() {
        let mut json = serde_json::to_value(sound()).unwrap();
        json["runs"][1]["started_at"] = json!("yesterday");
        let latest = sound().reports.keys().next_back().unwrap().clone();
        json["reports"][&latest]["findings"] = json!("none");
        let history = read(&compressed(&json), "app").unwrap();
        let left: Vec<_> = history.runs.iter().map(|run| run.started_at).collect();
        assert_eq!(left, [at(1), at(3)]);
        assert_eq!((history.reports.len(), history.drills.runs), (0, 3));
        assert_eq!(history.damaged.len(), 2);
        assert_eq!(history.damaged[0]["run"]["started_at"], "yesterday");
        // Written again, it is still there.
        assert_eq!(read(&write(&history).bytes, "app"), Ok(history));
    }

    #[test]
    fn a_whole_document_that_is_no_history_says_why() {
        let sound = write(&sound()).bytes;
        let cases: [(&str, Vec<u8>, &str); 7] = [
            ("no gzip", b"{}".to_vec(), "it cannot be decompressed: "),
            ("cut", sound[..sound.len() / 2].to_vec(), "it cannot be decompressed: "),
            ("no JSON", compressed(&json!("text")), "it is no JSON object: "),
            ("no version", compressed(&json!({"runs": []})), "it has no schema version"),
            (
                "newer, and readable",
                compressed(&json!({"schema_version": 2, "runs": [], "reports": {}, "drills":
                {"runs": 0, "passed": 0}, "checks": {"runs": 0, "passed": 0}})),
                "it has schema version 2, ",
            ),
            (
                "newer, and quite another",
                compressed(&json!({"schema_version": 3, "runs": 7})),
                "it has schema version 3, ",
            ),
            (
                "another source's",
                compressed(&json!({"schema_version": 1, "source": "App"})),
                "it is the history of the source App",
            ),
        ];
        for (name, bytes, expected) in cases {
            let defect = read(&bytes, "app").unwrap_err();
            assert!(defect.to_string().starts_with(expected), "{name}: {defect}");
            let is_damaged = matches!(defect, Defect::Damaged(_));
            assert_eq!(is_damaged, !(name.starts_with("newer") || name.starts_with("another")), "{name}");
        }
    }
}

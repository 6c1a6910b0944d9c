//! One line of a recovery container's log, taken apart: who said it, how grave it is, and its words. CNPG logs JSON lines
//! around what PostgreSQL, barman and the operator's own manager say; anything else is plain text.

use jiff::Timestamp;
use serde_json::Value;

/// How much of a message is kept.
const TEXT_LIMIT: usize = 300;

/// Details that name only settings, versions and LSNs. Any other may hold rows.
const HARMLESS_DETAILS: [&str; 5] = [
    "is a lower setting than on the primary server",
    "The data directory was initialized by PostgreSQL version",
    "The database cluster was initialized with PG_CONTROL_VERSION",
    "in the history of the requested timeline",
    "This server's history forked from timeline",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

/// One message. A line holds none, one or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When the operator's manager passed it on.
    pub at: Option<Timestamp>,
    pub severity: Severity,
    /// Who said it: `postgres`, `barman-cloud-restore`, `manager`, …
    pub speaker: String,
    /// At most 300 characters, on one line.
    pub text: String,
    /// It explains the message before it.
    pub is_detail: bool,
}

/// Takes a line apart. Of DETAIL only what is known to be harmless is kept, of statements and contexts nothing.
pub fn entries(line: &str) -> Vec<Entry> {
    match serde_json::from_str::<Value>(line) {
        Ok(value) if value.is_object() => of_json(&value),
        // The rest of a JSON line that was cut may be a detail or a query.
        _ if line.contains("\":") || line.trim_end().ends_with('}') => Vec::new(),
        _ => said_by_a_program(None, "container", line, Severity::Warning).collect(),
    }
}

fn of_json(value: &Value) -> Vec<Entry> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let at: Option<Timestamp> = text("ts").parse().ok();
    let message = text("msg");
    if let Some(record) = value.get("record").filter(|record| record.is_object()) {
        return of_record(at, record);
    }
    let speaker = Some(text("logger")).filter(|name| !name.is_empty()).unwrap_or("manager");
    // CNPG 1.30 passes on what PostgreSQL and its restore_command write past the log collector.
    if value.get("pipe").is_some() || speaker == "postgres" {
        return said_by_a_program(at, speaker, message, Severity::Info).collect();
    }
    let severity = match text("level") {
        // How manager and plugin log it when no WAL could be had, whatever the reason.
        _ if message == "wal-restore command failed" || message.starts_with("Failed restoring WAL file") => {
            Severity::Warning
        }
        "warning" | "warn" => Severity::Warning,
        "error" | "dpanic" | "panic" | "fatal" => Severity::Error,
        _ => Severity::Info,
    };
    let mut words = message.to_owned();
    for (separator, more) in [(" ", text("walName")), (": ", text("error"))] {
        if !more.is_empty() {
            words = words + separator + more;
        }
    }
    let mut entries = vec![entry(at, severity, speaker, &words)];
    // What a program that the manager ran had to say, such as barman-cloud-backup-list.
    entries.extend(said_by_a_program(at, speaker, text("stderr"), Severity::Info));
    entries
}

fn of_record(at: Option<Timestamp>, record: &Value) -> Vec<Entry> {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let severity = severity_of_postgres(text("error_severity"));
    let mut entries = vec![entry(at, severity, "postgres", text("message"))];
    entries.extend(harmless_detail(at, text("detail")));
    entries
}

/// What a program wrote, line by line: PostgreSQL before its log collector runs, or barman.
fn said_by_a_program<'a>(
    at: Option<Timestamp>,
    speaker: &'a str,
    words: &'a str,
    otherwise: Severity,
) -> impl Iterator<Item = Entry> + use<'a> {
    words.lines().filter_map(move |line| {
        for kind in ["DETAIL", "HINT", "STATEMENT", "CONTEXT", "QUERY"] {
            if let Some((_, rest)) = line.split_once(&format!("{kind}:  ")) {
                return if kind == "DETAIL" { harmless_detail(at, rest) } else { None };
            }
        }
        for name in ["PANIC", "FATAL", "ERROR", "WARNING", "LOG"] {
            if let Some((_, rest)) = line.split_once(&format!("{name}:  ")) {
                return Some(entry(at, severity_of_postgres(name), "postgres", rest));
            }
        }
        // An indented line goes on with what was left out above.
        if line.trim().is_empty() || line.starts_with([' ', '\t']) {
            return None;
        }
        let severity = if ["ERROR", "CRITICAL", "rror: ", "xception"].iter().any(|text| line.contains(text)) {
            Severity::Error
        } else if line.contains("WARNING") {
            Severity::Warning
        } else {
            otherwise
        };
        // barman: `2026-11-21 15:33:29,075 [13] ERROR: …`
        let words = line.split_once("] ").filter(|_| line.starts_with(|c: char| c.is_ascii_digit()));
        Some(entry(at, severity, speaker, words.map_or(line, |(_, words)| words)))
    })
}

fn severity_of_postgres(name: &str) -> Severity {
    match name {
        "WARNING" => Severity::Warning,
        "ERROR" | "FATAL" | "PANIC" => Severity::Error,
        _ => Severity::Info,
    }
}

fn harmless_detail(at: Option<Timestamp>, detail: &str) -> Option<Entry> {
    HARMLESS_DETAILS
        .iter()
        .any(|text| detail.contains(text))
        .then(|| Entry { is_detail: true, ..entry(at, Severity::Info, "postgres", detail) })
}

fn entry(at: Option<Timestamp>, severity: Severity, speaker: &str, text: &str) -> Entry {
    Entry { at, severity, speaker: cut(speaker), text: cut(text), is_detail: false }
}

fn cut(text: &str) -> String {
    let one_line = || text.trim().chars().map(|character| if character == '\n' { ' ' } else { character });
    let kept: String = one_line().take(TEXT_LIMIT).collect();
    if one_line().nth(TEXT_LIMIT).is_some() { kept + "…" } else { kept }
}

//! What walproof knows its own texts by: a line that a page does not show.

use std::fmt::Write;

use crate::finding::{Code, Outcome};
use crate::report::Report;

/// First line of the comment on a run.
pub fn of_run(report: &Report) -> String {
    of(report, "")
}

/// First line of the comment on a run that was closed because it never ended; it may end yet, and have a comment of its
/// own then.
pub fn of_killed_run(report: &Report) -> String {
    of(report, " killed")
}

/// True of the report that a later run wrote for one that never ended.
pub fn is_killed(report: &Report) -> bool {
    report.findings.iter().any(|finding| finding.code == Code::RunKilled && finding.outcome == Outcome::NotChecked)
}

fn of(report: &Report, state: &str) -> String {
    format!("<!-- walproof:v1 run={}{state} -->", encoded(&report.run_id))
}

/// First line of the tracking issue of a source and command.
pub fn of_source(report: &Report) -> String {
    let namespace = report.namespace.as_deref().map_or_else(String::new, |namespace| encoded(namespace) + "/");
    format!("<!-- walproof:v1 source={namespace}{} command={} -->", encoded(&report.source), report.command.as_str())
}

/// Whether a text carries a marker, on a line of its own: a quotation does not count.
pub fn is_in(text: &str, marker: &str) -> bool {
    text.lines().any(|line| line.trim_end() == marker)
}

/// Nothing in it ends the marker, or is mistaken for another part of it.
fn encoded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => safe.push(char::from(byte)),
            _ => {
                let _ = write!(safe, "%{byte:02X}");
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_end_a_marker() {
        assert_eq!(encoded("pal-e_postgres.1"), "pal-e_postgres.1");
        assert_eq!(encoded("a --> <b> command=x/ü"), "a%20--%3E%20%3Cb%3E%20command%3Dx%2F%C3%BC");
    }

    #[test]
    fn a_quoted_marker_is_not_a_marker() {
        let marker = "<!-- walproof:v1 run=1 -->";
        assert!(is_in("<!-- walproof:v1 run=1 -->\r\ntext", marker));
        assert!(is_in("a person's words\n<!-- walproof:v1 run=1 -->", marker));
        assert!(!is_in("> <!-- walproof:v1 run=1 -->\ntext", marker));
        assert!(!is_in("<!-- walproof:v1 run=12 -->", marker));
    }
}

//! The report as one page that needs nothing else: no network, no script, no font. It reads on paper, on a telephone, in
//! the dark and by ear, and says with a word or a shape whatever it says with a colour. It has no clock: all times are the
//! report's and the history's, in UTC. The markup is XML too.

mod probes;
mod scale;
mod style;
mod timeline;
mod trend;
mod window;

use std::fmt::Write;

use jiff::Timestamp;
use style::{Mark, SHEET, verdict_class};

use crate::history::History;
use crate::report::Report;
use crate::report::text::{bytes, count, grouped, milliseconds, moment, sentences};
use crate::sandbox::operator::evidence::SandboxEvidence;
use crate::verdict::Subject;

pub use probes::unproven_sentences;

/// The whole page. Without a history it tells of this run alone.
pub fn page(report: &Report, history: Option<&History>) -> String {
    let command = report.command.as_str();
    let verdict = report.verdict.as_str();
    let sections = [
        timeline::section(report),
        window::section(report),
        probes::findings(report),
        report.restore.as_ref().map(probes::tables).unwrap_or_default(),
        probes::unproven(report),
        history.map(trend::recovery_times).unwrap_or_default(),
        history.map(|history| trend::former_runs(report, history)).unwrap_or_default(),
        report.sandbox.as_ref().map(sandbox).unwrap_or_default(),
        about(report),
    ];
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="referrer" content="no-referrer"/>
<meta name="generator" content="walproof {version}"/>
<title>{verdict}: {command} of {source}, {day}</title>
<style>
{SHEET}</style>
</head>
<body class="{class}">
<main>
<header>
<h1><span class="eyebrow">walproof {command} of {source}</span> <span class="verdict">{mark} {verdict}</span></h1>
{said}{left}{glance}</header>
{sections}</main>
</body>
</html>
"#,
        version = escape(&report.walproof_version),
        source = escape(&report.source),
        day = report.started_at.strftime("%Y-%m-%d"),
        class = verdict_class(report.verdict),
        mark = Mark::of_verdict(report.verdict).svg(),
        said = said(report),
        left = left_behind(report),
        glance = glance(report, history),
        sections = sections.concat(),
    )
}

/// What was proven or what broke, whose fault it is, and what to do.
fn said(report: &Report) -> String {
    let mut text = String::new();
    for (number, sentence) in sentences(report).iter().enumerate() {
        let _ = match sentence.strip_prefix("To do: ") {
            Some(todo) => writeln!(text, "<p class=\"todo\"><strong>To do:</strong> {}</p>", prose(todo)),
            None if number == 0 => writeln!(text, "<p class=\"lead\">{}</p>", prose(sentence)),
            None => writeln!(text, "<p>{}</p>", prose(sentence)),
        };
    }
    text
}

fn left_behind(report: &Report) -> String {
    if report.left_behind.is_empty() {
        return String::new();
    }
    let mut items = String::new();
    for left in &report.left_behind {
        let _ = write!(items, "<li>{}</li>", escape(left));
    }
    format!("<div class=\"todo\"><strong>Left behind</strong>, for the next run's sweep: <ul>{items}</ul></div>\n")
}

/// The measurements, as far as there are any.
fn glance(report: &Report, history: Option<&History>) -> String {
    let mut facts: Vec<(&str, String, String)> = Vec::new();
    if let Some(restore) = &report.restore {
        if let Some(took) = restore.recovery_time_ms {
            facts.push((
                "Recovery time",
                milliseconds(took),
                format!("measured in the {} sandbox (RTO)", restore.sandbox),
            ));
        }
        if let Some(exposure) = restore.recovery_point_exposure_ms {
            let note = "from the newest moment proven restorable to the end of the run (RPO)";
            facts.push(("Would be lost now", milliseconds(exposure), note.to_owned()));
        }
        let tables = count(restore.tables_compared, "table", "tables");
        if let Some(baseline) = &restore.baseline {
            let databases = count(baseline.databases, "database", "databases");
            let exact = if baseline.exact { "" } else { "; not exact" };
            facts.push((
                "Baseline",
                count(baseline.rows, "row", "rows"),
                format!("of {databases}; {tables} compared{exact}"),
            ));
        }
        let ended = restore.backup_ended_at.map_or_else(String::new, |at| format!("ended {}", moment(at)));
        let unpacked = match restore.bytes_unpacked {
            0 => String::new(),
            unpacked => format!(", {} unpacked", bytes(unpacked)),
        };
        facts.push(("Base backup", restore.backup.clone(), format!("{ended}{unpacked}")));
        facts.push((
            "Target",
            restore.target.clone(),
            restore.stopped.as_deref().map_or_else(|| "not reached".to_owned(), |stopped| format!("stopped {stopped}")),
        ));
    }
    if let Some(inventory) = report.inventory.as_ref().filter(|_| report.restore.is_none()) {
        if let Some(at) = inventory.newest_segment_at {
            facts.push((
                "Newest WAL",
                format!("{} UTC", minute(at)),
                inventory.newest_segment.clone().unwrap_or_default(),
            ));
        }
        if let Some(at) = inventory.newest_backup_at {
            let complete = format!("{} of {} are complete", inventory.restorable_backups, inventory.backups);
            facts.push(("Newest base backup", format!("{} UTC", minute(at)), complete));
        }
    }
    if let Some(history) = history {
        let (at, note) = match history.last_success(Subject::Drill) {
            Some((run, _)) if run.run_id == report.run_id => {
                (format!("{} UTC", minute(run.started_at)), "this run".to_owned())
            }
            Some((run, _)) => (format!("{} UTC", minute(run.started_at)), format!("run {}", run.run_id)),
            None => ("never".to_owned(), format!("of {}", count(history.drills.runs, "drill", "drills"))),
        };
        facts.push(("A drill last passed", at, note));
    }
    let mut items = String::new();
    for (name, value, note) in facts {
        let (value, note) = (escape(&value), escape(&note));
        let _ = writeln!(items, "<div><dt>{name}</dt><dd><strong>{value}</strong> <small>{note}</small></dd></div>");
    }
    if items.is_empty() { items } else { format!("<dl class=\"glance\">\n{items}</dl>\n") }
}

fn sandbox(evidence: &SandboxEvidence) -> String {
    /// As many as walproof itself keeps.
    const LINES: usize = 40;
    let parts = [
        ("Conditions", &evidence.conditions),
        ("Events", &evidence.events),
        ("Pods", &evidence.pods),
        ("Volumes", &evidence.volumes),
        ("Recovery's log", &evidence.log),
    ];
    let mut text = String::new();
    for (name, lines) in parts.iter().filter(|(_, lines)| !lines.is_empty()) {
        let lines: Vec<String> = lines.iter().take(LINES).map(|line| escape(line)).collect();
        let _ = write!(text, "<h3>{name}</h3>\n<pre tabindex=\"0\">{}</pre>\n", lines.join("\n"));
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "<section aria-labelledby=\"sandbox\"><h2 id=\"sandbox\">Sandbox</h2>\n<details><summary>What it looked like before it was torn down</summary>\n{text}</details>\n</section>\n"
    )
}

fn about(report: &Report) -> String {
    let rows = [
        ("Run", report.run_id.clone()),
        ("Source", report.source_name()),
        ("Archive", report.archive.clone()),
        ("Began", moment(report.started_at)),
        ("Ended", moment(report.finished_at)),
        ("walproof", format!("{}, report schema {}", report.walproof_version, report.schema_version)),
        ("Exit code", report.exit_code().to_string()),
        (
            "Requests to the archive",
            report.inventory.as_ref().map_or_else(|| "unknown".to_owned(), |i| grouped(i.requests)),
        ),
    ];
    format!(
        "<section aria-labelledby=\"about\"><h2 id=\"about\">This run</h2>\n{}<p class=\"quiet\">All times are UTC. This page was made from the run's report; it loads nothing and runs nothing.</p>\n</section>\n",
        pairs(&rows),
    )
}

/// Names, which are ours, and values, which are escaped here.
fn pairs(rows: &[(&str, String)]) -> String {
    let mut list = String::from("<dl class=\"pairs\">");
    for (name, value) in rows {
        let _ = write!(list, "<div><dt>{name}</dt><dd>{}</dd></div>", prose(value));
    }
    list + "</dl>\n"
}

/// `2026-11-21 12:45`, where a narrow page has no room for more.
fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A sentence, escaped, in which what stands between backticks is code.
fn prose(text: &str) -> String {
    let escaped = escape(text);
    if !escaped.matches('`').count().is_multiple_of(2) {
        return escaped;
    }
    let mut prose = String::with_capacity(escaped.len());
    for (number, part) in escaped.split('`').enumerate() {
        let is_code = !number.is_multiple_of(2);
        let _ = if is_code { write!(prose, "<code>{part}</code>") } else { write!(prose, "{part}") };
    }
    prose
}

/// Text from anywhere, harmless in an element and in a quoted attribute: what would be markup is written as a reference;
/// what has no shape of its own, or turns the direction of the text around it, as its number.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(safe, "{}", character.escape_unicode());
            }
            character if character.is_control() => {
                let _ = write!(safe, "{}", character.escape_default());
            }
            character => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code_if_they_come_in_pairs() {
        assert_eq!(prose("set `a<b` to 1"), "set <code>a&lt;b</code> to 1");
        assert_eq!(prose("a ` alone"), "a ` alone");
        assert_eq!(prose(""), "");
    }

    #[test]
    fn no_text_becomes_markup() {
        for (text, expected) in [
            ("public.notes", "public.notes"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            (r#"" onload="x"#, "&quot; onload=&quot;x"),
            ("it's", "it&#39;s"),
            ("&lt;", "&amp;lt;"),
            ("a\nb\u{1b}[2J\u{0}", "a\\nb\\u{1b}[2J\\u{0}"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("\u{ffff}", "\\u{ffff}"),
            ("größer 数", "größer 数"),
        ] {
            assert_eq!(escape(text), expected, "{text:?}");
        }
    }
}

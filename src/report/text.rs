//! The report as a person reads it at 3 a.m.: verdict, what was proven or what broke, then the table.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use super::{InventorySummary, Report, Restore};
use crate::finding::{Blame, Finding, Outcome};
use crate::sandbox::operator::evidence::SandboxEvidence;
use crate::verdict::{Subject, Verdict, reasons};

/// Renders the whole report. `color` puts ANSI colours on the words that say the same without.
pub fn render(report: &Report, color: bool) -> String {
    let mut text = String::new();
    let command = report.command.as_str();
    let verdict = paint(report.verdict.as_str(), verdict_color(report.verdict), color);
    line(&mut text, &format!("walproof {command} of {}: {verdict}", report.source));
    line(&mut text, "");
    for sentence in sentences(report) {
        line(&mut text, &sentence);
    }
    line(&mut text, "");
    for finding in ordered(&report.findings) {
        render_finding(&mut text, finding, color);
    }
    if let Some(restore) = &report.restore {
        line(&mut text, "");
        render_restore(&mut text, restore);
    }
    if let Some(inventory) = &report.inventory {
        line(&mut text, "");
        render_inventory(&mut text, &report.archive, inventory, report.restore.as_ref());
    }
    if let Some(sandbox) = report.sandbox.as_ref().filter(|_| report.verdict != Verdict::Pass) {
        line(&mut text, "");
        render_sandbox(&mut text, sandbox);
    }
    if !report.left_behind.is_empty() {
        line(&mut text, "");
        line(&mut text, "Left behind");
        report.left_behind.iter().for_each(|left| line(&mut text, &format!("  {}", printable(left))));
    }
    line(&mut text, "");
    let took = report.finished_at.duration_since(report.started_at);
    line(&mut text, &format!("run {}, {}, exit code {}", report.run_id, duration(took), report.exit_code()));
    text
}

/// What was proven, or why not, in sentences.
pub fn sentences(report: &Report) -> Vec<String> {
    let mut sentences = Vec::new();
    match (report.verdict, report.command) {
        (Verdict::Pass, Subject::Drill) => sentences.push(proof(report)),
        (Verdict::Pass, Subject::Check) => {
            sentences.push("The listing shows WAL arriving, unbroken, and a base backup to start from.".to_owned());
            sentences.push("Listed is not restored: `walproof drill` proves that.".to_owned());
        }
        (Verdict::Fail | Verdict::Inconclusive, _) => {
            let reasons = reasons(&report.findings, &report.undecided);
            if let Some(first) = reasons.first() {
                sentences.push(sentence(&printable(&first.summary)));
                sentences.push(format!("{}.", whose_fault(first)));
                if let Some(hint) = &first.hint {
                    sentences.push(sentence(&format!("To do: {}", printable(hint))));
                }
            } else {
                let missing: Vec<&str> = report.undecided.iter().map(|code| code.title()).collect();
                sentences.push(format!("Nothing shows that {}.", missing.join(", or that ")));
            }
        }
    }
    sentences
}

fn proof(report: &Report) -> String {
    let Some(restore) = &report.restore else { return "The archive was restored.".to_owned() };
    let rows: u64 = restore.baseline.as_ref().map_or(0, |baseline| baseline.rows);
    let databases = restore.baseline.as_ref().map_or(0, |baseline| baseline.databases);
    let when = restore.baseline.as_ref().map_or_else(String::new, |baseline| {
        format!(
            " as they were at {} (LSN {}, timeline {})",
            moment(baseline.captured_at),
            baseline.lsn,
            baseline.timeline
        )
    });
    let took = restore.recovery_time_ms.map_or_else(String::new, |ms| format!(", in {}", milliseconds(ms)));
    let by = match restore.sandbox.as_str() {
        "operator" => "the operator's own recovery",
        _ => "walproof's own restore",
    };
    format!(
        "Proven by {by}: base backup {} and {} WAL segments bring back {}, {} and {}{when}{took}.",
        restore.backup,
        grouped(restore.segments_replayed),
        count(databases, "database", "databases"),
        count(restore.tables_compared, "table", "tables"),
        count(rows, "row", "rows"),
    )
}

/// Who must act, as a sentence without its full stop.
pub fn whose_fault(finding: &Finding) -> &'static str {
    match finding.blame {
        Some(Blame::Backups) => "The backups are at fault",
        Some(Blame::Source) => "The production server is at fault; nothing is said about the backups",
        Some(Blame::Environment) => "The drill's environment is at fault; nothing is said about the backups",
        Some(Blame::Baseline) => "The baseline is at fault; nothing is said about the backups",
        Some(Blame::Unknown) | None => "Whose fault it is could not be found out",
    }
}

/// What failed stands first, then what could not be found out, then what passed, then notes.
pub fn ordered(findings: &[Finding]) -> Vec<&Finding> {
    let mut ordered: Vec<&Finding> = findings.iter().collect();
    ordered.sort_by_key(|finding| match (finding.outcome, finding.blame) {
        (Outcome::Failed, Some(Blame::Backups)) => 0,
        (Outcome::Failed, _) => 1,
        (Outcome::NotChecked, _) => 2,
        (Outcome::Passed, _) => 3,
        (Outcome::Note, _) => 4,
    });
    ordered
}

fn render_finding(text: &mut String, finding: &Finding, color: bool) {
    let (word, paint_with) = match (finding.outcome, finding.blame) {
        (Outcome::Passed, _) => ("ok", GREEN),
        (Outcome::Failed, Some(Blame::Backups)) => ("FAIL", RED),
        (Outcome::Failed, _) => ("fault", YELLOW),
        (Outcome::NotChecked, _) => ("?", YELLOW),
        (Outcome::Note, _) => ("note", PLAIN),
    };
    let word = paint(&format!("{word:<6}"), paint_with, color);
    line(text, &format!("  {word} {:<30} {}", finding.code.as_str(), printable(&finding.summary)));
    let is_trouble = finding.outcome != Outcome::Passed;
    let parts = [
        ("expected", finding.expected.as_deref()),
        ("observed", finding.observed.as_deref()),
        ("hint", finding.hint.as_deref().filter(|_| is_trouble)),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            line(text, &format!("         {:<30} {name:<9} {}", "", printable(value)));
        }
    }
}

fn render_restore(text: &mut String, restore: &Restore) {
    line(text, "Restore");
    let mut row = |name: &str, value: String| line(text, &format!("  {name:<11} {value}"));
    let ended = restore.backup_ended_at.map_or_else(String::new, |at| format!(", ended {}", moment(at)));
    let unpacked = match restore.bytes_unpacked {
        // The operator does not say how much it unpacked.
        0 => String::new(),
        unpacked => format!(", {} unpacked", bytes(unpacked)),
    };
    row("backup", format!("{}{ended}{unpacked}", restore.backup));
    row("target", restore.target.clone());
    if let Some(stopped) = &restore.stopped {
        row("stopped", printable(stopped));
    }
    for (number, deviation) in restore.deviations.iter().enumerate() {
        row(if number == 0 { "deviations" } else { "" }, printable(deviation));
    }
    let phases: Vec<String> =
        restore.phases.iter().map(|phase| format!("{} {}", phase.name, milliseconds(phase.duration_ms))).collect();
    row("times", phases.join(", "));
    if let Some(ms) = restore.recovery_time_ms {
        row("RTO", format!("{} measured in the {} sandbox", milliseconds(ms), restore.sandbox));
    }
    if let Some(ms) = restore.recovery_point_exposure_ms {
        row("RPO", format!("{} from the newest moment proven restorable to now", milliseconds(ms)));
    }
}

/// What the sandbox looked like before it went; the JSON report has more.
fn render_sandbox(text: &mut String, sandbox: &SandboxEvidence) {
    const LINES: usize = 12;
    line(text, "Sandbox");
    let parts = [
        ("conditions", &sandbox.conditions),
        ("events", &sandbox.events),
        ("pods", &sandbox.pods),
        ("volumes", &sandbox.volumes),
        ("log", &sandbox.log),
    ];
    for (name, lines) in parts {
        let from = lines.len().saturating_sub(LINES);
        for (number, shown) in lines[from..].iter().enumerate() {
            line(text, &format!("  {:<11} {}", if number == 0 { name } else { "" }, printable(shown)));
        }
    }
}

fn render_inventory(text: &mut String, url: &str, inventory: &InventorySummary, restore: Option<&Restore>) {
    line(text, "Archive");
    let mut row = |name: &str, value: String| line(text, &format!("  {name:<11} {value}"));
    row("place", url.to_owned());
    row("backups", format!("{}, {} of them complete", inventory.backups, inventory.restorable_backups));
    row(
        "WAL",
        format!(
            "{} segments, {}; newest {}",
            grouped(inventory.segments),
            bytes(inventory.wal_bytes),
            inventory.newest_segment.as_deref().unwrap_or("none")
        ),
    );
    match &inventory.recovery_window {
        Some(window) => {
            let span = format!("{} to {}", moment(window.from), moment(window.to));
            let end = window.broken_by.as_ref().map_or_else(String::new, |gap| format!(" only: {gap} missing"));
            row("listed", format!("{span}, timeline {}{end}", window.timeline));
        }
        None => row("listed", "no recovery window".to_owned()),
    }
    row("read", format!("the heads of {} segments", inventory.segments_read));
    if let Some(restore) = restore {
        let range = match (&restore.first_segment_replayed, &restore.last_segment_replayed) {
            (Some(first), Some(last)) => format!("{} segments, {first} to {last}", restore.segments_replayed),
            _ => "no segment".to_owned(),
        };
        row("replayed", range);
    }
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const PLAIN: &str = "0";

pub(super) fn verdict_color(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => GREEN,
        Verdict::Fail => RED,
        Verdict::Inconclusive => YELLOW,
    }
}

pub(super) fn paint(word: &str, color: &str, enabled: bool) -> String {
    if enabled { format!("\u{1b}[{color}m{word}\u{1b}[0m") } else { word.to_owned() }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Text from an archive or a database, made harmless for a terminal: one line, no control characters.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(safe, "{}", character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Begins with a capital letter, unless with a place (`s3://…`), and ends as a sentence does.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let is_place = text.split(' ').next().is_some_and(|word| word.contains("://"));
    let begun: String = match characters.next() {
        Some(first) if !is_place => first.to_uppercase().chain(characters).collect(),
        _ => text.to_owned(),
    };
    if begun.ends_with(['.', '?', '!', ';']) { begun } else { begun + "." }
}

/// `1 table`, `83,559 rows`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `1,204,332`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `2026-11-21 12:00:03 UTC`.
pub fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The two largest units: `3 d 4 h`, `15 min`, `12.3 s`, `250 ms`.
pub fn duration(duration: SignedDuration) -> String {
    milliseconds(u64::try_from(duration.as_millis().max(0)).unwrap_or(u64::MAX))
}

pub fn milliseconds(ms: u64) -> String {
    let seconds = ms / 1000;
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
    };
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// `1.2 GiB`.
pub fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut whole = bytes;
    let mut rest = 0;
    while whole >= 1024 && unit + 1 < units.len() {
        rest = whole % 1024;
        whole /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{whole} B") } else { format!("{whole}.{} {}", rest * 10 / 1024, units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short_and_carry_their_unit() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(83_559), "83,559");
        assert_eq!(grouped(1_204_332), "1,204,332");
        assert_eq!(count(1, "row", "rows"), "1 row");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
        assert_eq!(milliseconds(250), "250 ms");
        assert_eq!(milliseconds(12_345), "12.3 s");
        assert_eq!(milliseconds(62_000), "1 min 2 s");
        assert_eq!(milliseconds(90_000_000), "1 d 1 h");
    }

    #[test]
    fn a_sentence_begins_and_ends_as_one_and_a_place_stays_as_it_is() {
        assert_eq!(sentence("is it the bucket?"), "Is it the bucket?");
        assert_eq!(sentence("s3://backups/app holds no object"), "s3://backups/app holds no object.");
        assert_eq!(sentence("GRANT x TO y;"), "GRANT x TO y;");
    }

    #[test]
    fn nothing_from_an_archive_moves_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
    }
}

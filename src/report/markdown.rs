//! The evidence note: what was proven, when, by what and how, for whoever must show it to an auditor. It claims no more
//! than the report does, and says what was not checked.

use std::fmt::Write;

use super::html::unproven_sentences;
use super::text::{bytes, count, duration, grouped, milliseconds, moment, ordered, sentences};
use super::{Report, Restore};
use crate::finding::{Finding, Outcome};
use crate::history::History;
use crate::probe::tables::{Comparison, TableResult};
use crate::publish::markdown::{code, escape};
use crate::verdict::Subject;

/// How many former drills are listed.
const DRILLS: usize = 12;
/// A run has some forty findings; a report from elsewhere may have any number.
const MOST_FINDINGS: usize = 500;
/// Tables that are not equal, listed by name.
const MOST_TABLES: usize = 100;

/// The note as Markdown. Without a history it tells of this run alone.
pub fn note(report: &Report, history: Option<&History>) -> String {
    let command = report.command.as_str();
    let mut note = format!("# Evidence: {command} of {}: {}\n\n", escape(&report.source), report.verdict.as_str());
    for sentence in sentences(report) {
        let _ = writeln!(note, "{}\n", escape(&sentence));
    }
    note.truncate(note.trim_end().len());
    note.push('\n');
    run(&mut note, report);
    if let Some(restore) = &report.restore {
        restored(&mut note, restore);
    }
    archive(&mut note, report);
    findings(&mut note, &report.findings);
    if let Some(restore) = &report.restore {
        tables(&mut note, restore);
    }
    section(&mut note, "What was not checked");
    for sentence in unproven_sentences(report) {
        let _ = writeln!(note, "- {}", escape(&sentence));
    }
    if let Some(history) = history {
        former_drills(&mut note, history);
    }
    verify(&mut note, report);
    note
}

fn section(note: &mut String, heading: &str) {
    let _ = write!(note, "\n## {heading}\n\n");
}

/// A table of names and values; each value is Markdown already.
fn pairs(note: &mut String, rows: &[(&str, String)]) {
    note.push_str("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(note, "| {name} | {value} |");
    }
}

fn run(note: &mut String, report: &Report) {
    section(note, "The run");
    let took = duration(report.finished_at.duration_since(report.started_at));
    pairs(
        note,
        &[
            ("Verdict", format!("**{}**, exit code {}", report.verdict.as_str(), report.exit_code())),
            ("Run", code(&report.run_id)),
            ("Performed by", format!("walproof {}", escape(&report.walproof_version))),
            ("Source", code(&report.source_name())),
            ("Archive", code(&report.archive)),
            ("Began", moment(report.started_at)),
            ("Ended", format!("{}, after {took}", moment(report.finished_at))),
        ],
    );
    if !report.left_behind.is_empty() {
        note.push_str("\nLeft behind, for the next run's sweep:\n\n");
        report.left_behind.iter().for_each(|left| {
            let _ = writeln!(note, "- {}", escape(left));
        });
    }
}

fn restored(note: &mut String, restore: &Restore) {
    section(note, "What was restored, and how it was measured");
    let by = match restore.sandbox.as_str() {
        "operator" => "the CloudNativePG operator, into a scratch cluster".to_owned(),
        "direct" => "walproof itself, on a PostgreSQL of its own".to_owned(),
        other => escape(other),
    };
    let ended = restore.backup_ended_at.map_or_else(String::new, |at| format!(", ended {}", moment(at)));
    let mut rows = vec![
        ("Restored by", by),
        ("Base backup", format!("{}{ended}", code(&restore.backup))),
        ("Target", escape(&restore.target)),
        ("Recovery stopped", restore.stopped.as_deref().map_or_else(|| "not reached".to_owned(), escape)),
    ];
    if let Some(lsn) = restore.stop_lsn {
        rows.push(("Stop LSN", code(&lsn.to_string())));
    }
    if let Some(at) = restore.last_commit_at {
        rows.push(("Last transaction replayed", moment(at)));
    }
    let range = match (&restore.first_segment_replayed, &restore.last_segment_replayed) {
        (Some(first), Some(last)) => format!(", {} to {}", code(first), code(last)),
        _ => String::new(),
    };
    rows.push(("WAL replayed", format!("{}{range}", count(restore.segments_replayed, "segment", "segments"))));
    if restore.bytes_unpacked > 0 {
        rows.push(("Unpacked", bytes(restore.bytes_unpacked)));
    }
    if let Some(baseline) = &restore.baseline {
        let exact = if baseline.exact { "exact" } else { "not exact: transactions committed while it was taken" };
        rows.push((
            "Baseline",
            format!(
                "read from the source at {} (LSN {}, timeline {}): {}, {}, {}; {exact}",
                moment(baseline.captured_at),
                code(&baseline.lsn.to_string()),
                baseline.timeline,
                count(baseline.databases, "database", "databases"),
                count(baseline.tables, "table", "tables"),
                count(baseline.rows, "row", "rows"),
            ),
        ));
    }
    if let Some(took) = restore.recovery_time_ms {
        let how = match restore.sandbox.as_str() {
            "operator" => "from the making of the scratch cluster to the first accepted connection",
            _ => "from the first byte of the download to the first accepted connection, in this sandbox",
        };
        rows.push(("Recovery time (RTO)", format!("{}: {how}", milliseconds(took))));
    }
    if let Some(exposure) = restore.recovery_point_exposure_ms {
        let how = "from the newest moment proven restorable to the end of the run";
        rows.push(("Recovery point exposure (RPO)", format!("{}: {how}", milliseconds(exposure))));
    }
    let phases: Vec<String> = restore
        .phases
        .iter()
        .map(|phase| format!("{} {}", escape(&phase.name), milliseconds(phase.duration_ms)))
        .collect();
    rows.push(("Phases", phases.join(", ")));
    pairs(note, &rows);
}

fn archive(note: &mut String, report: &Report) {
    let Some(inventory) = &report.inventory else { return };
    section(note, "What the archive's listing showed");
    let window = inventory.recovery_window.as_ref().map_or_else(
        || "none".to_owned(),
        |window| {
            let broken =
                window.broken_by.as_ref().map_or_else(String::new, |gap| format!("; ended by a gap: {}", escape(gap)));
            format!("{} to {}, timeline {}{broken}", moment(window.from), moment(window.to), window.timeline)
        },
    );
    let wal = format!("{}, {}", count(inventory.segments, "segment", "segments"), bytes(inventory.wal_bytes));
    pairs(
        note,
        &[
            ("Base backups", format!("{}, {} of them complete", inventory.backups, inventory.restorable_backups)),
            ("WAL", wal),
            ("Recovery window, listed", window),
            ("Heads of segments read", grouped(inventory.segments_read)),
        ],
    );
}

fn findings(note: &mut String, findings: &[Finding]) {
    section(note, "Findings");
    note.push_str("| outcome | code | what was found | expected | observed |\n|---|---|---|---|---|\n");
    let ordered = ordered(findings);
    for finding in ordered.iter().take(MOST_FINDINGS) {
        let outcome = match (finding.outcome, finding.blames_backups()) {
            (Outcome::Failed, true) => "**FAILED**",
            (Outcome::Failed, false) => "**fault**",
            (Outcome::NotChecked, _) => "not checked",
            (Outcome::Passed, _) => "passed",
            (Outcome::Note, _) => "note",
        };
        let object = finding.object.as_deref().map_or_else(String::new, |object| format!("{}: ", code(object)));
        let cell = |value: &Option<String>| value.as_deref().map(escape).unwrap_or_default();
        let _ = writeln!(
            note,
            "| {outcome} | {} | {object}{} | {} | {} |",
            code(finding.code.as_str()),
            escape(&finding.summary),
            cell(&finding.expected),
            cell(&finding.observed),
        );
    }
    let more = ordered.len().saturating_sub(MOST_FINDINGS);
    if more > 0 {
        let _ = writeln!(note, "\nAnd {} more, in the JSON report.", grouped(more as u64));
    }
}

fn tables(note: &mut String, restore: &Restore) {
    section(note, "Tables");
    let equal = |table: &&TableResult| table.comparison == Comparison::Exact;
    let other: Vec<&TableResult> = restore.tables.iter().filter(|table| !equal(table)).collect();
    if restore.tables_compared == 0 && restore.tables.is_empty() {
        note.push_str("No table was compared.\n");
        return;
    }
    // The report lists all that were not equal, unless the history shortened it, and some of the others.
    let _ = writeln!(
        note,
        "{} compared. Of those that this report lists, {} had exactly the baseline's rows; {} had not, or {} not checked.",
        count(restore.tables_compared, "table", "tables"),
        grouped((restore.tables.len() - other.len()) as u64),
        grouped(other.len() as u64),
        if other.len() == 1 { "was" } else { "were" },
    );
    if other.is_empty() {
        return;
    }
    note.push_str("\n| database | table | result | baseline | restored |\n|---|---|---|--:|--:|\n");
    for table in other.iter().take(MOST_TABLES) {
        let result = match table.comparison {
            Comparison::Different => "**different**",
            Comparison::NotChecked => "not checked",
            Comparison::WithinTransactions => "equal but for transactions of that moment",
            Comparison::Exact => "equal",
        };
        let _ = writeln!(
            note,
            "| {} | {} | {result} | {} | {} |",
            code(&table.database),
            code(&table.table),
            grouped(table.rows_expected),
            table.rows_observed.map_or_else(|| "not read".to_owned(), grouped),
        );
    }
    let more = other.len().saturating_sub(MOST_TABLES);
    if more > 0 {
        let _ = writeln!(note, "\nAnd {} more, in the JSON report.", grouped(more as u64));
    }
}

fn former_drills(note: &mut String, history: &History) {
    section(note, "The newest drills");
    let counted = history.count(Subject::Drill);
    let last = history.last_success(Subject::Drill).map_or_else(
        || "No drill is known to have passed".to_owned(),
        |(run, _)| format!("The last drill that passed began {}", moment(run.started_at)),
    );
    let _ = writeln!(note, "{last}; {} of {} drills ever passed.\n", grouped(counted.passed), grouped(counted.runs));
    note.push_str("| began | verdict | recovery time | rows | what it came to |\n|---|---|--:|--:|---|\n");
    for (run, ending) in history.ended(Subject::Drill).take(DRILLS) {
        let _ = writeln!(
            note,
            "| {} | {} | {} | {} | {} |",
            moment(run.started_at),
            ending.verdict.as_str(),
            ending.recovery_time_ms.map(milliseconds).unwrap_or_default(),
            ending.rows.map(grouped).unwrap_or_default(),
            escape(&ending.headline),
        );
    }
}

fn verify(note: &mut String, report: &Report) {
    section(note, "How to verify");
    let command = report.command.as_str();
    let _ = writeln!(
        note,
        "This note was made from the JSON report of run {}, which holds every figure of that run; former drills are the history's. The same question is asked again, of the archive as it is then, by\n",
        code(&report.run_id)
    );
    let _ = writeln!(note, "    walproof {command} --config walproof.yaml --source {}\n", argument(&report.source));
    let _ = writeln!(
        note,
        "Exit code 0 is PASS, 1 is FAIL, 2 is INCONCLUSIVE, 3 is PASS with something left behind. All times are UTC."
    );
}

/// One word of a shell, on one line.
fn argument(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("'{}'", line.replace('\'', r"'\''"))
}

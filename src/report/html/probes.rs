//! What was looked at, as tables: the findings with expected and observed, the tables that were compared, and what was
//! not checked.

use std::fmt::Write;

use super::style::{Mark, outcome};
use super::{escape, pairs, prose};
use crate::finding::{Finding, Outcome};
use crate::probe::tables::{Comparison, TableResult};
use crate::report::text::{count, grouped, ordered};
use crate::report::{Report, Restore, TABLES_KEPT};
use crate::verdict::Subject;

/// A run has some forty findings; a report from elsewhere may have any number.
const MOST_FINDINGS: usize = 500;
/// Equal tables beyond these are folded away.
const EQUAL_SHOWN: usize = 12;

/// All findings: what failed first, then what could not be found out, then what passed, then notes.
pub fn findings(report: &Report) -> String {
    let ordered = ordered(&report.findings);
    let mut rows = String::new();
    for finding in ordered.iter().take(MOST_FINDINGS) {
        row(&mut rows, finding);
    }
    let more = ordered.len().saturating_sub(MOST_FINDINGS);
    let more = if more == 0 {
        String::new()
    } else {
        format!("<p>And {} more, in the JSON report.</p>\n", grouped(more as u64))
    };
    format!(
        r#"<section aria-labelledby="findings"><h2 id="findings">What was looked at</h2>
<table role="table" class="stacked findings"><thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Outcome</th><th role="columnheader" scope="col">Question</th><th role="columnheader" scope="col">Answer</th></tr></thead>
<tbody role="rowgroup">
{rows}</tbody></table>
{more}</section>
"#
    )
}

fn row(rows: &mut String, finding: &Finding) {
    let (class, word) = outcome(finding);
    let object = finding
        .object
        .as_deref()
        .map_or_else(String::new, |object| format!(" <span class=\"object\">{}</span>", escape(object)));
    let is_trouble = finding.outcome != Outcome::Passed;
    let parts = [
        ("expected", finding.expected.as_deref()),
        ("observed", finding.observed.as_deref()),
        ("to do", finding.hint.as_deref().filter(|_| is_trouble)),
    ];
    let parts: Vec<(&str, String)> =
        parts.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect();
    let parts = if parts.is_empty() { String::new() } else { pairs(&parts) };
    let _ = writeln!(
        rows,
        r#"<tr role="row" class="{class}"><td role="cell" class="outcome">{} {word}</td><th role="rowheader" scope="row">{}<br/><code>{}</code>{object}</th><td role="cell">{}{parts}</td></tr>"#,
        Mark::of_outcome(finding.outcome).svg(),
        finding.code.title(),
        finding.code.as_str(),
        prose(&finding.summary),
    );
}

/// The tables that were compared, those that differ first; nothing for a run that compared none.
pub fn tables(restore: &Restore) -> String {
    if restore.tables.is_empty() {
        return String::new();
    }
    let mut tables: Vec<&TableResult> = restore.tables.iter().collect();
    tables.sort_by_key(|table| rank(table.comparison));
    tables.truncate(TABLES_KEPT);
    let trouble = tables.iter().filter(|table| rank(table.comparison) < 3).count();
    let shown = if tables.len() <= trouble + EQUAL_SHOWN + 1 { tables.len() } else { trouble + EQUAL_SHOWN };
    let folded = &tables[shown..];
    let more = if folded.is_empty() {
        String::new()
    } else {
        let summary = format!("{} more, equal to the row", count(folded.len() as u64, "table", "tables"));
        format!("<details><summary>{summary}</summary>\n{}</details>\n", table_of(folded))
    };
    let unlisted = restore.tables_compared.saturating_sub(tables.len() as u64);
    let unlisted = if unlisted == 0 {
        String::new()
    } else {
        format!("<p>{} more are not listed.</p>\n", count(unlisted, "table", "tables"))
    };
    format!(
        "<section aria-labelledby=\"tables\"><h2 id=\"tables\">Tables compared</h2>\n<p>{} compared: rows in the baseline, and rows on the restored server.</p>\n{}{more}{unlisted}</section>\n",
        count(restore.tables_compared, "table", "tables"),
        table_of(&tables[..shown]),
    )
}

fn table_of(tables: &[&TableResult]) -> String {
    let mut rows = String::new();
    for table in tables {
        let (class, mark, word) = match table.comparison {
            Comparison::Different => ("fail", Mark::Cross, "different"),
            Comparison::NotChecked => ("doubt", Mark::Question, "not checked"),
            Comparison::WithinTransactions => ("pass", Mark::Tick, "equal but for transactions of that moment"),
            Comparison::Exact => ("pass", Mark::Tick, "equal"),
        };
        let observed = table.rows_observed.map_or_else(|| "not read".to_owned(), grouped);
        let _ = writeln!(
            rows,
            r#"<tr role="row" class="{class}"><td role="cell" class="outcome">{} {word}</td><th role="rowheader" scope="row">{} <span class="object">{}</span></th><td role="cell" class="number" data-name="baseline">{}</td><td role="cell" class="number" data-name="restored">{observed}</td></tr>"#,
            mark.svg(),
            escape(&table.table),
            escape(&table.database),
            grouped(table.rows_expected),
        );
    }
    format!(
        r#"<table role="table" class="stacked tables"><thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Result</th><th role="columnheader" scope="col">Table</th><th role="columnheader" scope="col" class="number">Baseline</th><th role="columnheader" scope="col" class="number">Restored</th></tr></thead>
<tbody role="rowgroup">
{rows}</tbody></table>
"#
    )
}

const fn rank(comparison: Comparison) -> u8 {
    match comparison {
        Comparison::Different => 0,
        Comparison::NotChecked => 1,
        Comparison::WithinTransactions => 2,
        Comparison::Exact => 3,
    }
}

/// What this run does not show, said plainly.
pub fn unproven(report: &Report) -> String {
    let mut items = String::new();
    for sentence in unproven_sentences(report) {
        let _ = writeln!(items, "<li>{}</li>", prose(&sentence));
    }
    format!(
        "<section aria-labelledby=\"unproven\"><h2 id=\"unproven\">What was not checked</h2>\n<ul class=\"plain\">\n{items}</ul>\n</section>\n"
    )
}

/// Each is one thing that the run does not show; text from the report is not escaped yet.
pub fn unproven_sentences(report: &Report) -> Vec<String> {
    let mut sentences: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::NotChecked)
        .take(MOST_FINDINGS)
        .map(|finding| {
            let object = finding.object.as_deref().map_or_else(String::new, |object| format!(" ({object})"));
            format!("Whether {}{object}: {}.", finding.code.title(), finding.summary.trim_end_matches('.'))
        })
        .collect();
    let has_finding = |code| report.findings.iter().any(|finding| finding.code == code);
    let silent = report.undecided.iter().filter(|&&code| !has_finding(code));
    sentences.extend(silent.map(|code| format!("Whether {}: nothing in this run shows it.", code.title())));
    match (report.command, &report.restore) {
        (Subject::Check, _) => {
            sentences.push(
                "Whether the archive can be restored: a check lists and samples; only a drill restores.".to_owned(),
            );
        }
        (Subject::Drill, None) => sentences.push("Nothing was restored in this run.".to_owned()),
        (Subject::Drill, Some(restore)) => {
            sentences.extend(
                restore
                    .deviations
                    .iter()
                    .map(|deviation| format!("Not as by hand: {}.", deviation.trim_end_matches('.'))),
            );
            if restore.content.as_ref().is_none_or(|content| content.tables_equal == 0) {
                sentences.push(
                    "The values in rows: only row counts and the oldest and newest timestamps are compared.".to_owned(),
                );
            }
            sentences.push("Unlogged and foreign tables, materialized views, template databases, and indexes of other kinds than B-tree.".to_owned());
            sentences.push(match restore.sandbox.as_str() {
                "operator" => "Whether each base backup's files are whole to the last byte: only walproof's own restore (the direct sandbox) verifies that.".to_owned(),
                _ => "Whether the CloudNativePG operator restores this archive: only a drill in the operator's sandbox proves that.".to_owned(),
            });
            sentences.push(
                "Other base backups, WAL before this one and WAL behind the target: not restored, not replayed."
                    .to_owned(),
            );
        }
    }
    sentences
}

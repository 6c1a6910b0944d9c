//! The run as a picture: each phase a bar, one below the other, to one scale.

use std::fmt::Write;

use super::escape;
use super::scale::Percent;
use crate::report::text::{duration, milliseconds, moment};
use crate::report::{Report, Restore};

/// A drill has about seven phases; a report from elsewhere may have any number.
const MOST_PHASES: usize = 30;
/// The height of a label and its bar.
const ROW: usize = 42;

/// The section, or nothing for a run without phases.
pub fn section(report: &Report) -> String {
    let Some(restore) = report.restore.as_ref().filter(|restore| !restore.phases.is_empty()) else {
        return String::new();
    };
    let rows = rows(report, restore);
    let total: u64 = rows.iter().fold(0, |sum, row| sum.saturating_add(row.milliseconds));
    let height = rows.len() * ROW + 22;
    let mut bars = String::new();
    let mut before: u64 = 0;
    for (number, row) in rows.iter().enumerate() {
        let y = number * ROW;
        let after = before.saturating_add(row.milliseconds);
        let (x, end) = (Percent::of(before, total), Percent::of(after, total));
        let _ = write!(
            bars,
            r#"<text x="0" y="{}">{}</text><text class="quiet" x="100%" y="{}" text-anchor="end">{}</text><rect class="track" x="0" y="{}" width="100%" height="12"/><rect class="{}" x="{x}" y="{}" width="{}" height="12"/>"#,
            y + 14,
            escape(&row.name),
            y + 14,
            milliseconds(row.milliseconds),
            y + 20,
            if row.is_rest { "rest" } else { "phase" },
            y + 20,
            end.since(x),
        );
        before = after;
    }
    let spoken: Vec<String> =
        rows.iter().map(|row| format!("{} {}", row.name, milliseconds(row.milliseconds))).collect();
    let axis = rows.len() * ROW + 14;
    format!(
        r#"<section aria-labelledby="run"><h2 id="run">The run</h2>
<p>From {} to {}: {}. The phases follow one another, and the bars are to one scale; the shortest are drawn a little wider than they are. What no phase measured, most of it gates, baseline and waiting for the archive, is drawn first.</p>
<svg class="picture" width="100%" height="{height}" role="img" aria-labelledby="run-title run-desc"><title id="run-title">The phases of the run</title><desc id="run-desc">{}</desc>{bars}<text class="quiet" x="0" y="{axis}">0</text><text class="quiet" x="100%" y="{axis}" text-anchor="end">{}</text></svg>
</section>
"#,
        moment(report.started_at),
        moment(report.finished_at),
        duration(report.finished_at.duration_since(report.started_at)),
        escape(&spoken.join(", ")),
        milliseconds(total),
    )
}

struct Row {
    name: String,
    milliseconds: u64,
    is_rest: bool,
}

/// What no phase measured comes first, because most of it is what a drill does before it restores.
fn rows(report: &Report, restore: &Restore) -> Vec<Row> {
    let whole = report.finished_at.duration_since(report.started_at).as_millis();
    let whole = u64::try_from(whole.max(0)).unwrap_or(u64::MAX);
    let phases: u64 = restore.phases.iter().fold(0, |sum, phase| sum.saturating_add(phase.duration_ms));
    let rest = whole.saturating_sub(phases);
    let first = (rest > 0).then(|| Row { name: "outside of the phases".to_owned(), milliseconds: rest, is_rest: true });
    let measured = restore.phases.iter().take(MOST_PHASES).map(|phase| Row {
        name: phase.name.clone(),
        milliseconds: phase.duration_ms,
        is_rest: false,
    });
    first.into_iter().chain(measured).collect()
}

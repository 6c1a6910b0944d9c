//! What former runs say: how long restores took, and when this last worked.

use std::borrow::Cow;
use std::fmt::Write;

use super::escape;
use super::scale::Percent;
use super::style::{Mark, verdict_class};
use crate::history::{Ending, History, PastRun};
use crate::report::Report;
use crate::report::text::{bytes, grouped, milliseconds, moment};
use crate::verdict::{Subject, Verdict};

/// Bars that can still be told apart on a phone.
const BARS: usize = 60;
/// Rows of the table; the history keeps as many.
const RUNS: usize = 400;
/// Rows that are not folded away.
const RUNS_SHOWN: usize = 12;
/// The height of the highest bar.
const HEIGHT: u64 = 110;
/// Above the highest bar: the label of its value.
const TOP: u64 = 22;

/// How long restores took, over the newest drills; nothing when none was measured.
pub fn recovery_times(history: &History) -> String {
    let mut drills: Vec<(&PastRun, &Ending)> = history.ended(Subject::Drill).take(BARS).collect();
    drills.reverse();
    let mut measured: Vec<u64> = drills.iter().filter_map(|(_, ending)| ending.recovery_time_ms).collect();
    measured.sort_unstable();
    let (Some(&longest), Some(&median)) = (measured.last(), measured.get(measured.len() / 2)) else {
        return String::new();
    };
    let (Some((oldest, _)), Some((newest, _))) = (drills.first(), drills.last()) else { return String::new() };
    let count = drills.len() as u64;
    let (bottom, signs) = (TOP + HEIGHT, TOP + HEIGHT + 14);
    let mut drawn = String::new();
    for (number, (_, ending)) in (0..).zip(&drills) {
        let x = Percent::of(number * 10 + 2, count * 10);
        let width = Percent::of(number * 10 + 8, count * 10).since(x);
        let middle = Percent::of(number * 10 + 5, count * 10);
        if let Some(took) = ending.recovery_time_ms {
            let height = (u128::from(took) * u128::from(HEIGHT) / u128::from(longest.max(1))).max(1);
            let class = if ending.verdict == Verdict::Pass { "phase" } else { "rest" };
            let _ = write!(
                drawn,
                r#"<rect class="{class}" x="{x}" y="{}" width="{width}" height="{height}"/>"#,
                u128::from(bottom) - height
            );
        }
        let _ = write!(drawn, r#"<svg class="point" x="{middle}" y="{signs}">{}</svg>"#, sign(ending.verdict));
    }
    let level =
        bottom - u64::try_from(u128::from(median) * u128::from(HEIGHT) / u128::from(longest.max(1))).unwrap_or(0);
    let _ = write!(
        drawn,
        r#"<line class="level" x1="0" y1="{level}" x2="100%" y2="{level}"/><text class="quiet" x="0" y="14">longest {}</text><text class="quiet" x="0" y="{}">{}</text><text class="quiet" x="100%" y="{}" text-anchor="end">{}</text>"#,
        milliseconds(longest),
        signs + 24,
        oldest.started_at.strftime("%Y-%m-%d"),
        signs + 24,
        newest.started_at.strftime("%Y-%m-%d"),
    );
    let passed = drills.iter().filter(|(_, ending)| ending.verdict == Verdict::Pass).count();
    let summary = format!(
        "Of the newest {count} drills {passed} passed and {} measured a restore: median {}, longest {}.",
        measured.len(),
        milliseconds(median),
        milliseconds(longest),
    );
    format!(
        r#"<section aria-labelledby="trend"><h2 id="trend">Recovery time over former drills</h2>
<p>{summary} The dashed line is the median.</p>
<svg class="picture" width="100%" height="{}" role="img" aria-labelledby="trend-title trend-desc"><title id="trend-title">Recovery time of the newest drills</title><desc id="trend-desc">{summary} From {} to {}.</desc>{drawn}</svg>
<ul class="legend"><li>{} PASS</li><li>{} FAIL</li><li>{} INCONCLUSIVE</li></ul>
</section>
"#,
        signs + 30,
        moment(oldest.started_at),
        moment(newest.started_at),
        swatch(Verdict::Pass),
        swatch(Verdict::Fail),
        swatch(Verdict::Inconclusive),
    )
}

const fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => r#"<circle class="sign-pass" cx="0" cy="0" r="2"/>"#,
        Verdict::Fail => r#"<path class="sign-fail" d="M-3 -3 L3 3 M3 -3 L-3 3"/>"#,
        Verdict::Inconclusive => r#"<circle class="sign-doubt" cx="0" cy="0" r="2.5"/>"#,
    }
}

fn swatch(verdict: Verdict) -> String {
    format!(
        r#"<svg width="12" height="12" aria-hidden="true"><svg class="point" x="6" y="6">{}</svg></svg>"#,
        sign(verdict)
    )
}

/// When this last worked, and the former runs of the report's command, newest first.
pub fn former_runs(report: &Report, history: &History) -> String {
    let runs: Vec<(&PastRun, &Ending)> = history.ended(report.command).take(RUNS).collect();
    let (shown, folded) = runs.split_at(if runs.len() > RUNS_SHOWN + 2 { RUNS_SHOWN } else { runs.len() });
    let more = if folded.is_empty() {
        String::new()
    } else {
        format!(
            "<details class=\"older\"><summary>{} older runs</summary>\n{}</details>\n",
            grouped(folded.len() as u64),
            table(folded)
        )
    };
    let table = if runs.is_empty() { String::new() } else { table(shown) };
    format!(
        "<section aria-labelledby=\"history\"><h2 id=\"history\">When this last worked</h2>\n{}{table}{more}</section>\n",
        [Subject::Drill, Subject::Check].map(|command| format!("<p>{}</p>\n", last_success(history, command))).concat(),
    )
}

/// One sentence, ready for the page.
fn last_success(history: &History, command: Subject) -> String {
    let (name, many) = match command {
        Subject::Drill => ("drill", "drills"),
        Subject::Check => ("check", "checks"),
    };
    let counted = history.count(command);
    match history.last_success(command) {
        Some((run, ending)) => {
            let rows = ending.rows.map_or_else(String::new, |rows| format!(", with {} rows", grouped(rows)));
            format!(
                "The last {name} that passed began <strong>{}</strong>{rows}. {} of {} {many} ever passed.",
                moment(run.started_at),
                grouped(counted.passed),
                grouped(counted.runs),
            )
        }
        None if counted.runs == 0 => format!("There is no former {name}."),
        None => format!("<strong>No {name} is known to have passed</strong>, of {}.", grouped(counted.runs)),
    }
}

fn table(runs: &[(&PastRun, &Ending)]) -> String {
    let mut rows = String::new();
    for (run, ending) in runs {
        let cell = |name: &str, value: Option<String>| match value {
            Some(value) => format!(r#"<td role="cell" class="number" data-name="{name}">{value}</td>"#),
            None => r#"<td role="cell" class="number absent">–</td>"#.to_owned(),
        };
        let comment = ending
            .comment_url
            .as_deref()
            .filter(|url| is_link(url))
            .map_or_else(String::new, |url| format!(r#" <a href="{}" rel="noreferrer">comment</a>"#, escape(url)));
        let _ = writeln!(
            rows,
            r#"<tr role="row" class="{}"><th role="rowheader" scope="row">{}</th><td role="cell" class="outcome">{} {}</td>{}{}{}<td role="cell">{}{comment}</td></tr>"#,
            verdict_class(ending.verdict),
            run.started_at.strftime("%Y-%m-%d %H:%M"),
            Mark::of_verdict(ending.verdict).svg(),
            ending.verdict.as_str(),
            cell("recovery time", ending.recovery_time_ms.map(milliseconds)),
            cell("rows", ending.rows.map(grouped)),
            cell("restored", ending.restored_bytes.map(bytes)),
            escape(came_to(ending).as_ref()),
        );
    }
    format!(
        r#"<table role="table" class="stacked runs"><thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Began (UTC)</th><th role="columnheader" scope="col">Verdict</th><th role="columnheader" scope="col" class="number">Recovery time</th><th role="columnheader" scope="col" class="number">Rows</th><th role="columnheader" scope="col" class="number">Restored</th><th role="columnheader" scope="col">What it came to</th></tr></thead>
<tbody role="rowgroup">
{rows}</tbody></table>
"#
    )
}

/// Where a restore came to, or what kept it from there.
fn came_to(ending: &Ending) -> Cow<'_, str> {
    match (ending.verdict, &ending.target) {
        (Verdict::Pass, Some(target)) => format!("restored to {target}").into(),
        _ => ending.headline.as_str().into(),
    }
}

/// A forge's own word is no reason to follow another kind of link.
fn is_link(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

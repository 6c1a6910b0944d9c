//! The history as a person reads it: when it last worked, then one line for each run, newest first.

use std::fmt::Write;

use super::text::{grouped, milliseconds, moment, paint, printable, verdict_color};
use crate::history::{Ending, History, PastRun};
use crate::verdict::Subject;

/// All runs of all commands. `color` puts ANSI colours on words that say the same without.
pub fn text(history: &History, color: bool) -> String {
    let mut text = last_success(history);
    if history.runs.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "\n{:<20}  {:<5}  {:<12}  {:>13}  {:>13}  WHAT IT CAME TO",
        "BEGAN (UTC)", "RUN", "VERDICT", "RECOVERY TIME", "ROWS"
    );
    for run in history.runs.iter().rev() {
        line(&mut text, run, color);
    }
    text
}

/// Of a drill, because only a drill proves; of a check besides.
fn last_success(history: &History) -> String {
    let mut text = String::new();
    for (command, name, many) in [(Subject::Drill, "drill", "drills"), (Subject::Check, "check", "checks")] {
        let counted = history.count(command);
        let _ = match history.last_success(command) {
            Some((run, _)) => writeln!(
                text,
                "The last {name} that passed began {} (run {}); {} of {} {many} ever passed.",
                moment(run.started_at),
                printable(&run.run_id),
                grouped(counted.passed),
                grouped(counted.runs),
            ),
            None if counted.runs == 0 => writeln!(text, "No {name} has ended yet."),
            None => writeln!(text, "No {name} is known to have passed, of {}.", grouped(counted.runs)),
        };
    }
    text
}

fn line(text: &mut String, run: &PastRun, color: bool) {
    let began = run.started_at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let command = run.command.as_str();
    let (verdict, took, rows, headline) = if let Some(ending) = &run.ending {
        ended(ending, color)
    } else {
        let until = format!("has not ended; it has time until {}", moment(run.ends_by));
        (format!("{:<12}", "-"), String::new(), String::new(), until)
    };
    let line = format!("{began:<20}  {command:<5}  {verdict}  {took:>13}  {rows:>13}  {headline}");
    let _ = writeln!(text, "{}", line.trim_end());
}

fn ended(ending: &Ending, color: bool) -> (String, String, String, String) {
    // Colours have no width, so the word is padded before it is painted.
    let verdict = paint(&format!("{:<12}", ending.verdict.as_str()), verdict_color(ending.verdict), color);
    (
        verdict,
        ending.recovery_time_ms.map(milliseconds).unwrap_or_default(),
        ending.rows.map(grouped).unwrap_or_default(),
        printable(&ending.headline),
    )
}

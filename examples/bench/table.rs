//! The figures as text: Markdown that reads well on a terminal, too.

use std::fmt::Write as _;

use super::measure::Figure;

/// One line of a comparison.
pub struct Line {
    pub what: String,
    pub figure: Figure,
}

/// A promise and what came of it.
pub struct Target {
    pub promise: &'static str,
    pub measured: String,
    pub is_met: bool,
}

impl Target {
    pub fn at_least(promise: &'static str, ratio: f64, least: f64) -> Self {
        Self { promise, measured: format!("{ratio:.2}×"), is_met: ratio >= least }
    }

    pub fn at_most(promise: &'static str, ratio: f64, most: f64) -> Self {
        Self { promise, measured: format!("{ratio:.2}×"), is_met: ratio <= most }
    }

    /// Adds what the same would be under a harder condition.
    #[must_use]
    pub fn beside(mut self, condition: &str, ratio: f64) -> Self {
        let _ = write!(self.measured, " ({condition}: {ratio:.2}×)");
        self
    }

    /// A count of requests.
    pub fn requests(promise: &'static str, count: u64, most: u64) -> Self {
        Self { promise, measured: count.to_string(), is_met: count <= most }
    }

    /// Megabytes of 1,000,000 bytes.
    pub fn memory(promise: &'static str, bytes: u64, below_megabytes: u64) -> Self {
        Self { promise, measured: megabytes(bytes), is_met: bytes < below_megabytes * 1_000_000 }
    }

    pub fn word(&self) -> &'static str {
        if self.is_met { "met" } else { "**missed**" }
    }
}

/// Seconds, and how many times walproof's, which is the last line.
pub fn comparison(lines: &[Line]) -> String {
    let own = lines.last().map_or(0.0, |line| line.figure.seconds);
    let mut rows = vec![[String::new(), "seconds".to_owned(), "runs".to_owned(), "× walproof's time".to_owned()]];
    for Line { what, figure } in lines {
        let ratio = figure.seconds / own;
        rows.push([what.clone(), format!("{:.2}", figure.seconds), figure.runs.to_string(), format!("{ratio:.2}")]);
    }
    table(&rows)
}

/// The promises, each with what was measured.
pub fn targets(targets: &[Target]) -> String {
    let mut rows = vec![["target".to_owned(), "measured".to_owned(), String::new()]];
    rows.extend(targets.iter().map(|it| [it.promise.to_owned(), it.measured.clone(), it.word().to_owned()]));
    table(&rows)
}

/// Two columns.
pub fn facts(facts: &[(&str, String)]) -> String {
    let mut rows = vec![[String::new(), String::new()]];
    rows.extend(facts.iter().map(|(name, value)| [(*name).to_owned(), value.clone()]));
    table(&rows)
}

/// The first row is the head.
pub fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let widths: Vec<usize> =
        (0..COLUMNS).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

pub fn megabytes(bytes: u64) -> String {
    format!("{} MB", (bytes + 500_000) / 1_000_000)
}

//! The source against its own past: a faithful restore of lost data passes every probe, because the loss stands in
//! the baseline too. So tonight's row counts are compared with those of former nights.
//!
//! A count has shrunk when it is far below the smallest of the last nights before the fall. Those stay the measure as
//! long as the count stays down and one of them lies in the recovery window: what was reported last night is reported
//! tonight. A queue has low nights among them, and nothing is far below those; what falls every weekend has done so
//! before.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::baseline::Baseline;
use crate::finding::{Blame, Code, Finding};
use crate::history::bounds::NIGHTS_KEPT;
use crate::history::changes::TABLES_KEPT;
use crate::report::Window;
use crate::report::text::{count, duration, grouped, moment};

/// Less than this is no loss, unless a table has lost all.
const FEWEST_ROWS: u64 = 1_000;
/// The nights before a fall that are its measure. A count that was as low before must have been high on so many.
const ENOUGH_NIGHTS: usize = 3;
/// Who has fallen so often and risen again may do so.
const HABIT: usize = 2;
/// The finding names so many tables.
const NAMED: usize = 5;

/// What the baseline says of the source, tonight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tonight {
    /// Rows by `database.schema.table`: all tables that were read, the empty ones too.
    pub rows: BTreeMap<String, u64>,
    /// Tables, and databases with a dot at the end, that were not read: nothing is known of them.
    pub not_read: BTreeSet<String>,
}

impl Tonight {
    pub fn of(baseline: &Baseline) -> Self {
        let rows = baseline.databases.iter().flat_map(|database| {
            let name = |schema: &str, table: &str| format!("{}.{schema}.{table}", database.name);
            database.tables.iter().map(move |table| (name(&table.schema, &table.name), table.rows))
        });
        let not_read = baseline.not_read.iter();
        let not_read = not_read.map(|it| format!("{}.{}", it.database, it.table.as_deref().unwrap_or_default()));
        Self { rows: rows.collect(), not_read: not_read.collect() }
    }

    fn is_known(&self, table: &str) -> bool {
        let is_part = |(end, _): (usize, &str)| self.not_read.contains(&table[..=end]);
        !self.not_read.contains(table) && !table.match_indices('.').any(is_part)
    }
}

/// Compares tonight's baseline with those of `former` drills, newest first ([`crate::history::History::nights`]). One
/// finding: what shrank, or that nothing did. None when no former night lies in the recovery window, where it is known.
pub fn judge(
    former: &[(Timestamp, &BTreeMap<String, u64>)],
    tonight: &Tonight,
    window: Option<&Window>,
) -> Vec<Finding> {
    let nights: Vec<Night> = former.iter().take(NIGHTS_KEPT).map(|&(at, rows)| Night::new(at, rows, window)).collect();
    let compared = nights.iter().filter(|night| night.is_recoverable).count();
    if compared == 0 {
        return Vec::new();
    }
    let mut losses: Vec<Loss> = total(&nights, tonight).into_iter().collect();
    let mut tables: Vec<Loss> = known(&nights).iter().filter_map(|table| loss(&nights, tonight, table)).collect();
    tables.sort_by_key(|loss| std::cmp::Reverse(loss.before.rows - loss.rows.unwrap_or(0)));
    losses.extend(tables);
    if losses.is_empty() {
        let nights = count(compared as u64, "former night", "former nights");
        let summary = format!("compared with {nights}, no table was emptied, lost half of its rows or is gone");
        return vec![Finding::passed(Code::SourceShrank, summary)];
    }
    vec![failed(&losses, window)]
}

/// A former night.
struct Night<'a> {
    at: Timestamp,
    rows: &'a BTreeMap<String, u64>,
    is_recoverable: bool,
}

impl<'a> Night<'a> {
    fn new(at: Timestamp, rows: &'a BTreeMap<String, u64>, window: Option<&Window>) -> Self {
        // Without a gap the end of WAL is only the last write: a later night is the same as that one.
        let is_recoverable =
            window.is_none_or(|window| window.from <= at && (window.broken_by.is_none() || at <= window.to));
        Self { at, rows, is_recoverable }
    }

    /// The largest tables alone are remembered: one that is not among them may have been there.
    fn is_absent(&self, table: &str) -> bool {
        self.rows.len() < TABLES_KEPT && !self.rows.contains_key(table)
    }
}

/// How many rows there were on a former night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Past {
    at: Timestamp,
    rows: u64,
    is_recoverable: bool,
}

/// What shrank since the night `before`; `rows` is None for a table that is gone.
struct Loss {
    what: String,
    before: Past,
    rows: Option<u64>,
}

/// By how much a count may fall.
#[derive(Clone, Copy)]
enum Measure {
    /// One table: to no less than a half.
    Table,
    /// Many tables together: to no less than 80 %.
    Total,
}

impl Measure {
    fn is_far_below(self, rows: u64, former: u64) -> bool {
        let allowed = match self {
            Self::Table => former / 2,
            Self::Total => former / 5,
        };
        former.saturating_sub(rows) > allowed
    }

    fn is_loss(self, rows: u64, former: u64) -> bool {
        self.is_far_below(rows, former) && (rows == 0 || former - rows >= FEWEST_ROWS)
    }

    /// The newest night before the fall that can be recovered, if tonight's count has fallen. `past` is newest first.
    fn night_before_the_fall(self, tonight: u64, past: &[Past]) -> Option<Past> {
        // So many nights it has been down already; as few as explain it.
        (0..past.len()).find_map(|nights_down| {
            let (down, before) = past.split_at(nights_down);
            let high = || before.iter().filter(|night| night.is_recoverable).take(ENOUGH_NIGHTS);
            let smallest = high().map(|night| night.rows).min()?;
            let down = || down.iter().map(|night| night.rows).chain([tonight]);
            let highest = down().max().unwrap_or(tonight);
            let has_fallen = self.is_far_below(highest, smallest) && down().any(|rows| self.is_loss(rows, smallest));
            let is_usual = self.is_usual(highest, before, high().count());
            high().next().copied().filter(|_| has_fallen && !is_usual)
        })
    }

    /// True for a count that falls so low again and again, or was so low on all nights but a few. One that only grew
    /// was low as well.
    fn is_usual(self, rows: u64, before: &[Past], high_nights: usize) -> bool {
        let is_low = |night: &Past| !self.is_far_below(rows, night.rows);
        let falls = before.windows(2).filter(|pair| is_low(&pair[0]) && self.is_loss(pair[0].rows, pair[1].rows));
        falls.count() >= HABIT || before.iter().any(is_low) && high_nights < ENOUGH_NIGHTS
    }
}

/// The tables that had rows on some night that can be recovered.
fn known(nights: &[Night]) -> BTreeSet<String> {
    let recoverable = nights.iter().filter(|night| night.is_recoverable);
    let tables = recoverable.flat_map(|night| night.rows.iter().filter(|(_, rows)| **rows > 0));
    tables.map(|(table, _)| table.clone()).collect()
}

fn loss(nights: &[Night], tonight: &Tonight, table: &str) -> Option<Loss> {
    let past = |night: &Night, rows| Past { at: night.at, rows, is_recoverable: night.is_recoverable };
    if let Some(&rows) = tonight.rows.get(table) {
        let nights = nights.iter().filter_map(|night| Some(past(night, *night.rows.get(table)?)));
        let before = Measure::Table.night_before_the_fall(rows, &nights.collect::<Vec<_>>())?;
        return Some(Loss { what: table.to_owned(), before, rows: Some(rows) });
    }
    if !tonight.is_known(table) {
        return None;
    }
    let rows_of = |night: &Night| match night.rows.get(table) {
        Some(rows) => Some(*rows),
        None if night.is_absent(table) => Some(0),
        None => None,
    };
    let nights_of_table = nights.iter().filter_map(|night| Some(past(night, rows_of(night)?)));
    let before = Measure::Table.night_before_the_fall(0, &nights_of_table.collect::<Vec<_>>())?;
    (!is_replaced(nights, tonight, table)).then(|| Loss { what: table.to_owned(), before, rows: None })
}

/// True for a partition that others of its kind have taken over from: `events_2026_10` where `events_2026_12` is, and
/// all of them together have not shrunk.
fn is_replaced(nights: &[Night], tonight: &Tonight, table: &str) -> bool {
    let kind = without_numbers(table);
    let sum = |rows: &BTreeMap<String, u64>| -> Option<u64> {
        let mut of_kind =
            rows.iter().filter(|(table, _)| without_numbers(table) == kind).map(|(_, rows)| *rows).peekable();
        of_kind.peek()?;
        Some(of_kind.sum())
    };
    let Some(rows) = sum(&tonight.rows) else { return false };
    let past = nights
        .iter()
        .filter_map(|night| Some(Past { at: night.at, rows: sum(night.rows)?, is_recoverable: night.is_recoverable }));
    Measure::Total.night_before_the_fall(rows, &past.collect::<Vec<_>>()).is_none()
}

/// The name with one `#` for each number in it.
fn without_numbers(table: &str) -> String {
    let mut kind = String::with_capacity(table.len());
    for character in table.chars() {
        match character {
            '0'..='9' if kind.ends_with('#') => {}
            '0'..='9' => kind.push('#'),
            other => kind.push(other),
        }
    }
    kind
}

/// All tables together that are known of every night.
fn total(nights: &[Night], tonight: &Tonight) -> Option<Loss> {
    let is_common = |table: &&String| nights.iter().all(|night| night.rows.contains_key(*table));
    let common: Vec<&String> = tonight.rows.keys().filter(is_common).collect();
    let sum = |rows: &BTreeMap<String, u64>| common.iter().map(|table| rows[*table]).sum();
    let past: Vec<Past> = nights
        .iter()
        .map(|night| Past { at: night.at, rows: sum(night.rows), is_recoverable: night.is_recoverable })
        .collect();
    let rows = sum(&tonight.rows);
    let before = Measure::Total.night_before_the_fall(rows, &past)?;
    Some(Loss { what: "all tables together".to_owned(), before, rows: Some(rows) })
}

fn failed(losses: &[Loss], window: Option<&Window>) -> Finding {
    let named = &losses[..losses.len().min(NAMED)];
    let more = match losses.len() - named.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let list = |text: fn(&Loss) -> String, between: &str| named.iter().map(text).collect::<Vec<_>>().join(between);
    let falls = list(
        |loss| match loss.rows {
            None => format!("{} is gone", loss.what),
            Some(0) => format!("{} is empty", loss.what),
            Some(rows) => {
                let percent = u128::from(loss.before.rows - rows) * 100 / u128::from(loss.before.rows.max(1));
                format!("{} lost {percent} % of its rows", loss.what)
            }
        },
        ", ",
    );
    // The night that goes first.
    let good = losses.iter().map(|loss| loss.before.at).min().unwrap_or(Timestamp::MAX);
    let (reach, within) = match window {
        Some(window) => {
            let left = duration(good.duration_since(window.from));
            let within = format!(
                "within about {left}, by when the retention may have taken that night away (sooner where it removes much \
                 at once)"
            );
            (format!("; the night before, {}, can be recovered for about {left} more", moment(good)), within)
        }
        None => (String::new(), "before the retention takes that night away".to_owned()),
    };
    let expected = list(
        |loss| format!("{}: {} on {}", loss.what, count(loss.before.rows, "row", "rows"), moment(loss.before.at)),
        "; ",
    );
    let observed = list(
        |loss| match loss.rows {
            None => format!("{}: gone", loss.what),
            Some(rows) => format!("{}: {}", loss.what, grouped(rows)),
        },
        "; ",
    );
    Finding::failed(Code::SourceShrank, Blame::Source, format!("the source shrank: {falls}{more}{reach}"))
        .expected(expected + &more)
        .observed(observed + &more)
        .hint(format!(
            "was it meant (deleted, dropped, renamed, no longer selected)? if not, recover the night of {} into a new \
             cluster {within}",
            moment(good)
        ))
}

#[cfg(test)]
mod tests;

//! What the recovery containers log, eaten line by line in bounded memory: how far recovery came, what it complained of,
//! and the last notable lines for the report. What is said since the last [`RecoveryLog::pod`] is the attempt that counts;
//! the one before it tells an accident from damage. Lines that come again, the newest ones or all, change nothing.

mod entry;

use std::collections::VecDeque;

use crate::archive::wal::{Lsn, Segment, SegmentSize};
use crate::sandbox::complaint::{self, Complaints};
use entry::{Entry, Severity};

/// Notable messages of an attempt that are kept from its beginning, and as many from its end.
const NOTABLE: usize = 40;
/// Lines of the excerpt, over all attempts.
const EXCERPT: usize = 40;

/// Messages of PostgreSQL's lowest severity that explain a failure.
const NOTABLE_INFO: [&str; 4] = [
    "recovery has paused",
    "invalid value for parameter",
    "unrecognized configuration parameter",
    "was terminated by signal",
];

/// Grave by severity only: connections that come too early, and what follows from the real reason.
const NOT_NOTABLE: [&str; 4] = [
    "the database system is",
    "While terminating server",
    "error while reading results of pg_is_in_recovery",
    "error starting PostgreSQL instance: exit status",
];
/// How the manager repeats, as its last words, an error that it has logged before.
const LAST_WORDS: &str = "restore error: while restoring cluster: ";

/// The segments that came from the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    pub first: Segment,
    pub last: Segment,
    /// Each counted once, however often it was asked for.
    pub count: u64,
}

/// One attempt: what one pod said.
#[derive(Debug, Clone)]
struct Attempt {
    restored: Option<Restored>,
    replayed: Option<Lsn>,
    redo_ended: bool,
    reached_target: bool,
    complaints: Complaints,
    first: Vec<Entry>,
    last: VecDeque<Entry>,
}

#[derive(Debug, Clone)]
pub struct RecoveryLog {
    size: SegmentSize,
    attempts: u32,
    attempt: Attempt,
    before: Option<Attempt>,
    excerpt: VecDeque<String>,
}

impl RecoveryLog {
    pub fn new(size: SegmentSize) -> Self {
        Self { size, attempts: 0, attempt: Attempt::new(size), before: None, excerpt: VecDeque::with_capacity(EXCERPT) }
    }

    /// What follows is another pod's: a new attempt.
    pub fn pod(&mut self, name: &str) {
        self.attempts += 1;
        self.before = Some(std::mem::replace(&mut self.attempt, Attempt::new(self.size)));
        let name: String = name.chars().take(100).collect();
        self.remember(format!("attempt {}: {name}", self.attempts));
    }

    /// Takes in one line as the container wrote it, without its line break.
    pub fn line(&mut self, line: &str) {
        for entry in entry::entries(line) {
            self.take(entry);
        }
    }

    fn take(&mut self, entry: Entry) {
        let attempt = &mut self.attempt;
        if let Some(segment) = complaint::restored(&entry.text, self.size) {
            attempt.restored = Some(attempt.restored.map_or(Restored::one(segment), |restored| restored.and(segment)));
        }
        attempt.redo_ended |= entry.text.starts_with("redo done at ");
        attempt.reached_target |= entry.text.starts_with("recovery stopping ");
        if let Some(lsn) = position(&entry.text) {
            attempt.replayed = attempt.replayed.max(Some(lsn));
        }
        // A complaint is PostgreSQL's; the same words of another program would be a forgery or an accident.
        let is_complaint = entry.speaker == "postgres" && attempt.complaints.message(&entry.text);
        if entry.is_detail {
            // What may follow as a detail belongs to a message that is notable.
            if let Some(explained) = attempt.last.back_mut().or(attempt.first.last_mut())
                && !explained.text.contains(&entry.text)
            {
                explained.text = format!("{}: {}", explained.text, entry.text);
            }
            return;
        }
        let says = |texts: &[&str]| texts.iter().any(|text| entry.text.contains(text));
        let is_notable = is_complaint || entry.severity > Severity::Info || says(&NOTABLE_INFO);
        if !is_notable || says(&NOT_NOTABLE) || attempt.knows(&entry.text) {
            return;
        }
        let time = entry.at.map(|at| format!("{at:.0} ")).unwrap_or_default();
        self.remember(format!("{time}{}: {}", entry.speaker, entry.text));
        let attempt = &mut self.attempt;
        if attempt.first.len() < NOTABLE {
            attempt.first.push(entry);
        } else {
            attempt.last.push_back(entry);
            if attempt.last.len() > NOTABLE {
                attempt.last.pop_front();
            }
        }
    }

    fn remember(&mut self, line: String) {
        if self.excerpt.len() == EXCERPT {
            self.excerpt.pop_front();
        }
        self.excerpt.push_back(line);
    }

    /// The segments that this attempt got from the archive.
    pub fn restored(&self) -> Option<Restored> {
        self.attempt.restored
    }

    /// True when the end of replay was seen: what this attempt said of WAL before is all that it had to say.
    pub fn is_whole(&self) -> bool {
        self.attempt.redo_ended
    }

    /// True when this attempt's recovery came to its target.
    pub fn reached_target(&self) -> bool {
        self.attempt.reached_target
    }

    /// Up to where WAL was replayed at least; PostgreSQL says so every ten seconds.
    pub fn replayed(&self) -> Option<Lsn> {
        self.attempt.replayed
    }

    /// The last complaint about WAL that this attempt did not get over, and the LSN from which WAL cannot be read.
    pub fn invalid_record(&self) -> Option<&(String, Lsn)> {
        self.attempt.complaints.last()
    }

    /// True when the attempt before this one ended at the same complaint: no accident of one download.
    pub fn is_repeated(&self) -> bool {
        let place = |attempt: &Attempt| attempt.complaints.last().map(|&(_, lsn)| lsn);
        place(&self.attempt).is_some() && self.before.as_ref().and_then(place) == place(&self.attempt)
    }

    /// True when a notable message of this attempt stood in the one before as well.
    pub(super) fn said_before(&self, message: &str) -> bool {
        self.before.as_ref().is_some_and(|before| before.notable().any(|entry| entry.text == message))
    }

    /// True when PostgreSQL itself said this message in this attempt and in the one before.
    pub(super) fn server_said_twice(&self, message: &str) -> bool {
        let says =
            |attempt: &Attempt| attempt.notable().any(|entry| entry.speaker == "postgres" && entry.text == message);
        says(&self.attempt) && self.before.as_ref().is_some_and(says)
    }

    /// The last notable lines over all attempts, oldest first; each at most some 350 characters, without details of
    /// PostgreSQL that may hold rows.
    pub fn excerpt(&self) -> impl Iterator<Item = &str> {
        self.excerpt.iter().map(String::as_str)
    }

    /// The notable messages of this attempt that hold one of these texts.
    pub(super) fn saying<'a>(&'a self, texts: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let messages = self.attempt.notable().map(|entry| entry.text.as_str());
        messages.filter(|message| texts.iter().any(|text| message.contains(text)))
    }

    /// The gravest messages of this attempt, oldest first.
    pub(super) fn errors(&self) -> impl DoubleEndedIterator<Item = &str> {
        let is_grave = |entry: &&Entry| entry.severity == Severity::Error;
        self.attempt.notable().filter(is_grave).map(|entry| entry.text.as_str())
    }
}

impl Attempt {
    fn new(size: SegmentSize) -> Self {
        Self {
            restored: None,
            replayed: None,
            redo_ended: false,
            reached_target: false,
            complaints: Complaints::new(size),
            first: Vec::new(),
            last: VecDeque::new(),
        }
    }

    fn notable(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.first.iter().chain(&self.last)
    }

    /// Whether this was said before, by whomever.
    fn knows(&self, text: &str) -> bool {
        let words = text.strip_prefix(LAST_WORDS).unwrap_or(text);
        // The beginning, because a detail may have been added.
        self.notable().any(|known| known.text.ends_with(words) || known.text.starts_with(words))
    }
}

impl Restored {
    fn one(segment: Segment) -> Self {
        Self { first: segment, last: segment, count: 1 }
    }

    /// Segments come in their order; the last ones are asked for again at the end.
    fn and(self, segment: Segment) -> Self {
        let place = |segment: Segment| (segment.number, segment.timeline);
        if place(segment) > place(self.last) { Self { last: segment, count: self.count + 1, ..self } } else { self }
    }
}

/// The LSN of `redo starts at 0/3000028`, `redo in progress, elapsed time: 10.87 s, current LSN: 0/81A00C0` and
/// `redo done at 0/9000028 system usage: …`.
fn position(text: &str) -> Option<Lsn> {
    let rest = if text.starts_with("redo in progress") {
        text.split_once("current LSN: ")?.1
    } else {
        text.strip_prefix("redo starts at ").or_else(|| text.strip_prefix("redo done at "))?
    };
    rest.split([' ', ',']).next()?.parse().ok()
}

#[cfg(test)]
mod tests;

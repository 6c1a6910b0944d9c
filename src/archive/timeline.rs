//! Timeline history files: which timeline holds which part of the WAL, and the stop line, in which a promoted server
//! says where and why its recovery ended.

use std::fmt;

use super::wal::{Lsn, Segment, SegmentSize, Timeline};

/// A timeline and those it descends from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    pub timeline: Timeline,
    /// Oldest first, all older than `timeline`; empty for a timeline that began with initdb.
    pub ancestors: Vec<Ancestor>,
}

/// One line of a history file: this timeline was left at `switch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    pub timeline: Timeline,
    pub switch: Lsn,
    pub reason: String,
}

/// The part of the WAL that one timeline contributes to a history. `end` is exclusive; open on the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub timeline: Timeline,
    pub begin: Lsn,
    pub end: Option<Lsn>,
}

/// What is wrong with a history file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryDefect {
    #[error("the history file names no parent timeline")]
    Empty,
    #[error("line {line} of the history file is not a timeline and an LSN: {text:?}")]
    Malformed { line: usize, text: String },
    #[error("the history file names timeline {found} after timeline {previous}")]
    NotIncreasing { found: Timeline, previous: Timeline },
    #[error("the history file of timeline {timeline} names timeline {found} as its ancestor")]
    NotAnAncestor { found: Timeline, timeline: Timeline },
    #[error("the history file leaves timeline {timeline} at {found}, before it begins at {previous}")]
    SwitchGoesBack { timeline: Timeline, found: Lsn, previous: Lsn },
}

impl History {
    /// The history of a timeline that has no history file: it began with initdb.
    pub const fn root(timeline: Timeline) -> Self {
        Self { timeline, ancestors: Vec::new() }
    }

    /// Reads the history file of `timeline`. Stricter than PostgreSQL, which takes an empty file for a timeline without
    /// ancestors and then fails with a misleading message about the checkpoint record.
    pub fn parse(timeline: Timeline, text: &str) -> Result<Self, HistoryDefect> {
        let ancestors = lines(text).map(Ancestor::parse).collect::<Result<Vec<_>, _>>()?;
        let newest = ancestors.last().ok_or(HistoryDefect::Empty)?.timeline;
        for pair in ancestors.windows(2) {
            let (previous, next) = (&pair[0], &pair[1]);
            if next.timeline <= previous.timeline {
                return Err(HistoryDefect::NotIncreasing { found: next.timeline, previous: previous.timeline });
            }
            if next.switch < previous.switch {
                return Err(HistoryDefect::SwitchGoesBack {
                    timeline: next.timeline,
                    found: next.switch,
                    previous: previous.switch,
                });
            }
        }
        if newest >= timeline {
            return Err(HistoryDefect::NotAnAncestor { found: newest, timeline });
        }
        Ok(Self { timeline, ancestors })
    }

    /// Which timeline holds which part of the WAL: oldest first, without gaps, the last one open.
    pub fn spans(&self) -> Vec<Span> {
        let begins = std::iter::once(Lsn(0)).chain(self.ancestors.iter().map(|ancestor| ancestor.switch));
        let ends = self
            .ancestors
            .iter()
            .map(|ancestor| (ancestor.timeline, Some(ancestor.switch)))
            .chain([(self.timeline, None)]);
        begins.zip(ends).map(|(begin, (timeline, end))| Span { timeline, begin, end }).collect()
    }

    /// The timeline whose WAL holds the byte at `lsn`, as seen from this history.
    pub fn timeline_at(&self, lsn: Lsn) -> Timeline {
        self.ancestors.iter().find(|ancestor| lsn < ancestor.switch).map_or(self.timeline, |ancestor| ancestor.timeline)
    }

    /// The segments that PostgreSQL asks the archive for, one after another, when it needs segment `number`: newest
    /// timeline first, among those that have begun in that segment or before it.
    pub fn candidates(&self, number: u64, size: SegmentSize) -> Vec<Segment> {
        self.spans()
            .iter()
            .rev()
            .filter(|span| span.segments(size).0 <= number)
            .map(|span| Segment { timeline: span.timeline, number })
            .collect()
    }
}

impl Span {
    /// The first and the last segment number that the span touches.
    pub fn segments(&self, size: SegmentSize) -> (u64, u64) {
        (self.begin.0 / size.bytes(), self.end.map_or(u64::MAX, |end| end.0 / size.bytes()))
    }
}

impl Ancestor {
    fn parse((line, text): (usize, &str)) -> Result<Self, HistoryDefect> {
        let parse = || {
            let (timeline, rest) = text.split_once([' ', '\t'])?;
            let rest = rest.trim_start();
            let (switch, reason) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            let timeline = timeline.parse().ok().filter(|&number: &u32| number > 0)?;
            Some(Self {
                timeline: Timeline(timeline),
                switch: switch.parse().ok()?,
                reason: reason.trim_start().to_owned(),
            })
        };
        parse().ok_or_else(|| HistoryDefect::Malformed { line, text: text.to_owned() })
    }
}

/// The lines that say something, trimmed, with their numbers from 1.
fn lines(text: &str) -> impl DoubleEndedIterator<Item = (usize, &str)> {
    let numbered = text.lines().collect::<Vec<_>>().into_iter().enumerate();
    numbered
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Where recovery really stopped: the last line of the history file that promotion wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopLine {
    /// The timeline that was recovered along.
    pub parent: Timeline,
    /// The end of the last replayed record.
    pub switch: Lsn,
    pub reason: StopReason,
}

impl StopLine {
    /// Reads a whole history file and takes its last line that says something: the LSN and time forms end in an extra
    /// newline.
    pub fn parse(text: &str) -> Result<Self, HistoryDefect> {
        let last = lines(text).next_back().ok_or(HistoryDefect::Empty)?;
        let Ancestor { timeline, switch, reason } = Ancestor::parse(last)?;
        Ok(Self { parent: timeline, switch, reason: StopReason::parse(&reason) })
    }
}

/// Why recovery stopped, in the forms of PostgreSQL's `getRecoveryStopReason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// Names the record that was *not* replayed any more, which lies at or behind the target.
    BeforeLsn(Lsn),
    AfterLsn(Lsn),
    BeforeTransaction(u64),
    AfterTransaction(u64),
    /// The time of a commit, abort or restore point, as the server writes it, in the server's time zone.
    Time {
        text: String,
        before: bool,
    },
    RestorePoint(String),
    Consistency,
    /// There was no target: recovery ran to the end of the archive. Ordinary failovers say this too.
    EndOfArchive,
    Other(String),
}

const CONSISTENCY: &str = "reached consistency";
const END_OF_ARCHIVE: &str = "no recovery target specified";

impl StopReason {
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let known = match text {
            CONSISTENCY => Some(Self::Consistency),
            END_OF_ARCHIVE => Some(Self::EndOfArchive),
            _ => Self::restore_point(text).or_else(|| Self::sided(text)),
        };
        known.unwrap_or_else(|| Self::Other(text.to_owned()))
    }

    fn restore_point(text: &str) -> Option<Self> {
        let name = text.strip_prefix("at restore point \"")?.strip_suffix('"')?;
        Some(Self::RestorePoint(name.to_owned()))
    }

    /// The forms that begin with `before` or `after`.
    fn sided(text: &str) -> Option<Self> {
        let (before, rest) = match text.split_once(' ')? {
            ("before", rest) => (true, rest),
            ("after", rest) => (false, rest),
            _ => return None,
        };
        if let Some(number) = rest.strip_prefix("transaction ") {
            let number = number.parse().ok()?;
            Some(if before { Self::BeforeTransaction(number) } else { Self::AfterTransaction(number) })
        } else if let Some(lsn) = rest.strip_prefix("LSN ") {
            let lsn = lsn.parse().ok()?;
            Some(if before { Self::BeforeLsn(lsn) } else { Self::AfterLsn(lsn) })
        } else {
            rest.starts_with(|first: char| first.is_ascii_digit()).then(|| Self::Time { text: rest.to_owned(), before })
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeLsn(lsn) => write!(formatter, "before LSN {lsn}"),
            Self::AfterLsn(lsn) => write!(formatter, "after LSN {lsn}"),
            Self::BeforeTransaction(number) => write!(formatter, "before transaction {number}"),
            Self::AfterTransaction(number) => write!(formatter, "after transaction {number}"),
            Self::Time { text, before: true } => write!(formatter, "before {text}"),
            Self::Time { text, before: false } => write!(formatter, "after {text}"),
            Self::RestorePoint(name) => write!(formatter, "at restore point \"{name}\""),
            Self::Consistency => formatter.write_str(CONSISTENCY),
            Self::EndOfArchive => formatter.write_str(END_OF_ARCHIVE),
            Self::Other(text) => formatter.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_FAILOVERS: &str =
        "1\t0/5000000\tno recovery target specified\n\n# a comment\n  2   0/7000A28  before LSN 0/7000A28\n\n";

    fn lsn(text: &str) -> Lsn {
        text.parse().unwrap()
    }

    #[test]
    fn a_history_divides_the_wal_between_its_timelines() {
        let history = History::parse(Timeline(4), TWO_FAILOVERS).unwrap();
        assert_eq!(
            history.spans(),
            [
                Span { timeline: Timeline(1), begin: Lsn(0), end: Some(lsn("0/5000000")) },
                Span { timeline: Timeline(2), begin: lsn("0/5000000"), end: Some(lsn("0/7000A28")) },
                Span { timeline: Timeline(4), begin: lsn("0/7000A28"), end: None },
            ]
        );
        assert_eq!(history.ancestors[1].reason, "before LSN 0/7000A28");
    }

    #[test]
    fn a_timeline_without_ancestors_holds_everything() {
        let history = History::root(Timeline(1));
        assert_eq!(history.spans(), [Span { timeline: Timeline(1), begin: Lsn(0), end: None }]);
        assert_eq!(history.timeline_at(lsn("1/0")), Timeline(1));
    }

    #[test]
    fn the_byte_at_a_switch_belongs_to_the_child() {
        let history = History::parse(Timeline(4), TWO_FAILOVERS).unwrap();
        assert_eq!(history.timeline_at(lsn("0/4FFFFFF")), Timeline(1));
        assert_eq!(history.timeline_at(lsn("0/5000000")), Timeline(2));
        assert_eq!(history.timeline_at(lsn("0/7000A28")), Timeline(4));
    }

    #[test]
    fn a_segment_is_looked_for_on_the_newest_timeline_first_but_not_before_that_began() {
        let history = History::parse(Timeline(4), TWO_FAILOVERS).unwrap();
        let timelines = |number| {
            let candidates = history.candidates(number, SegmentSize::DEFAULT);
            candidates.iter().map(|segment| segment.timeline.0).collect::<Vec<_>>()
        };
        assert_eq!(timelines(7), [4, 2, 1]);
        assert_eq!(timelines(6), [2, 1]);
        assert_eq!(timelines(4), [1]);
    }

    #[test]
    fn a_history_that_postgresql_could_not_have_written_is_a_defect() {
        let parse = |text| History::parse(Timeline(3), text).unwrap_err();
        assert_eq!(parse(""), HistoryDefect::Empty);
        assert_eq!(parse("# only a comment\n\n"), HistoryDefect::Empty);
        assert_eq!(
            parse("2\t0/5000000\tx\n1\t0/6000000\tx\n"),
            HistoryDefect::NotIncreasing { found: Timeline(1), previous: Timeline(2) }
        );
        assert_eq!(
            parse("1\t0/5000000\tx\n1\t0/6000000\tx\n"),
            HistoryDefect::NotIncreasing { found: Timeline(1), previous: Timeline(1) }
        );
        assert_eq!(
            parse("3\t0/5000000\tx\n"),
            HistoryDefect::NotAnAncestor { found: Timeline(3), timeline: Timeline(3) }
        );
        assert!(matches!(parse("1\t0/5000000\tx\n2\t0/4000000\tx\n"), HistoryDefect::SwitchGoesBack { .. }));
        for text in ["1", "1\t", "1\t0-5000000", "x\t0/5000000", "0\t0/5000000\tx", "\u{1f}\u{8b}"] {
            assert!(matches!(parse(text), HistoryDefect::Malformed { line: 1, .. }), "{text:?}");
        }
    }

    #[test]
    fn the_stop_line_is_the_last_one_that_says_something() {
        let stop =
            StopLine::parse("1\t0/5000000\tno recovery target specified\n\n2\t0/C000000\tbefore LSN 0/C000028\n\n");
        assert_eq!(
            stop.unwrap(),
            StopLine { parent: Timeline(2), switch: lsn("0/C000000"), reason: StopReason::BeforeLsn(lsn("0/C000028")) }
        );
        assert_eq!(StopLine::parse("\n\n"), Err(HistoryDefect::Empty));
    }

    #[test]
    fn every_reason_of_postgresql_is_understood_and_said_in_its_words() {
        let time = "2026-11-21 01:23:31.548814+00".to_owned();
        for (text, reason) in [
            ("before LSN 0/3009C68", StopReason::BeforeLsn(lsn("0/3009C68"))),
            ("after LSN 0/3009C68", StopReason::AfterLsn(lsn("0/3009C68"))),
            ("before transaction 726", StopReason::BeforeTransaction(726)),
            ("after transaction 726", StopReason::AfterTransaction(726)),
            ("before 2026-11-21 01:23:31.548814+00", StopReason::Time { text: time.clone(), before: true }),
            ("after 2026-11-21 01:23:31.548814+00", StopReason::Time { text: time, before: false }),
            (
                "at restore point \"barman_20261121T012331\"",
                StopReason::RestorePoint("barman_20261121T012331".to_owned()),
            ),
            ("at restore point \"a \"quoted\" one\"", StopReason::RestorePoint("a \"quoted\" one".to_owned())),
            ("reached consistency", StopReason::Consistency),
            ("no recovery target specified", StopReason::EndOfArchive),
            ("before LSN nowhere", StopReason::Other("before LSN nowhere".to_owned())),
            ("before dawn", StopReason::Other("before dawn".to_owned())),
            ("", StopReason::Other(String::new())),
        ] {
            assert_eq!(StopReason::parse(text), reason);
            assert_eq!(reason.to_string(), text);
        }
    }
}

//! PostgreSQL's complaints about WAL, as a recovery's log gives them: from where on WAL cannot be read, and whose fault
//! it is that recovery ended there. The same for every sandbox.

use crate::archive::inventory::Inventory;
use crate::archive::wal::{Lsn, Segment, SegmentSize};
use crate::finding::{Blame, Code, Finding};
use crate::target::{Choice, Stop};

/// The FATAL with which recovery ends that came to the end of WAL and not to its target.
pub const ENDED_EARLY: &str = "recovery ended before configured recovery target was reached";

/// PostgreSQL's complaints about a record, each followed by the LSN from which WAL cannot be read.
/// Texts of `xlogreader.c`, PostgreSQL 13 to 18.
const INVALID_RECORD: [&str; 10] = [
    "incorrect resource manager data checksum in record at ",
    "invalid record length at ",
    "record with incorrect prev-link",
    "invalid magic number",
    "unexpected pageaddr",
    "invalid resource manager ID",
    "record length",
    "contrecord",
    "invalid info bits",
    "could not decompress image",
];

/// The last complaint of a recovery that it did not get over. Takes in one message after another.
#[derive(Debug, Clone)]
pub struct Complaints {
    size: SegmentSize,
    last: Option<(String, Lsn)>,
}

impl Complaints {
    pub fn new(size: SegmentSize) -> Self {
        Self { size, last: None }
    }

    /// Takes in the message of one LOG line, without severity and prefix. True when it is a complaint.
    pub fn message(&mut self, message: &str) -> bool {
        if let Some(segment) = restored(message, self.size) {
            // What replay got over is no end.
            self.last = self.last.take().filter(|(_, lsn)| segment.number <= lsn.0 / self.size.bytes());
            return false;
        }
        if message.contains("successfully skipped") || !INVALID_RECORD.iter().any(|text| message.contains(text)) {
            return false;
        }
        // Complaints about a page name segment and offset; those about a record end in its LSN.
        let words = message.split(|character: char| !(character.is_ascii_hexdigit() || character == '/'));
        let last = || words.filter(|word| word.contains('/')).filter_map(|word| word.parse().ok()).next_back();
        let Some(lsn) = from_segment_and_offset(message, self.size).or_else(last) else { return false };
        self.last = Some((message.to_owned(), lsn));
        true
    }

    /// The last complaint, and the LSN from which WAL cannot be read.
    pub fn last(&self) -> Option<&(String, Lsn)> {
        self.last.as_ref()
    }
}

/// The segment of `restored log file "000000010000000000000009" from archive`.
pub fn restored(message: &str, size: SegmentSize) -> Option<Segment> {
    let (_, rest) = message.split_once("restored log file \"")?;
    Segment::parse(rest.split_once('"')?.0, size)
}

/// `… in log segment 000000010000000000000004, offset 8192` (`WAL segment` and an LSN between since 16).
fn from_segment_and_offset(message: &str, size: SegmentSize) -> Option<Lsn> {
    let (_, rest) = message.split_once("segment ")?;
    let (name, rest) = rest.split_once(',')?;
    let offset: u64 = rest.split_once("offset ")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let segment = Segment::parse(name.trim(), size)?;
    Some(Lsn(segment.start(size).0.saturating_add(offset)))
}

/// The finding for a recovery that ended before its target although all WAL was there for it.
pub fn ended_early(complaint: Option<&(String, Lsn)>, inventory: &Inventory, choice: &Choice) -> Finding {
    let size = inventory.wal.segment_size;
    let wanted = choice.stop.text();
    let finding = |blame, summary: String| Finding::failed(Code::RecoveryStop, blame, summary).expected(wanted.clone());
    let Some((line, lsn)) = complaint else {
        // The archive ended in good order, before the target.
        return match &choice.stop {
            Stop::BeforeLsn(_) => finding(Blame::Unknown, "WAL ended before the target".to_owned())
                .observed("the archive holds no record at or behind the target")
                .hint("the next segment will bring it; run the drill again when it is archived"),
            _ => finding(Blame::Unknown, "the target was never reached: the archive holds nothing like it".to_owned())
                .observed("replay came to the end of the archive")
                .hint("a time must lie before the archive's last commit; a name or transaction must be in the WAL"),
        };
    };
    let broken = Segment::containing(choice.history.timeline, *lsn, size);
    // At the target itself a record may begin that only the next segment completes.
    let at_target = matches!(choice.stop, Stop::BeforeLsn(target) if *lsn >= target);
    if broken.number >= choice.last_segment.number && (at_target || !matches!(choice.stop, Stop::BeforeLsn(_))) {
        return finding(Blame::Unknown, "WAL ended before the target".to_owned())
            .observed(format!("{line}, in the last segment that replay needs"))
            .hint("the next segment will bring the rest; run the drill again when it is archived");
    }
    finding(
        Blame::Backups,
        format!(
            "WAL cannot be read from {lsn} on, in segment {}, so nothing behind it can be recovered",
            broken.name(size)
        ),
    )
    .of(broken.name(size))
    .observed(line.clone())
    .hint("make a new base backup now; then find out what changed this segment after it was archived")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: SegmentSize = SegmentSize::DEFAULT;

    fn last(messages: &[&str]) -> Option<u64> {
        let mut complaints = Complaints::new(SIZE);
        for message in messages {
            complaints.message(message);
        }
        complaints.last().map(|(_, lsn)| lsn.0)
    }

    #[test]
    fn the_place_of_a_broken_record_is_read_from_every_complaint() {
        // Texts of PostgreSQL 15 and 17.
        for (message, place) in [
            ("incorrect resource manager data checksum in record at 0/9000028", Some(0x0900_0028)),
            ("invalid record length at 0/9000060: wanted 24, got 0", Some(0x0900_0060)),
            ("invalid record length at 0/9000060: expected at least 24, got 0", Some(0x0900_0060)),
            ("record with incorrect prev-link 0/1 at 0/9000090", Some(0x0900_0090)),
            ("unexpected pageaddr 0/3000000 in log segment 000000010000000000000009, offset 8192", Some(0x0900_2000)),
            (
                "invalid magic number 0000 in WAL segment 000000010000000000000009, LSN 0/9002000, offset 8192",
                Some(0x0900_2000),
            ),
            ("restored log file \"000000010000000000000009\" from archive", None),
        ] {
            assert_eq!(last(&[message, "redo done at 0/9000000"]), place, "{message}");
        }
    }

    #[test]
    fn a_complaint_that_replay_got_over_is_none() {
        assert_eq!(last(&["successfully skipped missing contrecord at 0/9000090, overwritten at 2026-11-21"]), None);
        let complaint = "invalid record length at 0/9000060: wanted 24, got 0";
        assert_eq!(last(&[complaint, "restored log file \"00000001000000000000000A\" from archive"]), None);
        let asked_again = "restored log file \"000000010000000000000009\" from archive";
        assert_eq!(last(&[complaint, asked_again]), Some(0x0900_0060), "asked for again, no better");
    }

    #[test]
    fn a_place_beyond_all_wal_is_no_panic() {
        let message =
            "invalid magic number 0 in WAL segment 00000001FFFFFFFF000000FF, LSN 0/0, offset 18446744073709551615";
        assert_eq!(last(&[message]), Some(u64::MAX));
    }
}

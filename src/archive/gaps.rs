//! Gaps: which segments are missing on the way from a backup to a point, over one or several timelines.

use jiff::{SignedDuration, Timestamp};

use super::timeline::{History, Span};
use super::wal::{Segment, SegmentSize, Timeline};
use super::wal_listing::{Run, WalListing};

/// Segments `first..=last` that the way over the timelines needs and the listing does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The timeline on which they should be.
    pub timeline: Timeline,
    pub first: u64,
    pub last: u64,
    /// When the last segment before the gap was stored: until here the past can be recovered.
    pub before: Option<Timestamp>,
    /// When the first segment after the gap was stored; None when nothing follows.
    pub after: Option<Timestamp>,
}

impl Gap {
    pub fn count(&self) -> u64 {
        self.last - self.first + 1
    }

    pub fn first_segment(&self) -> Segment {
        Segment { timeline: self.timeline, number: self.first }
    }

    /// Archiving is parallel, so segments may overtake one another, but not by long: a gap whose successor was stored
    /// within `grace` may still close. When nothing follows, `ended` says since when the segment is due.
    pub fn may_close(&self, now: Timestamp, grace: SignedDuration, ended: Option<Timestamp>) -> bool {
        self.after.or(ended).is_some_and(|since| now.duration_since(since) <= grace)
    }

    /// `000000010000000000000005` or `000000010000000000000005 to 000000010000000000000008 (4 segments)`.
    pub fn text(&self, size: SegmentSize) -> String {
        let name = |number| Segment { timeline: self.timeline, number }.name(size);
        if self.first == self.last {
            name(self.first)
        } else {
            format!("{} to {} ({} segments)", name(self.first), name(self.last), self.count())
        }
    }
}

/// The gaps among the segments `from..=to` that replay along `history` needs.
///
/// PostgreSQL looks for each segment on the newest timeline first; the segment in which a timeline forks is taken from
/// the child, which begins with a copy of the parent's half, so the parent's own last segment may be missing. The child's
/// may not, once it has later ones: replay would go on with the parent's, beyond the fork.
pub fn gaps(listing: &WalListing, history: &History, from: u64, to: u64) -> Vec<Gap> {
    let size = listing.segment_size;
    let spans = history.spans();
    let mut covers: Vec<(u64, u64, &Run)> = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        let (first, last) = span.segments(size);
        let has_later = |child: &Span| listing.newest(child.timeline).is_some_and(|(newest, _)| newest.number > last);
        let last = if spans[index + 1..].iter().any(has_later) { last.saturating_sub(1) } else { last };
        for run in listing.timelines.get(&span.timeline).into_iter().flatten() {
            let (begin, end) = (run.first.max(first), run.last.min(last));
            if begin <= end {
                covers.push((begin, end, run));
            }
        }
    }
    covers.sort_by_key(|&(begin, end, ..)| (begin, end));

    let owner = |number: u64| {
        let owning = spans.iter().rev().find(|span| span.segments(size).0 <= number);
        owning.map_or(history.timeline, |span| span.timeline)
    };
    let mut found = Vec::new();
    let mut next = from;
    let mut before = None;
    for (begin, end, run) in covers {
        if next > to {
            break;
        }
        if begin > next {
            let last = (begin - 1).min(to);
            let after = Some(run.first_modified);
            found.push(Gap { timeline: owner(next), first: next, last, before, after });
        }
        if end >= next {
            before = Some(run.last_modified);
            next = end + 1;
        }
    }
    if next <= to {
        found.push(Gap { timeline: owner(next), first: next, last: to, before, after: None });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::store::ObjectMeta;
    use super::super::wal::Lsn;
    use super::*;

    fn listing(segments: &[(u32, u64)]) -> WalListing {
        let size = SegmentSize::DEFAULT;
        let mut listing = WalListing::new(size);
        for &(timeline, number) in segments {
            let segment = Segment { timeline: Timeline(timeline), number };
            let key = format!("wals/{}/{}.gz", segment.directory(size), segment.name(size));
            listing.add(&ObjectMeta { key, bytes: 1, modified: Timestamp::UNIX_EPOCH, frozen: false });
        }
        listing.finish();
        listing
    }

    fn forked_in(number: u64) -> History {
        let switch = Lsn(number * SegmentSize::DEFAULT.bytes() + 0x28);
        History::parse(Timeline(2), &format!("1\t{switch}\tno recovery target specified\n")).unwrap()
    }

    fn found(listing: &WalListing, history: &History, from: u64, to: u64) -> Vec<(u32, u64, u64)> {
        gaps(listing, history, from, to).iter().map(|gap| (gap.timeline.0, gap.first, gap.last)).collect()
    }

    #[test]
    fn an_unbroken_run_has_no_gap() {
        let listing = listing(&[(1, 3), (1, 4), (1, 5)]);
        assert_eq!(found(&listing, &History::root(Timeline(1)), 3, 5), []);
    }

    #[test]
    fn a_hole_and_a_missing_end_are_two_gaps() {
        let listing = listing(&[(1, 3), (1, 5), (1, 6)]);
        assert_eq!(found(&listing, &History::root(Timeline(1)), 3, 8), [(1, 4, 4), (1, 7, 8)]);
    }

    #[test]
    fn what_lies_before_the_start_is_not_needed() {
        let listing = listing(&[(1, 1), (1, 5)]);
        assert_eq!(found(&listing, &History::root(Timeline(1)), 5, 5), []);
    }

    #[test]
    fn the_forking_segment_may_be_missing_on_the_parent() {
        let listing = listing(&[(1, 3), (1, 4), (2, 5), (2, 6)]);
        assert_eq!(found(&listing, &forked_in(5), 3, 6), []);
    }

    #[test]
    fn the_forking_segment_must_be_somewhere() {
        let listing = listing(&[(1, 3), (1, 4), (2, 6)]);
        assert_eq!(found(&listing, &forked_in(5), 3, 6), [(2, 5, 5)]);
    }

    #[test]
    fn the_parents_copy_of_the_forking_segment_is_not_the_childs() {
        let lost = listing(&[(1, 3), (1, 4), (1, 5), (2, 6)]);
        assert_eq!(found(&lost, &forked_in(5), 3, 6), [(2, 5, 5)]);
        let not_yet_archived = listing(&[(1, 3), (1, 4), (1, 5)]);
        assert_eq!(found(&not_yet_archived, &forked_in(5), 3, 5), []);
    }

    #[test]
    fn a_dead_branch_does_not_fill_a_gap() {
        let listing = listing(&[(1, 3), (1, 4), (1, 5), (1, 6), (2, 5), (2, 7)]);
        assert_eq!(found(&listing, &forked_in(5), 3, 7), [(2, 6, 6)], "timeline 1 ended in segment 5");
    }
}

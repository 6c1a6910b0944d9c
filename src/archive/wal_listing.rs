//! What one listing shows of the WAL: per timeline the unbroken runs of segments, kept as ranges so that a million
//! segments cost no more memory than their gaps.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::compression::Compression;
use super::layout::{Object, classify};
use super::store::ObjectMeta;
use super::wal::{Segment, SegmentSize, Timeline};

/// How many names of a kind are kept as examples.
const EXAMPLES: usize = 8;

#[derive(Debug, Clone)]
pub struct WalListing {
    pub segment_size: SegmentSize,
    pub timelines: BTreeMap<Timeline, Vec<Run>>,
    pub histories: BTreeMap<Timeline, HistoryObject>,
    /// Keys of `.partial` objects: the unfinished last segment of a timeline that ended in a promotion.
    pub partials: Examples,
    pub zero_length: Examples,
    /// Uncompressed segments whose object is not as long as a segment.
    pub wrong_size: Examples,
    /// Segments that are stored under two extensions.
    pub duplicates: Examples,
    pub orphans: Examples,
    pub frozen: Examples,
    pub extent: Extent,
}

/// How much of the WAL was listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    All,
    /// Only the newest directory: gaps before it are not seen.
    End,
    /// The budget of requests did not suffice to find the end.
    Unknown,
}

/// Segments `first..=last` of one timeline, none missing between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub first: u64,
    pub last: u64,
    /// Stored bytes.
    pub bytes: u64,
    pub first_modified: Timestamp,
    pub last_modified: Timestamp,
    /// Where the compression changes within the run; the first piece begins at `first`.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    first: u64,
    compression: Compression,
}

#[derive(Debug, Clone)]
pub struct HistoryObject {
    pub key: String,
    pub compression: Compression,
    pub modified: Timestamp,
}

/// How many there are, and the first few names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examples {
    pub count: u64,
    pub first: Vec<String>,
}

impl Examples {
    pub fn add(&mut self, name: &str) {
        self.count += 1;
        if self.first.len() < EXAMPLES {
            self.first.push(name.to_owned());
        }
    }

    /// `a, b, c and 5 more`.
    pub fn text(&self) -> String {
        let more = self.count - self.first.len() as u64;
        let names = self.first.join(", ");
        if more == 0 { names } else { format!("{names} and {more} more") }
    }
}

impl WalListing {
    pub fn new(segment_size: SegmentSize) -> Self {
        Self {
            segment_size,
            timelines: BTreeMap::new(),
            histories: BTreeMap::new(),
            partials: Examples::default(),
            zero_length: Examples::default(),
            wrong_size: Examples::default(),
            duplicates: Examples::default(),
            orphans: Examples::default(),
            frozen: Examples::default(),
            extent: Extent::All,
        }
    }

    /// Takes in one listed object. Objects come in the store's order, which is the segments' own; any other order is
    /// put right by [`WalListing::finish`].
    pub fn add(&mut self, object: &ObjectMeta) {
        if object.frozen {
            self.frozen.add(&object.key);
        }
        match classify(&object.key) {
            Object::Segment { segment_name, compression } => self.add_segment(object, &segment_name, compression),
            Object::Partial { .. } => self.partials.add(&object.key),
            Object::BackupHistory { .. } => {}
            Object::TimelineHistory { timeline, compression } => {
                let history = HistoryObject { key: object.key.clone(), compression, modified: object.modified };
                self.histories.insert(timeline, history);
            }
            _ => self.orphans.add(&object.key),
        }
    }

    fn add_segment(&mut self, object: &ObjectMeta, name: &str, compression: Compression) {
        let Some(segment) = Segment::parse(name, self.segment_size) else {
            self.orphans.add(&object.key);
            return;
        };
        // An empty object stands for nothing: whoever fetches it gets no WAL.
        if object.bytes == 0 {
            self.zero_length.add(&object.key);
            return;
        }
        if compression == Compression::None && object.bytes != self.segment_size.bytes() {
            self.wrong_size.add(&object.key);
        }
        let runs = self.timelines.entry(segment.timeline).or_default();
        if runs.iter().rev().take(2).any(|run| (run.first..=run.last).contains(&segment.number)) {
            self.duplicates.add(name);
            return;
        }
        match runs.last_mut() {
            Some(run) if run.last + 1 == segment.number => {
                run.last = segment.number;
                run.bytes += object.bytes;
                run.last_modified = object.modified;
                if run.compression_of(segment.number) != compression {
                    run.pieces.push(Piece { first: segment.number, compression });
                }
            }
            _ => runs.push(Run {
                first: segment.number,
                last: segment.number,
                bytes: object.bytes,
                first_modified: object.modified,
                last_modified: object.modified,
                pieces: vec![Piece { first: segment.number, compression }],
            }),
        }
    }

    /// To be called once, after the last object.
    pub fn finish(&mut self) {
        for runs in self.timelines.values_mut() {
            runs.sort_by_key(|run| run.first);
            let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
            for run in runs.drain(..) {
                match joined.last_mut() {
                    Some(before) if before.last + 1 == run.first => {
                        before.last = run.last;
                        before.bytes += run.bytes;
                        before.last_modified = run.last_modified;
                        before.pieces.extend(run.pieces);
                    }
                    _ => joined.push(run),
                }
            }
            *runs = joined;
        }
    }

    /// The run that holds a segment, if the listing showed it.
    pub fn run_of(&self, segment: Segment) -> Option<&Run> {
        let runs = self.timelines.get(&segment.timeline)?;
        let after = runs.partition_point(|run| run.first <= segment.number);
        runs[..after].last().filter(|run| segment.number <= run.last)
    }

    /// How a listed segment is compressed; None when the listing did not show it.
    pub fn compression_of(&self, segment: Segment) -> Option<Compression> {
        self.run_of(segment).map(|run| run.compression_of(segment.number))
    }

    /// The highest timeline that has a segment.
    pub fn newest_timeline(&self) -> Option<Timeline> {
        self.timelines.keys().next_back().copied()
    }

    /// The last listed segment of a timeline and when it was stored.
    pub fn newest(&self, timeline: Timeline) -> Option<(Segment, Timestamp)> {
        let run = self.timelines.get(&timeline)?.last()?;
        Some((Segment { timeline, number: run.last }, run.last_modified))
    }

    pub fn segments(&self) -> u64 {
        self.timelines.values().flatten().map(|run| run.last - run.first + 1).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.timelines.values().flatten().map(|run| run.bytes).sum()
    }
}

impl Run {
    fn compression_of(&self, number: u64) -> Compression {
        let after = self.pieces.partition_point(|piece| piece.first <= number);
        self.pieces[after.max(1) - 1].compression
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str) -> ObjectMeta {
        ObjectMeta { key: key.to_owned(), bytes: 100, modified: Timestamp::UNIX_EPOCH, frozen: false }
    }

    fn listing(keys: &[&str]) -> WalListing {
        let mut listing = WalListing::new(SegmentSize::DEFAULT);
        for key in keys {
            listing.add(&object(key));
        }
        listing.finish();
        listing
    }

    fn ranges(listing: &WalListing) -> Vec<(u64, u64)> {
        listing.timelines[&Timeline(1)].iter().map(|run| (run.first, run.last)).collect()
    }

    const DIRECTORY: &str = "wals/0000000100000000";

    #[test]
    fn a_missing_segment_splits_the_run() {
        let keys = [1, 2, 4].map(|n| format!("{DIRECTORY}/00000001000000000000000{n}.gz"));
        let listing = listing(&keys.each_ref().map(String::as_str));
        assert_eq!(ranges(&listing), [(1, 2), (4, 4)]);
        assert_eq!(listing.segments(), 3);
    }

    #[test]
    fn a_run_goes_on_over_the_border_of_a_directory() {
        let listing = listing(&[
            "wals/0000000100000000/0000000100000000000000FF.gz",
            "wals/0000000100000001/000000010000000100000000.gz",
        ]);
        assert_eq!(ranges(&listing), [(255, 256)]);
    }

    #[test]
    fn the_order_of_the_store_does_not_matter() {
        let keys = [4, 1, 3, 2].map(|n| format!("{DIRECTORY}/00000001000000000000000{n}"));
        assert_eq!(ranges(&listing(&keys.each_ref().map(String::as_str))), [(1, 4)]);
    }

    #[test]
    fn compression_may_change_within_a_run() {
        let keys = ["1.gz", "2.gz", "3.zst", "4"].map(|n| format!("{DIRECTORY}/00000001000000000000000{n}"));
        let listing = listing(&keys.each_ref().map(String::as_str));
        let of = |number| listing.compression_of(Segment { timeline: Timeline(1), number });
        assert_eq!(
            [of(1), of(2), of(3), of(4), of(5)],
            [Some(Compression::Gzip), Some(Compression::Gzip), Some(Compression::Zstd), Some(Compression::None), None]
        );
    }

    #[test]
    fn the_same_segment_under_two_extensions_counts_once() {
        let listing = listing(&[
            "wals/0000000100000000/000000010000000000000001.gz",
            "wals/0000000100000000/000000010000000000000001.xz",
        ]);
        assert_eq!((listing.segments(), listing.duplicates.count), (1, 1));
        let segment = Segment { timeline: Timeline(1), number: 1 };
        assert_eq!(listing.compression_of(segment), Some(Compression::Gzip), "barman takes the first in sort order");
    }

    #[test]
    fn an_empty_object_is_no_segment() {
        let mut listing = WalListing::new(SegmentSize::DEFAULT);
        listing.add(&ObjectMeta { bytes: 0, ..object("wals/0000000100000000/000000010000000000000001.gz") });
        assert_eq!((listing.segments(), listing.zero_length.count), (0, 1));
    }
}

//! A sample of segments, read and verified: that a name is listed says nothing of what lies under it.

use std::collections::BTreeSet;
use std::io::Read;

use futures_util::StreamExt;

use super::compression;
use super::inventory::Inventory;
use super::layout;
use super::store::{Store, StoreError};
use super::timeline::History;
use super::wal::{PageHeader, Segment, verify_first_page};

/// Enough compressed bytes for any codec to give the header: bzip2 decompresses blocks of up to 900 kB.
const HEAD_BYTES: u64 = 1 << 20;

/// What became of one sampled segment.
#[derive(Debug)]
pub enum Sampled {
    Sound,
    /// It is not the segment that its name says, or cannot be decompressed; the text says why.
    Wrong(String),
    Unreadable(StoreError),
}

/// Which segments to read: the newest, those at the edges of runs, and some between, `most` at most. Only segments that
/// a recovery along `history` can need are worth it.
pub fn choose(inventory: &Inventory, history: &History, most: usize) -> Vec<Segment> {
    let size = inventory.wal.segment_size;
    let leading = inventory.leading_along(history, inventory.system_identifier());
    let from = leading.filter_map(|backup| Some(backup.needed(size)?.1)).min().unwrap_or(0);
    let mut edges = BTreeSet::new();
    let mut between = BTreeSet::new();
    for span in history.spans() {
        let (begin, end) = span.segments(size);
        for run in inventory.wal.timelines.get(&span.timeline).into_iter().flatten() {
            let (first, last) = (run.first.max(begin).max(from), run.last.min(end));
            if first > last {
                continue;
            }
            let of = |number| Segment { timeline: span.timeline, number };
            edges.extend([of(first), of(last)]);
            let step = usize::try_from((last - first) / 8).unwrap_or(usize::MAX).max(1);
            between.extend((first..=last).step_by(step).map(of));
        }
    }
    // The newest stand last; they are the ones to keep.
    let mut chosen: BTreeSet<Segment> = edges.into_iter().rev().take(most).collect();
    for segment in between.into_iter().rev() {
        if chosen.len() >= most {
            break;
        }
        chosen.insert(segment);
    }
    chosen.into_iter().rev().collect()
}

/// Reads the head of each segment, a few at a time.
pub async fn read(store: &Store, inventory: &Inventory, segments: Vec<Segment>) -> Vec<(Segment, Sampled)> {
    let read_one = |segment: Segment| async move { (segment, head(store, inventory, segment).await) };
    futures_util::stream::iter(segments).map(read_one).buffered(4).collect().await
}

async fn head(store: &Store, inventory: &Inventory, segment: Segment) -> Sampled {
    let size = inventory.wal.segment_size;
    let Some(codec) = inventory.wal.compression_of(segment) else {
        return Sampled::Wrong("it is not in the listing".to_owned());
    };
    let key = layout::segment_key(segment, size, codec);
    // One range: an object that is shorter answers with what it has.
    let bytes = match store.get_head(&key, HEAD_BYTES).await {
        Ok((bytes, _)) => bytes,
        Err(error) => return Sampled::Unreadable(error),
    };
    let system_identifier = inventory.system_identifier();
    let reader = std::io::Cursor::new(bytes);
    let mut header = Vec::with_capacity(PageHeader::LENGTH);
    let decoded = compression::open(codec, reader).map_err(|error| error.to_string()).and_then(|decoder| {
        decoder.take(PageHeader::LENGTH as u64).read_to_end(&mut header).map_err(|e| e.to_string())
    });
    match decoded {
        Err(reason) => Sampled::Wrong(format!("it cannot be decompressed: {reason}")),
        Ok(_) => match verify_first_page(&header, segment, size, system_identifier) {
            Ok(_) => Sampled::Sound,
            Err(defect) => Sampled::Wrong(defect.to_string()),
        },
    }
}

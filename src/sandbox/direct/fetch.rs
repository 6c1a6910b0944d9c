//! Fetches one WAL object into a file: decompressed, whole, and proven to be the segment that its name says.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::Owner;
use crate::archive::compression::{self, Compression};
use crate::archive::reader::{ObjectReader, store_error};
use crate::archive::store::{Store, StoreError};
use crate::archive::wal::{Lsn, Segment, SegmentSize, verify_first_page};
use crate::archive::wal_records::{Walked, Walker};

/// A multiple of what [`Walker::walk`] wants.
const BUFFER: usize = 128 << 10;
/// A segment's object has at most a few ranges; two at once hide the latency between them.
const RANGES_AT_ONCE: usize = 2;

/// Why a segment could not be served.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Store(StoreError),
    /// The object was read and is not a whole segment of this name.
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    Disk(String),
    /// It is sound, and the record at this LSN would have the copy make a tablespace outside of the sandbox.
    #[error("the record at {0} creates a tablespace at the path that it had on the source")]
    CreatesTablespace(Lsn),
}

/// What to fetch and where to.
#[derive(Debug, Clone)]
pub struct Fetch {
    pub key: String,
    pub compression: Compression,
    pub destination: PathBuf,
    pub owner: Option<Owner>,
    /// None for a timeline history, which has no fixed size.
    pub segment: Option<(Segment, SegmentSize, Option<u64>)>,
}

/// Fetches; the destination exists only when the whole of it is sound. Returns what a walk over a segment's records found.
pub async fn fetch(store: &Store, what: Fetch) -> Result<Walked, FetchError> {
    let reader = ObjectReader::start(store.clone(), what.key.clone(), RANGES_AT_ONCE);
    let work = move || {
        let temporary = what.destination.with_extension("tmp");
        let written = write(reader, &what, &temporary);
        match written {
            Ok(walked) => std::fs::rename(&temporary, &what.destination).map(|()| walked).map_err(|error| disk(&error)),
            Err(error) => {
                let _ = std::fs::remove_file(&temporary);
                Err(error)
            }
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Reads the whole of a segment and keeps nothing of it: is the object sound?
pub async fn read_whole(
    store: &Store,
    key: String,
    compression: Compression,
    segment: (Segment, SegmentSize, Option<u64>),
) -> Result<(), FetchError> {
    let reader = ObjectReader::start(store.clone(), key, RANGES_AT_ONCE);
    match tokio::task::spawn_blocking(move || decode(reader, compression, Some(segment), |_| Ok(()))).await {
        Ok(result) => result.map(|_| ()),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn write(reader: ObjectReader, what: &Fetch, temporary: &Path) -> Result<Walked, FetchError> {
    let mut file = File::create(temporary).map_err(|error| disk(&error))?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(|error| disk(&error))?;
    if let Some(owner) = what.owner {
        fchown(&file, Some(owner.uid), Some(owner.gid)).map_err(|error| disk(&error))?;
    }
    let mut walker = what.segment.map(|(segment, size, _)| Walker::new(segment.start(size)));
    let written = decode(reader, what.compression, what.segment, |content| {
        if let Some(walker) = &mut walker {
            walker.walk(content);
        }
        // The unused rest of a segment that was switched early is zeros: a hole reads the same and costs nothing.
        if content.iter().all(|&byte| byte == 0) {
            file.seek(SeekFrom::Current(i64::try_from(content.len()).expect("a buffer's length fits"))).map(|_| ())
        } else {
            file.write_all(content)
        }
    })?;
    file.set_len(written).map_err(|error| disk(&error))?;
    Ok(walker.map(Walker::finish).unwrap_or_default())
}

/// Gives the decompressed content piece by piece to `take`, and returns its length. A segment's is verified.
fn decode(
    reader: ObjectReader,
    compression: Compression,
    segment: Option<(Segment, SegmentSize, Option<u64>)>,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, FetchError> {
    let mut decoder = compression::open(compression, reader).map_err(|e| read_trouble(&io::Error::other(e)))?;
    let mut buffer = vec![0; BUFFER];
    let mut written = 0;
    let limit = segment.map_or(u64::MAX, |(_, size, _)| size.bytes());
    loop {
        let count = fill(&mut decoder, &mut buffer).map_err(|error| read_trouble(&error))?;
        if count == 0 {
            break;
        }
        let content = &buffer[..count];
        if written == 0
            && let Some((segment, size, system_identifier)) = segment
        {
            verify_first_page(content, segment, size, system_identifier)
                .map_err(|defect| FetchError::Damaged(defect.to_string()))?;
        }
        written += count as u64;
        if written > limit {
            return Err(FetchError::Damaged(format!("it holds more than the {limit} bytes of a segment")));
        }
        take(content).map_err(|error| disk(&error))?;
    }
    if segment.is_some() && written != limit {
        return Err(FetchError::Damaged(format!("it holds {written} bytes, a segment has {limit}")));
    }
    Ok(written)
}

/// Fills the buffer as far as the reader goes, so that a codec's small blocks do not make small writes.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn read_trouble(error: &io::Error) -> FetchError {
    match store_error(error) {
        Some(trouble) => FetchError::Store(trouble.clone()),
        None => FetchError::Damaged(format!("it cannot be decompressed: {}", crate::error::chain(error))),
    }
}

fn disk(error: &io::Error) -> FetchError {
    FetchError::Disk(format!("the spool could not be written: {error}"))
}

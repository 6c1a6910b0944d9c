//! Walks over the records of a segment, by their headers alone, and finds those that create a tablespace: replay would
//! make its directory at the path that it had on the source. The shapes are those of PostgreSQL's `xlogrecord.h` and
//! `xlog_internal.h`.

use std::ops::Range;

use super::wal::Lsn;

/// `SizeOfXLogRecord`. A record begins at a multiple of 8, so at least its length stands on its first page.
const HEADER: usize = 24;
/// A header's bytes that may stand on the next page.
const REST: usize = HEADER - 8;
const SHORT_PAGE_HEADER: usize = 24;
const LONG_PAGE_HEADER: usize = 40;
/// `XLP_FIRST_IS_CONTRECORD`: the page begins with the rest of a record.
const CONTINUES: u16 = 0x0001;
/// `XLP_LONG_HEADER`.
const LONG: u16 = 0x0002;
/// Resource managers, and what they write into the upper half of `xl_info`.
const SWITCH: (u8, u8) = (0, 0x40);
const CREATE_TABLESPACE: (u8, u8) = (5, 0x00);
/// A record is shorter than 1 GiB, and so is what a switch leaves unused of a segment.
const FARTHEST_PREVIOUS: u64 = 2 << 30;

/// Takes the content of one segment from its beginning.
///
/// Each page says how much of a record it continues, so that what cannot be read costs no more than its own page.
/// PostgreSQL ends its replay there.
#[derive(Debug)]
pub struct Walker {
    start: u64,
    /// The LSN of the next page.
    next: u64,
    first: Option<FirstPage>,
    /// Behind a switch to the next segment, PostgreSQL reads nothing.
    ended: bool,
    walked: Walked,
}

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walked {
    creations: Vec<Lsn>,
    /// What the segment begins with, when that is the rest of a record.
    rest: Option<[u8; REST]>,
    /// The last record, when the segment ends within its header.
    pub cut: Option<Cut>,
}

/// The beginning of a record whose header goes on in the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    lsn: Lsn,
    /// 8 or 16 bytes.
    head: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct FirstPage {
    magic: u16,
    page_size: usize,
}

struct PageHeader {
    magic: u16,
    flags: u16,
    address: u64,
    /// Bytes of a record that began before this page; they may reach beyond it.
    rest: usize,
    length: usize,
}

struct RecordHeader {
    length: usize,
    kind: (u8, u8),
}

impl Walker {
    /// Begins at the LSN of a segment's first byte.
    pub fn new(start: Lsn) -> Self {
        Self { start: start.0, next: start.0, first: None, ended: false, walked: Walked::default() }
    }

    /// Takes the next piece. All but the last must be a multiple of 64 KiB, which is the largest page.
    pub fn walk(&mut self, content: &[u8]) {
        if self.first.is_none() {
            self.first = FirstPage::parse(content);
        }
        let Some(first) = self.first else { return };
        for page in content.chunks_exact(first.page_size) {
            if self.ended {
                return;
            }
            self.page(page, first.magic);
            self.next = self.next.saturating_add(first.page_size as u64);
        }
    }

    pub fn finish(self) -> Walked {
        self.walked
    }

    /// None where the walk over this page ends.
    fn page(&mut self, page: &[u8], magic: u16) -> Option<()> {
        let cut = self.walked.cut.take();
        let header = PageHeader::parse(page)?;
        if header.magic != magic || header.address != self.next {
            return None;
        }
        let mut offset = header.length;
        if header.flags & CONTINUES != 0 {
            let rest = bytes(page, offset)?;
            if self.next == self.start {
                self.walked.rest = Some(rest);
            }
            if let Some(cut) = cut {
                self.record(cut.lsn, &cut.completed(rest));
            }
            offset += header.rest.next_multiple_of(8);
        }
        while !self.ended {
            let left = page.get(offset..)?;
            let lsn = Lsn(self.next.saturating_add(offset as u64));
            match left.first_chunk() {
                Some(header) => offset += self.record(lsn, header)?,
                None if is_length(left) => {
                    self.walked.cut = Some(Cut { lsn, head: left.to_vec() });
                    return None;
                }
                None => return None,
            }
        }
        None
    }

    /// Returns how far it is to the next record. None for what is no record.
    fn record(&mut self, lsn: Lsn, header: &[u8; HEADER]) -> Option<usize> {
        let record = RecordHeader::parse(header, lsn)?;
        match record.kind {
            SWITCH => self.ended = true,
            CREATE_TABLESPACE => self.walked.creations.push(lsn),
            _ => {}
        }
        Some(record.length.next_multiple_of(8))
    }
}

impl Walked {
    /// The first record within these LSNs that creates a tablespace. `before` is the cut of the segment before it.
    pub fn creation_within(&self, before: Option<&Cut>, lsns: &Range<Lsn>) -> Option<Lsn> {
        let across = before.zip(self.rest).and_then(|(cut, rest)| {
            let record = RecordHeader::parse(&cut.completed(rest), cut.lsn)?;
            (record.kind == CREATE_TABLESPACE).then_some(cut.lsn)
        });
        across.into_iter().chain(self.creations.iter().copied()).find(|lsn| lsns.contains(lsn))
    }
}

impl Cut {
    fn completed(&self, rest: [u8; REST]) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        for (to, from) in header.iter_mut().zip(self.head.iter().chain(&rest)) {
            *to = *from;
        }
        header
    }
}

impl FirstPage {
    /// None for what PostgreSQL was never built with.
    fn parse(content: &[u8]) -> Option<Self> {
        let magic = u16::from_le_bytes(bytes(content, 0)?);
        let page_size = u32::from_le_bytes(bytes(content, 36)?);
        let known = page_size.is_power_of_two() && (1 << 10..=64 << 10).contains(&page_size);
        known.then_some(Self { magic, page_size: usize::try_from(page_size).ok()? })
    }
}

impl PageHeader {
    fn parse(page: &[u8]) -> Option<Self> {
        let flags = u16::from_le_bytes(bytes(page, 2)?);
        Some(Self {
            magic: u16::from_le_bytes(bytes(page, 0)?),
            flags,
            address: u64::from_le_bytes(bytes(page, 8)?),
            rest: usize::try_from(u32::from_le_bytes(bytes(page, 16)?)).ok()?,
            length: if flags & LONG == 0 { SHORT_PAGE_HEADER } else { LONG_PAGE_HEADER },
        })
    }
}

impl RecordHeader {
    /// None for what PostgreSQL would not take for a record at this LSN either. The first one of a cluster, and the one
    /// that `pg_resetwal` writes, have 0 for the previous one.
    fn parse(header: &[u8; HEADER], lsn: Lsn) -> Option<Self> {
        let previous = u64::from_le_bytes(bytes(header, 8)?);
        let near = previous == 0 || lsn.0.checked_sub(previous).is_some_and(|by| by > 0 && by <= FARTHEST_PREVIOUS);
        (near && is_length(header)).then_some(Self {
            length: usize::try_from(u32::from_le_bytes(bytes(header, 0)?)).ok()?,
            kind: (header[17], header[16] & 0xF0),
        })
    }
}

/// Whether this begins with the length that a record can have.
fn is_length(record: &[u8]) -> bool {
    bytes(record, 0).is_some_and(|length| u32::from_le_bytes(length) >= 24)
}

fn bytes<const WIDTH: usize>(content: &[u8], offset: usize) -> Option<[u8; WIDTH]> {
    content.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;

//! WAL arithmetic: LSNs, timelines, segments and their names, and what the first page of a segment says about itself.
//! The formulas are those of PostgreSQL's `xlog_internal.h`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A position in the WAL, in bytes from its beginning. Written as PostgreSQL does: two hexadecimal halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// The text is not two hexadecimal numbers of at most eight digits with a slash between them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an LSN: {0:?}")]
pub struct NotAnLsn(String);

impl FromStr for Lsn {
    type Err = NotAnLsn;

    fn from_str(text: &str) -> Result<Self, NotAnLsn> {
        let parse = || {
            let (high, low) = text.split_once('/')?;
            Some(Self(u64::from(hexadecimal(high)?) << 32 | u64::from(hexadecimal(low)?)))
        };
        parse().ok_or_else(|| NotAnLsn(text.to_owned()))
    }
}

impl TryFrom<String> for Lsn {
    type Error = NotAnLsn;

    fn try_from(text: String) -> Result<Self, NotAnLsn> {
        text.parse()
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> Self {
        lsn.to_string()
    }
}

/// The number of a timeline. PostgreSQL counts from 1; each promotion makes a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Timeline(pub u32);

impl fmt::Display for Timeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Bytes in one WAL segment, fixed at initdb: a power of two from 1 MiB to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SegmentSize(u64);

impl SegmentSize {
    /// What initdb chooses unless told otherwise: 16 MiB.
    pub const DEFAULT: Self = Self(16 << 20);

    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes.is_power_of_two() && bytes >= 1 << 20 && bytes <= 1 << 30 { Some(Self(bytes)) } else { None }
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Segments that share the middle eight digits of their names: 256 at 16 MiB, 4 at 1 GiB.
    pub const fn segments_per_log(self) -> u64 {
        (1 << 32) / self.0
    }
}

/// The number is not a power of two from 1 MiB to 1 GiB.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a WAL segment size: {0} bytes")]
pub struct NotASegmentSize(u64);

impl TryFrom<u64> for SegmentSize {
    type Error = NotASegmentSize;

    fn try_from(bytes: u64) -> Result<Self, NotASegmentSize> {
        Self::new(bytes).ok_or(NotASegmentSize(bytes))
    }
}

impl From<SegmentSize> for u64 {
    fn from(size: SegmentSize) -> Self {
        size.0
    }
}

/// One WAL segment: its timeline and its number since the beginning of the WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    pub timeline: Timeline,
    pub number: u64,
}

impl Segment {
    /// The segment that holds the byte at `lsn`. An LSN exactly on a boundary belongs to the segment that begins there.
    pub const fn containing(timeline: Timeline, lsn: Lsn, size: SegmentSize) -> Self {
        Self { timeline, number: lsn.0 / size.0 }
    }

    /// The last segment that is needed to have everything *before* `end`. On a boundary that is the one that ends there.
    pub const fn ending_at(timeline: Timeline, end: Lsn, size: SegmentSize) -> Self {
        Self { timeline, number: end.0.saturating_sub(1) / size.0 }
    }

    /// Reads a name of exactly 24 upper-case hexadecimal digits. `None` also for a name that this segment size cannot
    /// produce, and for timeline 0, which does not exist.
    pub fn parse(name: &str, size: SegmentSize) -> Option<Self> {
        if !is_segment_name(name) {
            return None;
        }
        let (timeline, log, low) = (hexadecimal(&name[..8])?, hexadecimal(&name[8..16])?, hexadecimal(&name[16..])?);
        let low = u64::from(low);
        (timeline > 0 && low < size.segments_per_log())
            .then(|| Self { timeline: Timeline(timeline), number: u64::from(log) * size.segments_per_log() + low })
    }

    /// The 24 digits under which PostgreSQL archives this segment.
    pub fn name(self, size: SegmentSize) -> String {
        format!("{}{:08X}", self.directory(size), self.number % size.segments_per_log())
    }

    /// The directory that barman puts it into: the first 16 digits of the name.
    pub fn directory(self, size: SegmentSize) -> String {
        format!("{:08X}{:08X}", self.timeline.0, self.number / size.segments_per_log())
    }

    /// The LSN of its first byte.
    pub const fn start(self, size: SegmentSize) -> Lsn {
        Lsn(self.number.saturating_mul(size.0))
    }

    /// The LSN behind its last byte.
    pub const fn end(self, size: SegmentSize) -> Lsn {
        self.next().start(size)
    }

    /// The one after it on the same timeline.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { timeline: self.timeline, number: self.number.saturating_add(1) }
    }
}

/// Whether the name has the form of a segment's: 24 upper-case hexadecimal digits, whatever the segment size.
pub fn is_segment_name(name: &str) -> bool {
    name.len() == 24 && is_upper_hexadecimal(name)
}

pub(super) fn is_upper_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
}

/// At most eight hexadecimal digits; `from_str_radix` alone would also take a sign.
pub(super) fn hexadecimal(digits: &str) -> Option<u32> {
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// The long page header with which every segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageHeader {
    /// The version of the WAL format: 0xD110 is PostgreSQL 15; it differs from major to major.
    pub magic: u16,
    pub timeline: Timeline,
    /// Where in the WAL this page belongs.
    pub address: Lsn,
    pub system_identifier: u64,
    pub segment_size: u32,
    pub block_size: u32,
}

/// What is wrong with the beginning of a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentDefect {
    #[error("holds {length} bytes, fewer than the {} of a page header", PageHeader::LENGTH)]
    TooShort { length: usize },
    #[error("does not begin like WAL: magic 0x{magic:04X}")]
    BadMagic { magic: u16 },
    #[error("begins like WAL, but not like a segment: the long page header is missing")]
    NoLongHeader,
    #[error("belongs to the database system {found}, not to {expected}")]
    OtherSystem { found: u64, expected: u64 },
    #[error("was written with segments of {found} bytes, not {expected}")]
    OtherSegmentSize { found: u64, expected: u64 },
    #[error("holds WAL from {found}, which would be segment {holds}, not from {expected}")]
    WrongAddress { found: Lsn, expected: Lsn, holds: String },
    #[error("holds WAL of timeline {found}, newer than timeline {named} of its name")]
    NewerTimeline { found: Timeline, named: Timeline },
}

impl PageHeader {
    /// Bytes of a long page header.
    pub const LENGTH: usize = 40;

    /// The flag that marks a long header, `XLP_LONG_HEADER`.
    const LONG: u16 = 0x0002;

    /// Reads the first [`Self::LENGTH`] bytes, as little-endian machines write them.
    pub fn parse(bytes: &[u8]) -> Result<Self, SegmentDefect> {
        let Some(header) = bytes.first_chunk::<{ Self::LENGTH }>() else {
            return Err(SegmentDefect::TooShort { length: bytes.len() });
        };
        let magic = u16::from_le_bytes(field(header, 0));
        // Every PostgreSQL since 7.1 has had 0xD0xx or 0xD1xx; a range keeps majors to come from being called damage.
        if !(0xD000..=0xDFFF).contains(&magic) {
            return Err(SegmentDefect::BadMagic { magic });
        }
        // Only the first page of a segment has the long form, so this finds a file that was cut at its beginning.
        if u16::from_le_bytes(field(header, 2)) & Self::LONG == 0 {
            return Err(SegmentDefect::NoLongHeader);
        }
        Ok(Self {
            magic,
            timeline: Timeline(u32::from_le_bytes(field(header, 4))),
            address: Lsn(u64::from_le_bytes(field(header, 8))),
            system_identifier: u64::from_le_bytes(field(header, 24)),
            segment_size: u32::from_le_bytes(field(header, 32)),
            block_size: u32::from_le_bytes(field(header, 36)),
        })
    }
}

fn field<const WIDTH: usize>(header: &[u8; PageHeader::LENGTH], offset: usize) -> [u8; WIDTH] {
    *header[offset..].first_chunk().expect("every field lies within the header")
}

/// Checks that a file which is stored as `segment` begins like that segment. Reads only the first
/// [`PageHeader::LENGTH`] bytes: it says nothing about the records behind them.
pub fn verify_first_page(
    bytes: &[u8],
    segment: Segment,
    size: SegmentSize,
    system_identifier: Option<u64>,
) -> Result<PageHeader, SegmentDefect> {
    let header = PageHeader::parse(bytes)?;
    // First, because a segment of another cluster that shares the archive explains every other difference.
    if let Some(expected) = system_identifier.filter(|&expected| expected != header.system_identifier) {
        return Err(SegmentDefect::OtherSystem { found: header.system_identifier, expected });
    }
    // Before the address, because with another size the same name stands for another place in the WAL.
    if u64::from(header.segment_size) != size.bytes() {
        return Err(SegmentDefect::OtherSegmentSize { found: header.segment_size.into(), expected: size.bytes() });
    }
    // PostgreSQL recycles old segments under new names, so stale content has a good header with an old address.
    let expected = segment.start(size);
    if header.address != expected {
        let holds = Segment::containing(header.timeline, header.address, size).name(size);
        return Err(SegmentDefect::WrongAddress { found: header.address, expected, holds });
    }
    // An older timeline is right: the first segment of a timeline begins with a copy of its parent's pages.
    if header.timeline > segment.timeline {
        return Err(SegmentDefect::NewerTimeline { found: header.timeline, named: segment.timeline });
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SYSTEM: u64 = 7_710_429_258_705_097_786;

    fn first_page(timeline: u32, address: u64) -> Vec<u8> {
        let mut page = Vec::new();
        page.extend(0xD110_u16.to_le_bytes());
        page.extend(0x0002_u16.to_le_bytes());
        page.extend(timeline.to_le_bytes());
        page.extend(address.to_le_bytes());
        page.extend([0; 8]);
        page.extend(SYSTEM.to_le_bytes());
        page.extend((16_u32 << 20).to_le_bytes());
        page.extend(8192_u32.to_le_bytes());
        page
    }

    fn verify(page: &[u8], name: &str) -> Result<PageHeader, SegmentDefect> {
        let segment = Segment::parse(name, SegmentSize::DEFAULT).unwrap();
        verify_first_page(page, segment, SegmentSize::DEFAULT, Some(SYSTEM))
    }

    #[test]
    fn an_lsn_is_read_and_written_as_postgresql_does() {
        assert_eq!("0/30108C8".parse(), Ok(Lsn(0x0301_08C8)));
        assert_eq!("1a/0000ff00".parse(), Ok(Lsn(0x1A_0000_FF00)));
        assert_eq!(Lsn(0x1A_0000_FF00).to_string(), "1A/FF00");
        assert_eq!(serde_json::to_string(&Lsn(0x300_0028)).unwrap(), "\"0/3000028\"");
        assert_eq!(serde_json::from_str::<Lsn>("\"0/3000028\"").unwrap(), Lsn(0x300_0028));
        for text in ["", "/", "0/", "0", "0/+1", "0/123456789", "0/1/2", " 0/1", "0x1/2"] {
            assert!(text.parse::<Lsn>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_schema_of_an_lsn_is_a_string() {
        assert_eq!(schemars::schema_for!(Lsn).get("type").unwrap(), "string");
        assert_eq!(schemars::schema_for!(Timeline).get("type").unwrap(), "integer");
    }

    #[test]
    fn a_segment_size_is_a_power_of_two_from_1_mib_to_1_gib() {
        assert_eq!(SegmentSize::new(1 << 20).unwrap().segments_per_log(), 4096);
        assert_eq!(SegmentSize::DEFAULT.segments_per_log(), 256);
        assert_eq!(SegmentSize::new(1 << 30).unwrap().segments_per_log(), 4);
        for bytes in [0, 1 << 19, 1 << 31, 15 << 20] {
            assert_eq!(SegmentSize::new(bytes), None);
            assert!(serde_json::from_str::<SegmentSize>(&bytes.to_string()).is_err());
        }
    }

    #[test]
    fn a_name_counts_to_the_segments_of_a_log_and_no_further() {
        let size = SegmentSize::new(64 << 20).unwrap();
        let last = Segment::parse("00000002000000010000003F", size).unwrap();
        assert_eq!(last.next().name(size), "000000020000000200000000");
        assert_eq!(last.start(size).to_string(), "1/FC000000");
        assert_eq!(last.end(size).to_string(), "2/0");
        assert_eq!(last.directory(size), "0000000200000001");
        assert_eq!(Segment::parse("000000020000000100000040", size), None);
    }

    #[test]
    fn only_24_upper_case_digits_are_a_name() {
        for name in [
            "",
            "00000001000000000000000",
            "0000000100000000000000001",
            "00000001000000000000000a",
            "0000000100000000000000+1",
            "00000001000000000000000ä",
            "000000000000000000000001",
            "000000010000000000000003.partial",
        ] {
            assert_eq!(Segment::parse(name, SegmentSize::DEFAULT), None, "{name:?}");
        }
    }

    #[test]
    fn an_lsn_on_a_boundary_belongs_to_the_next_segment_but_does_not_need_it() {
        let (timeline, boundary, size) = (Timeline(1), Lsn(0x400_0000), SegmentSize::DEFAULT);
        assert_eq!(Segment::containing(timeline, boundary, size).name(size), "000000010000000000000004");
        assert_eq!(Segment::ending_at(timeline, boundary, size).name(size), "000000010000000000000003");
        assert_eq!(Segment::ending_at(timeline, Lsn(0x400_0001), size).name(size), "000000010000000000000004");
    }

    #[test]
    fn the_first_page_of_the_right_segment_is_accepted() {
        let header = verify(&first_page(1, 0x300_0000), "000000010000000000000003").unwrap();
        assert_eq!((header.system_identifier, header.block_size), (SYSTEM, 8192));
    }

    #[test]
    fn the_head_of_a_new_timeline_may_hold_pages_of_its_parent() {
        assert!(verify(&first_page(1, 0x300_0000), "000000020000000000000003").is_ok());
    }

    #[test]
    fn what_is_not_this_segment_is_named_for_what_it_is() {
        let name = "000000010000000000000003";
        let message = |page: &[u8]| verify(page, name).unwrap_err().to_string();
        assert_eq!(message(&first_page(1, 0x300_0000)[..39]), "holds 39 bytes, fewer than the 40 of a page header");
        assert_eq!(message(&[0; 40]), "does not begin like WAL: magic 0x0000");
        assert_eq!(
            message(&first_page(2, 0x200_0000)),
            "holds WAL from 0/2000000, which would be segment 000000020000000000000002, not from 0/3000000"
        );
        assert_eq!(message(&first_page(2, 0x300_0000)), "holds WAL of timeline 2, newer than timeline 1 of its name");
        let mut page = first_page(1, 0x300_0000);
        page[2] = 0;
        assert!(message(&page).contains("long page header is missing"));
        let mut page = first_page(1, 0x300_0000);
        page[24] ^= 1;
        assert!(message(&page).starts_with("belongs to the database system 7710429258705097787, not to 77104"));
        let mut page = first_page(1, 0x300_0000);
        page[35] = 4;
        assert!(message(&page).starts_with("was written with segments of 67108864 bytes, not 16777216"));
    }

    #[test]
    fn without_a_known_system_identifier_any_is_accepted() {
        let segment = Segment { timeline: Timeline(1), number: 3 };
        let mut page = first_page(1, 0x300_0000);
        page[24] ^= 1;
        assert!(verify_first_page(&page, segment, SegmentSize::DEFAULT, None).is_ok());
    }

    proptest! {
        #[test]
        fn names_and_lsns_survive_a_round_trip(timeline in 1_u32.., lsn: u64, exponent in 20_u32..=30) {
            let size = SegmentSize::new(1 << exponent).unwrap();
            let segment = Segment::containing(Timeline(timeline), Lsn(lsn), size);
            prop_assert_eq!(Segment::parse(&segment.name(size), size), Some(segment));
            prop_assert!(segment.start(size) <= Lsn(lsn));
            prop_assert!(Lsn(lsn).0 - segment.start(size).0 < size.bytes());
            prop_assert_eq!(Lsn(lsn).to_string().parse(), Ok(Lsn(lsn)));
        }
    }
}

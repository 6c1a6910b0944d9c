use super::*;
use proptest::prelude::*;

const PAGE: usize = 8192;
const SEGMENT: usize = 4 * PAGE;
/// The LSN of the first segment's first byte.
const START: u64 = 0x300_0000;
const ALL: Range<Lsn> = Lsn(0)..Lsn(u64::MAX);
const OTHER: (u8, u8) = (10, 0x00);

/// WAL as PostgreSQL lays it out: pages, and records across them.
#[derive(Default)]
struct Wal {
    content: Vec<u8>,
    previous: u64,
}

impl Wal {
    fn lsn(&self) -> u64 {
        START + self.content.len() as u64
    }

    fn page_header(&mut self, flags: u16, rest: usize) {
        let is_first = self.content.len().is_multiple_of(SEGMENT);
        let address = self.lsn();
        self.content.extend(0xD110_u16.to_le_bytes());
        self.content.extend((flags | if is_first { LONG } else { 0 }).to_le_bytes());
        self.content.extend(1_u32.to_le_bytes());
        self.content.extend(address.to_le_bytes());
        self.content.extend(u32::try_from(rest).unwrap().to_le_bytes());
        self.content.extend([0; 4]);
        if is_first {
            self.content.extend(7_u64.to_le_bytes());
            self.content.extend(u32::try_from(SEGMENT).unwrap().to_le_bytes());
            self.content.extend(u32::try_from(PAGE).unwrap().to_le_bytes());
        }
    }

    /// Writes a record and returns its LSN.
    fn record(&mut self, kind: (u8, u8), length: usize) -> Lsn {
        if self.content.len().is_multiple_of(PAGE) {
            self.page_header(0, 0);
        }
        let lsn = self.lsn();
        let mut record = u32::try_from(length).unwrap().to_le_bytes().to_vec();
        record.extend(700_u32.to_le_bytes());
        record.extend(self.previous.to_le_bytes());
        record.extend([kind.1, kind.0, 0, 0]);
        // The checksum and the data: bytes that would be the creation of a tablespace if they were taken for a header.
        record.resize(length, 5);
        for (at, byte) in record.into_iter().enumerate() {
            if self.content.len().is_multiple_of(PAGE) {
                self.page_header(CONTINUES, length - at);
            }
            self.content.push(byte);
        }
        self.content.resize(self.content.len().next_multiple_of(8), 0);
        self.previous = lsn;
        Lsn(lsn)
    }

    /// Fills the page with a record until `left` bytes are left of it.
    fn fill(&mut self, left: usize) {
        if self.content.len().is_multiple_of(PAGE) {
            self.page_header(0, 0);
        }
        let used = self.content.len() % PAGE;
        self.record(OTHER, PAGE - used - left);
    }

    /// The first creation of each segment.
    fn found(mut self) -> Vec<Option<Lsn>> {
        self.content.resize(self.content.len().next_multiple_of(SEGMENT), 0);
        let mut cut = None;
        let mut found = Vec::new();
        for (number, segment) in self.content.chunks(SEGMENT).enumerate() {
            let walked = walked(START + (number * SEGMENT) as u64, segment);
            found.push(walked.creation_within(cut.as_ref(), &ALL));
            cut = walked.cut;
        }
        found
    }
}

fn walked(start: u64, content: &[u8]) -> Walked {
    let mut walker = Walker::new(Lsn(start));
    walker.walk(content);
    walker.finish()
}

#[test]
fn only_the_record_that_creates_a_tablespace_is_found() {
    let mut wal = Wal::default();
    for kind in [(5, 0x10), (4, 0x00), (0, 0x00), (255, 0x00)] {
        wal.record(kind, 61);
    }
    let lsn = wal.record(CREATE_TABLESPACE, 57);
    wal.record(OTHER, 24);
    assert_eq!(wal.found(), [Some(lsn)]);

    let mut wal = Wal::default();
    wal.record((5, 0x10), 30);
    wal.record(OTHER, 2 * PAGE);
    assert_eq!(wal.found(), [None]);
}

#[test]
fn the_lower_half_of_the_information_is_of_no_account() {
    let mut wal = Wal::default();
    let lsn = wal.record((5, 0x03), 57);
    assert_eq!(wal.found(), [Some(lsn)]);
}

#[test]
fn a_record_is_found_however_a_page_divides_it() {
    for left in (8..=80).step_by(8) {
        let mut wal = Wal::default();
        wal.record(OTHER, 24);
        wal.fill(left);
        let lsn = wal.record(CREATE_TABLESPACE, 57);
        wal.record(OTHER, 100);
        assert_eq!(wal.found(), [Some(lsn)], "{left} bytes on the first page");
    }
}

#[test]
fn a_record_is_found_however_a_segment_divides_it() {
    for left in (8..=80).step_by(8) {
        let mut wal = Wal::default();
        wal.record(OTHER, 3 * PAGE);
        wal.fill(left);
        let lsn = wal.record(CREATE_TABLESPACE, 57);
        wal.record(OTHER, 100);
        let expected = if left < HEADER { [None, Some(lsn)] } else { [Some(lsn), None] };
        assert_eq!(wal.found(), expected, "{left} bytes in the first segment");
    }
}

#[test]
fn a_record_behind_one_of_many_pages_is_found() {
    let mut wal = Wal::default();
    wal.record(OTHER, SEGMENT + 2 * PAGE + 13);
    let lsn = wal.record(CREATE_TABLESPACE, 57);
    assert_eq!(wal.found(), [None, Some(lsn)]);
}

#[test]
fn behind_a_switch_of_segments_nothing_is_replayed() {
    for left in [8, 16, 24] {
        let mut wal = Wal::default();
        wal.fill(left);
        wal.record(SWITCH, 24);
        wal.record(CREATE_TABLESPACE, 57);
        assert_eq!(wal.found(), [None]);
    }
}

#[test]
fn a_record_that_was_given_up_does_not_hide_the_next() {
    let mut wal = Wal::default();
    wal.fill(16);
    // Of a crash: the header of a creation begins, and the next page overwrites the rest of it.
    let creation = wal.record(CREATE_TABLESPACE, 57).0;
    wal.content.truncate(PAGE);
    wal.page_header(0x0008, 0);
    let overwritten = wal.record((0, 0xD0), 42);
    assert_eq!(overwritten.0, creation.next_multiple_of(PAGE as u64) + 24);
    assert_eq!(Wal { content: wal.content.clone(), ..wal }.found(), [None]);
    let lsn = wal.record(CREATE_TABLESPACE, 57);
    assert_eq!(wal.found(), [Some(lsn)]);
}

#[test]
fn what_is_not_replayed_does_not_count() {
    let mut wal = Wal::default();
    wal.record(OTHER, 57);
    let lsn = wal.record(CREATE_TABLESPACE, 57);
    wal.content.resize(SEGMENT, 0);
    let walked = walked(START, &wal.content);
    assert_eq!(walked.creation_within(None, &(lsn..Lsn(lsn.0 + 1))), Some(lsn));
    assert_eq!(walked.creation_within(None, &(Lsn(0)..lsn)), None, "the target is exclusive");
    assert_eq!(walked.creation_within(None, &(Lsn(lsn.0 + 1)..Lsn(u64::MAX))), None);
}

#[test]
fn a_page_of_another_place_holds_no_records() {
    let mut wal = Wal::default();
    wal.fill(8);
    wal.record(OTHER, 100);
    wal.record(CREATE_TABLESPACE, 57);
    wal.content[PAGE + 8] ^= 1;
    assert_eq!(wal.found(), [None]);
}

#[test]
fn what_no_record_can_be_ends_its_page_only() {
    let mut wal = Wal::default();
    let broken = usize::try_from(wal.record(OTHER, 57).0 - START).unwrap();
    wal.fill(24);
    wal.record(OTHER, 57);
    let lsn = wal.record(CREATE_TABLESPACE, 57);
    for length in [0, 23, u32::MAX] {
        wal.content[broken..broken + 4].copy_from_slice(&u32::to_le_bytes(length));
        let found = Wal { content: wal.content.clone(), ..wal }.found();
        assert_eq!(found, [Some(lsn)], "a length of {length}");
    }
}

proptest! {
    #[test]
    fn garbage_is_walked_over(garbage in prop::collection::vec(any::<u8>(), 0..3 * PAGE), start: u64) {
        walked(start, &garbage);
    }

    #[test]
    fn wal_with_a_few_wrong_bytes_is_walked_over(wrong in prop::collection::vec((0..SEGMENT, any::<u8>()), 1..40)) {
        let mut wal = Wal::default();
        while wal.content.len() < SEGMENT - 1000 {
            wal.record(CREATE_TABLESPACE, 24 + wal.content.len() % 700);
        }
        wal.content.resize(SEGMENT, 0);
        for (at, byte) in wrong {
            wal.content[at] = byte;
        }
        let walked = walked(START, &wal.content);
        walked.creation_within(walked.cut.as_ref(), &ALL);
    }
}

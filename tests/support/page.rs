//! An editor for the pages of a relation's file inside a base backup's tar: what a disk, a file system or a backup
//! program can do to them, in single bytes. The checksum of a page that was changed is put right, unless it is asked to
//! stay as it was. Layouts are those of PostgreSQL's `storage/bufpage.h`, `itemid.h` and `access/htup_details.h`.

use std::ops::Range;

use super::ArchiveCopy;

pub const PAGE: usize = 8192;

const HEADER: usize = 24;
const CHECKSUM: Range<usize> = 8..10;
/// `pd_lower`: where the line pointers end.
const LOWER: Range<usize> = 12..14;
/// `pd_upper`: where the items begin.
const UPPER: Range<usize> = 14..16;
const POINTER: usize = 4;
const LP_NORMAL: u32 = 1;
const LP_DEAD: u32 = 3;
/// `t_xmax` and `t_infomask` in a heap tuple's header.
const XMAX: Range<usize> = 4..8;
const INFOMASK: Range<usize> = 20..22;
/// `t_hoff`.
const HEADER_LENGTH: usize = 22;
const XMAX_INVALID: u16 = 0x0800;

/// A row's columns, behind its header.
pub fn body(row: &mut [u8]) -> &mut [u8] {
    let header = usize::from(row[HEADER_LENGTH]);
    &mut row[header..]
}

/// The pages of one file.
pub struct Pages {
    bytes: Vec<u8>,
    leaves_checksums: bool,
}

/// An item by its line pointer: a row of a table, an entry of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    pub page: usize,
    /// Counted from 0; PostgreSQL counts from 1.
    pub pointer: usize,
}

/// Changes one file of a base backup's `data.tar.gz`; its path is that below the data directory
/// ([`super::Prepared::file`]). Panics when the tar does not hold it once, when nothing was changed, and when a page was
/// not sound before.
#[track_caller]
pub fn edit(archive: &ArchiveCopy, backup: &str, file: &str, change: impl FnOnce(&mut Pages)) {
    let mut change = Some(change);
    archive.rewrite_backup_tar(backup, "data.tar.gz", |path, content| {
        if path.trim_start_matches("./") != file {
            return Some(content);
        }
        let mut pages = Pages { bytes: content.clone(), leaves_checksums: false };
        let change = change.take().unwrap_or_else(|| panic!("the tar holds {file} twice"));
        change(&mut pages);
        pages.seal(&content);
        Some(pages.bytes)
    });
    assert!(change.is_none(), "the tar does not hold {file}");
}

impl Pages {
    pub fn count(&self) -> usize {
        self.bytes.len() / PAGE
    }

    /// The rows that hold these bytes and that nobody deleted, in the order of the file.
    pub fn live_rows(&self, pattern: &[u8]) -> Vec<Item> {
        let is_live = |item: &Item| {
            let row = self.item(*item);
            let word = |range: Range<usize>| u16::from_le_bytes(row[range].try_into().unwrap());
            word(INFOMASK) & XMAX_INVALID != 0 || row[XMAX] == [0; 4]
        };
        self.items(pattern).into_iter().filter(is_live).collect()
    }

    /// The one live row that holds these bytes.
    #[track_caller]
    pub fn live_row(&self, pattern: &[u8]) -> Item {
        let rows = self.live_rows(pattern);
        assert_eq!(rows.len(), 1, "one live row holds {}", String::from_utf8_lossy(pattern));
        rows[0]
    }

    /// The items of a table or an index that hold these bytes: dead rows included, and keys that only bound a page.
    pub fn items(&self, pattern: &[u8]) -> Vec<Item> {
        let everywhere = (0..self.count()).flat_map(|page| {
            let pointers = (self.lower(page).max(HEADER) - HEADER) / POINTER;
            (0..pointers).map(move |pointer| Item { page, pointer })
        });
        let holds = |item: &Item| {
            // The first page of an index has other things where its line pointers would be.
            let content = self.bytes.get(self.range(*item)).filter(|_| self.state(*item) == LP_NORMAL);
            content.is_some_and(|content| content.windows(pattern.len()).any(|window| window == pattern))
        };
        everywhere.filter(holds).collect()
    }

    /// The bytes of an item, its header included.
    pub fn item(&self, item: Item) -> &[u8] {
        &self.bytes[self.range(item)]
    }

    pub fn item_mut(&mut self, item: Item) -> &mut [u8] {
        let range = self.range(item);
        &mut self.bytes[range]
    }

    /// Writes other bytes of the same length over the only occurrence of some bytes in an item.
    #[track_caller]
    pub fn replace(&mut self, item: Item, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len(), "the item keeps its length");
        let content = self.item_mut(item);
        let found: Vec<usize> =
            (0..=content.len() - from.len()).filter(|&at| content[at..].starts_with(from)).collect();
        assert_eq!(found.len(), 1, "the item holds it once");
        content[found[0]..][..to.len()].copy_from_slice(to);
    }

    /// Makes an item's line pointer an unused one.
    #[track_caller]
    pub fn lose(&mut self, item: Item) {
        assert_eq!(self.state(item), LP_NORMAL, "there is an item");
        self.set_pointer(item, 0);
    }

    /// Marks an index entry as one whose row is gone: searches skip it.
    pub fn mark_dead(&mut self, item: Item) {
        let pointer = self.pointer(item);
        self.set_pointer(item, pointer & !(3 << 15) | LP_DEAD << 15);
    }

    /// Lets two items of a page change places: an index is then out of order.
    pub fn swap(&mut self, one: Item, other: Item) {
        assert_eq!(one.page, other.page, "they lie on one page");
        let (first, second) = (self.pointer(one), self.pointer(other));
        self.set_pointer(one, second);
        self.set_pointer(other, first);
    }

    /// Adds a line pointer to the same item, which is then there twice.
    #[track_caller]
    pub fn repeat(&mut self, item: Item) {
        let (lower, pointer) = (self.lower(item.page), self.pointer(item));
        assert!(lower + POINTER <= self.word(item.page, UPPER), "the page has room for a line pointer");
        let again = Item { page: item.page, pointer: (lower - HEADER) / POINTER };
        let end = u16::try_from(lower + POINTER).unwrap().to_le_bytes();
        self.page_mut(item.page)[LOWER].copy_from_slice(&end);
        self.set_pointer(again, pointer);
    }

    /// Makes a page one that was never written.
    pub fn zero(&mut self, page: usize) {
        self.page_mut(page).fill(0);
    }

    pub fn page_mut(&mut self, page: usize) -> &mut [u8] {
        &mut self.bytes[page * PAGE..][..PAGE]
    }

    /// Leaves the checksums as they were, so that PostgreSQL finds them wrong where it verifies them.
    pub fn leave_checksums(&mut self) {
        self.leaves_checksums = true;
    }

    fn page(&self, page: usize) -> &[u8] {
        &self.bytes[page * PAGE..][..PAGE]
    }

    fn word(&self, page: usize, range: Range<usize>) -> usize {
        usize::from(u16::from_le_bytes(self.page(page)[range].try_into().unwrap()))
    }

    fn lower(&self, page: usize) -> usize {
        self.word(page, LOWER)
    }

    fn pointer(&self, item: Item) -> u32 {
        u32::from_le_bytes(self.page(item.page)[HEADER + item.pointer * POINTER..][..POINTER].try_into().unwrap())
    }

    fn set_pointer(&mut self, item: Item, pointer: u32) {
        self.page_mut(item.page)[HEADER + item.pointer * POINTER..][..POINTER].copy_from_slice(&pointer.to_le_bytes());
    }

    fn state(&self, item: Item) -> u32 {
        self.pointer(item) >> 15 & 3
    }

    /// Where an item lies in the file.
    fn range(&self, item: Item) -> Range<usize> {
        let pointer = self.pointer(item);
        let (offset, length) = ((pointer & 0x7fff) as usize, (pointer >> 17) as usize);
        let start = item.page * PAGE + offset;
        start..start + length
    }

    /// Puts the checksums of the pages right that are not as they were.
    #[track_caller]
    fn seal(&mut self, before: &[u8]) {
        assert!(self.bytes != before, "something was changed");
        for (number, before) in before.chunks_exact(PAGE).enumerate() {
            let page = &mut self.bytes[number * PAGE..][..PAGE];
            if page == before {
                continue;
            }
            let block = u32::try_from(number).unwrap();
            assert_eq!(before[CHECKSUM], checksum(before, block).to_le_bytes(), "page {number} was sound");
            let is_zeroed = page.iter().all(|byte| *byte == 0);
            if !self.leaves_checksums && !is_zeroed {
                let right = checksum(page, block);
                page[CHECKSUM].copy_from_slice(&right.to_le_bytes());
            }
        }
    }
}

/// `pg_checksum_page` of PostgreSQL's `storage/checksum_impl.h`.
fn checksum(page: &[u8], block: u32) -> u16 {
    const SUMS: usize = 32;
    const PRIME: u32 = 16_777_619;
    #[rustfmt::skip]
    const OFFSETS: [u32; SUMS] = [
        0x5B1F_36E9, 0xB852_5960, 0x02AB_50AA, 0x1DE6_6D2A, 0x79FF_467A, 0x9BB9_F8A3, 0x217E_7CD2, 0x83E1_3D2C,
        0xF8D4_474F, 0xE39E_B970, 0x42C6_AE16, 0x9932_16FA, 0x7B09_3B5D, 0x98DA_FF3C, 0xF718_902A, 0x0B1C_9CDB,
        0xE58F_764B, 0x1876_36BC, 0x5D7B_3BB1, 0xE73D_E7DE, 0x92BE_C979, 0xCCA6_C0B2, 0x304A_0979, 0x85AA_43D4,
        0x7831_25BB, 0x6CA8_EAA2, 0xE407_EAC6, 0x4B5C_FC3E, 0x9FBF_8C76, 0x15CA_20BE, 0xF2CA_9FD3, 0x959B_D756,
    ];
    let mut page = page.to_vec();
    page[CHECKSUM].fill(0);
    let mut sums = OFFSETS;
    let mix = |sum: &mut u32, word: u32| {
        let mixed = *sum ^ word;
        *sum = mixed.wrapping_mul(PRIME) ^ mixed >> 17;
    };
    for (number, word) in page.chunks_exact(4).enumerate() {
        mix(&mut sums[number % SUMS], u32::from_le_bytes(word.try_into().unwrap()));
    }
    for sum in &mut sums {
        mix(sum, 0);
        mix(sum, 0);
    }
    let folded = sums.iter().fold(0, |folded, sum| folded ^ sum) ^ block;
    u16::try_from(folded % 65535 + 1).unwrap()
}

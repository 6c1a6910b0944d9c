//! One row is gone from a heap page of the base backup, and the page's checksum is right: a page that was written
//! back late, a repaired disk. No WAL touches the page afterwards, so nothing heals it, and PostgreSQL cannot know.
//!
//! Caught by `probe::tables::judge`, which compares each count with the baseline's.

use serde_json::Value;

use crate::support::Prepared;
use crate::trial::Trial;

const PAGE: usize = 8192;
/// `ItemIdData` number 50 of a page: behind the page's header of 24 bytes, 4 bytes each. Neither the oldest row of the
/// table nor the newest, so that no bound of a timestamp gives it away.
const LINE_POINTER: usize = 24 + 4 * 49;

#[test]
fn a_row_lost_from_the_base_backup_fails_the_drill_by_the_tables_name() {
    let prepared = Prepared::get();
    // Orders are only ever appended, so the first page lies in the newest base backup as it will stay.
    let (file, rows) = file_and_rows("shop", "orders");
    let mut lost = 0;
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite_backup_tar(&prepared.backups[1], "data.tar.gz", |path, mut content| {
            if path.trim_start_matches("./") == file {
                lose_a_row(&mut content[..PAGE]);
                lost += 1;
            }
            Some(content)
        });
    });
    assert_eq!(lost, 1, "the tar holds {file}");

    let judged = trial.drill();
    judged.fails(&[("table.row_count", "shop: public.orders")]);
    let orders = judged.report()["restore"]["tables"][0].clone();
    let counts = (orders["rows_expected"].as_u64(), orders["rows_observed"].as_u64());
    assert_eq!(counts, (Some(rows), Some(rows - 1)), "{judged}");
}

/// The path of a table's file below the data directory, and its rows, from the baseline document.
fn file_and_rows(database: &str, table: &str) -> (String, u64) {
    let document: Value = serde_json::from_slice(&std::fs::read(Prepared::get().baseline()).unwrap()).unwrap();
    let named = |list: &Value, name: &str| {
        list.as_array().unwrap().iter().find(|entry| entry["name"] == name).cloned().unwrap()
    };
    let database = named(&document["databases"], database);
    let table = named(&database["tables"], table);
    (format!("base/{}/{}", database["oid"], table["filenode"]), table["rows"].as_u64().unwrap())
}

/// Makes a live line pointer an unused one and the checksum right.
fn lose_a_row(page: &mut [u8]) {
    assert_eq!(stored_checksum(page), checksum(page), "the page is sound, and this is PostgreSQL's checksum");
    let pointer = u32::from_le_bytes(page[LINE_POINTER..LINE_POINTER + 4].try_into().unwrap());
    assert_eq!(pointer >> 15 & 3, 1, "LP_NORMAL");
    page[LINE_POINTER..LINE_POINTER + 4].fill(0);
    let right = checksum(page);
    page[8..10].copy_from_slice(&right.to_le_bytes());
}

fn stored_checksum(page: &[u8]) -> u16 {
    u16::from_le_bytes([page[8], page[9]])
}

/// `pg_checksum_page` of PostgreSQL's `storage/checksum_impl.h` for block 0.
fn checksum(page: &[u8]) -> u16 {
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
    page[8..10].fill(0);
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
    let folded = sums.iter().fold(0, |folded, sum| folded ^ sum);
    u16::try_from(folded % 65535 + 1).unwrap()
}

//! A column of amounts came back as `numeric(14,2)` where the source has `numeric(12,2)`: one byte of `pg_attribute`.
//! No row differs, and larger amounts than the application expects can be stored.
//!
//! Caught by `probe::catalog::differences` on the schema.

use crate::support::page::body;
use crate::trial::Trial;

/// `atttypmod` in a row of `pg_attribute` of PostgreSQL 15, and how it is made of precision and scale.
const TYPE_MODIFIER: usize = 88;
const fn numeric(precision: u32, scale: u32) -> [u8; 4] {
    ((precision << 16 | scale) + 4).to_le_bytes()
}

#[test]
fn a_column_of_another_type_fails_the_drill_by_its_name() {
    let table = crate::trial::table("vault", "accounts")["oid"].as_u64().unwrap();
    let column = [u32::try_from(table).unwrap().to_le_bytes().as_slice(), b"balance\0"].concat();
    let trial = Trial::of_pages("vault", "pg_attribute", |pages| {
        let column = pages.live_row(&column);
        let modifier = &mut body(pages.item_mut(column))[TYPE_MODIFIER..][..4];
        assert_eq!(modifier, numeric(12, 2));
        modifier.copy_from_slice(&numeric(14, 2));
    });

    let judged = trial.drill();
    judged.fails(&[("schema.objects", "vault: column public.accounts.balance")]);
    let finding = judged.finding("schema.objects", "failed");
    assert_eq!(finding["expected"], "public.accounts.balance: numeric(12,2) not null", "{judged}");
    assert_eq!(finding["observed"], "public.accounts.balance: numeric(14,2) not null", "{judged}");
}

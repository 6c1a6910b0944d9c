//! An index is no longer in `pg_index`: its table answers as before, but slowly, and a unique one would no longer guard.
//!
//! Caught by `probe::catalog::differences` on the schema.

use crate::support::page::body;
use crate::trial::Trial;

/// `indisunique` and `indisprimary` in a row of `pg_index`, behind the OIDs of index and table and two numbers.
const FLAGS: usize = 4 + 4 + 2 + 2;

#[test]
fn a_lost_index_fails_the_drill_by_its_name() {
    let table = crate::trial::table("vault", "accounts")["oid"].as_u64().unwrap();
    let table = u32::try_from(table).unwrap().to_le_bytes();
    let trial = Trial::of_pages("vault", "pg_index", |pages| {
        // The table's only index that is not unique.
        let of_table = pages.live_rows(&table).into_iter().filter(|&row| {
            let index = body(pages.item_mut(row));
            index[4..8] == table && index[FLAGS] == 0
        });
        let of_table: Vec<_> = of_table.collect();
        assert_eq!(of_table.len(), 1);
        pages.lose(of_table[0]);
    });

    trial.drill().fails(&[("schema.objects", "vault: index public.accounts.accounts_name_idx")]);
}

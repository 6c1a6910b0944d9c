//! The fingerprint of rows: a sum over hashes of each row's text. Neither order nor place matters, and two rows that
//! exchange a value change it. The source and the restored server compute it by the same SQL, so it lies here.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::{Client, Error};

/// An aggregate over the rows of a table with the alias `t`, as decimal text. The output functions are called by name:
/// a cast to text may be one of the user's.
pub const OF_ROWS: &str = "coalesce(sum(hashtextextended(textin(record_out(t.*)) COLLATE \"C\", 0)::numeric), 0)::text";

/// An aggregate over `pg_largeobject`, which holds the bytes of all large objects in pages.
pub const OF_LARGE_OBJECTS: &str =
    "coalesce(sum(hashtextextended(concat_ws(' ', loid, pageno, data) COLLATE \"C\", 0)::numeric), 0)::text";

/// What the text of a table's rows depends on beside the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// A digest of the columns and of all that their types are made of, down to the transactions that wrote these
    /// catalog rows: whatever is altered, even there and back, changes it. A physical copy has the same.
    pub digest: String,
    /// A column holds names of objects and roles that are looked up when it is written as text.
    pub has_names: bool,
    /// A column's text is written by a library that another machine may have in another version.
    pub has_foreign_types: bool,
}

/// The shapes of tables, as the current transaction's snapshot shows the catalog. A table without columns has none.
pub async fn shapes(client: &Client, tables: &[u32]) -> Result<BTreeMap<u32, Shape>, Error> {
    // PostgreSQL 13 has no multirange types, and no column for them in `pg_range`. XML is written in another way by a
    // PostgreSQL that was built without libxml.
    let sql = "WITH RECURSIVE columns AS MATERIALIZED (
            SELECT attrelid, attnum, atttypid, attisdropped, xmin::text AS writer FROM pg_attribute
            WHERE attrelid = ANY ($1) AND attnum > 0
        ), reach (root, type) AS (
            SELECT DISTINCT atttypid, atttypid FROM columns WHERE NOT attisdropped
            UNION
            SELECT reach.root, part.type FROM reach JOIN pg_type t ON t.oid = reach.type, LATERAL (
                VALUES (t.typelem), (t.typbasetype)
                UNION ALL SELECT r.rngsubtype FROM pg_range r
                    WHERE t.typtype IN ('r', 'm') AND t.oid IN (r.rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid)
                UNION ALL SELECT a.atttypid FROM pg_attribute a
                    WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
            ) part (type) WHERE part.type <> 0
        ), pieces (root, text, is_name, is_foreign) AS (
            SELECT reach.root, concat_ws(' ', t.oid, t.xmin),
                t.typnamespace = 'pg_catalog'::regnamespace AND t.typname ~ '^(reg|aclitem$)',
                l.lanname <> 'internal' OR t.oid = 'xml'::regtype
                FROM reach JOIN pg_type t ON t.oid = reach.type JOIN pg_proc p ON p.oid = t.typoutput
                JOIN pg_language l ON l.oid = p.prolang
            UNION ALL SELECT reach.root, concat_ws(' ', e.oid, e.xmin), false, false
                FROM reach JOIN pg_enum e ON e.enumtypid = reach.type
            UNION ALL SELECT reach.root, concat_ws(' ', a.attrelid, a.attnum, a.xmin), false, false
                FROM reach JOIN pg_type t ON t.oid = reach.type AND t.typrelid <> 0
                JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0
        ), types AS (
            SELECT root, sum(hashtextextended(text COLLATE \"C\", 0)::numeric) AS digest,
                bool_or(is_name) AS has_names, bool_or(is_foreign) AS has_foreign
            FROM pieces GROUP BY root
        )
        SELECT attrelid, sum(hashtextextended(concat_ws(' ', attnum, writer, digest) COLLATE \"C\", 0)::numeric)::text,
            coalesce(bool_or(has_names), false), coalesce(bool_or(has_foreign), false)
        FROM columns LEFT JOIN types ON root = atttypid GROUP BY attrelid";
    let rows = client.query(sql, &[&tables]).await?;
    let shape =
        |row: &tokio_postgres::Row| Shape { digest: row.get(1), has_names: row.get(2), has_foreign_types: row.get(3) };
    Ok(rows.iter().map(|row| (row.get(0), shape(row))).collect())
}

/// Pages of 8 KiB that a core reads, writes as text and hashes in a second at most: 1 GiB. Without anything measured,
/// only what is larger than that is not tried.
const PAGES_IN_A_SECOND: u64 = 131_072;
/// Shorter measurements say nothing.
const MEASURED: Duration = Duration::from_secs(1);
/// How far a table may be faster than those before it.
const SLACK: u64 = 4;

/// How fast fingerprints were made so far: what surely does not fit into the rest of the time need not be tried.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    pages: u64,
    took: Duration,
}

impl Pace {
    pub fn add(&mut self, pages: u64, took: Duration) {
        self.pages += pages;
        self.took += took;
    }

    /// False when so many pages surely take longer than `left`.
    pub fn may_fit(&self, pages: u64, left: Duration) -> bool {
        let in_a_second = if self.took < MEASURED {
            PAGES_IN_A_SECOND
        } else {
            let measured = u128::from(self.pages) * 1000 / self.took.as_millis().max(1);
            u64::try_from(measured).unwrap_or(u64::MAX).saturating_mul(SLACK).clamp(1, PAGES_IN_A_SECOND)
        };
        u128::from(pages) <= u128::from(in_a_second) * left.as_millis() / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_tried_unless_it_is_far_too_large_for_the_time_left() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        assert!(pace.may_fit(PAGES_IN_A_SECOND, second));
        assert!(!pace.may_fit(PAGES_IN_A_SECOND + 1, second));
        pace.add(10, Duration::from_millis(999));
        assert!(pace.may_fit(PAGES_IN_A_SECOND, second), "too short to be a measurement");
        pace.add(990, Duration::from_millis(1));
        assert!(pace.may_fit(4000, second));
        assert!(!pace.may_fit(4001, second));
        assert!(pace.may_fit(8000, 2 * second));
        assert!(!pace.may_fit(1, Duration::ZERO));
        assert!(pace.may_fit(0, Duration::ZERO));
    }
}

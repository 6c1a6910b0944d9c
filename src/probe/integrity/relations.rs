//! The relations of one database in the order in which they are examined.

use tokio_postgres::{Client, Error};

use crate::finding::Code;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub oid: u32,
    /// `schema.name`; of what holds a table's values out of line, that table's with an addition.
    pub name: String,
    /// The table that it belongs to; a table's own oid.
    pub table: u32,
    pub kind: Kind,
    pub bytes: u64,
    /// Of an index: what its columns are ordered by, where that is a collation.
    pub collations: Vec<u32>,
    /// Of an index: it has expressions or a condition, which may call functions of the source's.
    pub is_computed: bool,
    /// Of an index: an operator class that does not come with PostgreSQL orders it.
    pub has_foreign_order: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Table,
    BTree,
    /// An index that PostgreSQL does not use, because building it never ended.
    NotInUse,
    /// One of an access method that amcheck does not know, and the code that it would belong to.
    Other(Code, String),
}

/// System catalogs come first, then the smallest tables; each table's own pages, then those that hold its values out of
/// line, then its indexes. Unlogged and temporary relations are left out: they are empty by design in a copy.
const QUESTION: &str = "
    WITH tables AS (
        SELECT t.oid, coalesce(o.oid, t.oid) AS owner
        FROM pg_class t LEFT JOIN pg_class o ON t.relkind = 't' AND o.reltoastrelid = t.oid
        WHERE t.relkind IN ('r', 'm', 't') AND t.relpersistence = 'p' AND ($1 OR NOT t.relisshared)
    ), relations AS (
        SELECT oid, owner, NULL::oid AS indexed FROM tables
        UNION ALL
        SELECT i.indexrelid, t.owner, t.oid FROM pg_index i JOIN tables t ON t.oid = i.indrelid
    ), sizes AS (
        SELECT relations.*, pg_relation_size(oid) AS bytes FROM relations
    )
    SELECT s.oid, n.nspname || '.' || CASE WHEN s.oid = s.owner OR s.indexed = s.owner THEN c.relname
            WHEN s.indexed IS NULL THEN o.relname || ' (TOAST)' ELSE o.relname || ' (TOAST index)' END,
        s.owner, s.indexed IS NOT NULL, s.bytes, a.amname::text, coalesce(i.indisvalid AND i.indisready, true),
        array(SELECT DISTINCT unnest(i.indcollation::oid[]) EXCEPT SELECT 0::oid),
        i.indexprs IS NOT NULL OR i.indpred IS NOT NULL,
        coalesce((SELECT max(class) FROM unnest(i.indclass::oid[]) AS class) >= 16384, false)
    FROM sizes s JOIN pg_class c ON c.oid = s.oid JOIN pg_class o ON o.oid = s.owner
        JOIN pg_namespace n ON n.oid = o.relnamespace
        LEFT JOIN pg_am a ON a.oid = c.relam LEFT JOIN pg_index i ON i.indexrelid = s.oid
    ORDER BY s.owner >= 16384, sum(s.bytes) OVER (PARTITION BY s.owner), s.owner, s.indexed IS NOT NULL,
        s.oid <> s.owner, s.bytes";

/// `with_shared`: those that all databases have in common are listed too.
pub async fn list(client: &Client, with_shared: bool) -> Result<Vec<Relation>, Error> {
    let rows = client.query(QUESTION, &[&with_shared]).await?;
    let relation = |row: &tokio_postgres::Row| {
        let (is_index, method, is_in_use): (bool, Option<String>, bool) = (row.get(3), row.get(5), row.get(6));
        let kind = match (is_index, method.as_deref()) {
            (true, _) if !is_in_use => Kind::NotInUse,
            (true, Some("btree")) => Kind::BTree,
            (false, Some("heap")) => Kind::Table,
            (true, method) => Kind::Other(Code::IntegrityIndex, method.unwrap_or("?").to_owned()),
            (false, method) => Kind::Other(Code::IntegrityTable, method.unwrap_or("?").to_owned()),
        };
        Relation {
            oid: row.get(0),
            name: row.get(1),
            table: row.get(2),
            kind,
            bytes: u64::try_from(row.get::<_, i64>(4)).unwrap_or(0),
            collations: row.get(7),
            is_computed: row.get(8),
            has_foreign_order: row.get(9),
        }
    };
    Ok(rows.iter().map(relation).collect())
}

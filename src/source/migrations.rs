//! Which migrations of its schema a database has had: the version tables that common tools keep.

use serde::{Deserialize, Serialize};
use tokio_postgres::SimpleQueryRow;

use crate::postgres::{quote_identifier, quote_literal};

/// Versions that a baseline names; an application may have had thousands.
const NAMED: usize = 100;

/// The tables by name, and the columns that together tell one migration from another. A table is one of these only if it
/// has all the columns.
const TOOLS: [(&str, &[&str]); 21] = [
    ("SequelizeMeta", &["name"]),
    ("__EFMigrationsHistory", &["MigrationId"]),
    ("__diesel_schema_migrations", &["version"]),
    ("__drizzle_migrations", &["created_at", "hash"]),
    ("_prisma_migrations", &["migration_name", "checksum"]),
    ("_sqlx_migrations", &["version", "success"]),
    ("alembic_version", &["version_num"]),
    ("databasechangelog", &["id", "author", "filename"]),
    ("django_migrations", &["app", "name"]),
    ("doctrine_migration_versions", &["version"]),
    ("flyway_schema_history", &["installed_rank", "version", "script", "success"]),
    ("goose_db_version", &["version_id", "is_applied"]),
    ("knex_migrations", &["name"]),
    ("migrations", &["migration", "batch"]),
    ("migrations", &["timestamp", "name"]),
    ("mikro_orm_migrations", &["name"]),
    ("pgmigrations", &["name"]),
    ("phinxlog", &["version"]),
    ("refinery_schema_history", &["version", "name"]),
    ("schema_migrations", &["version"]),
    ("seaql_migrations", &["version"]),
];

/// What one version table said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationsBaseline {
    pub schema: String,
    pub table: String,
    pub oid: u32,
    /// The columns that were read, as one text a row.
    pub columns: Vec<String>,
    /// How many rows there were.
    pub applied: u64,
    /// A hash over all rows in the order of their bytes.
    pub digest: String,
    /// The last ones in the order of their bytes.
    pub versions: Vec<String>,
}

/// A version table that was found and not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionTable {
    pub schema: String,
    pub table: String,
    pub oid: u32,
    pub filenode: u32,
    pub columns: Vec<String>,
}

/// SQL that finds the version tables of a database, one a row.
pub fn find() -> String {
    let known: Vec<String> = TOOLS
        .iter()
        .map(|(table, columns)| {
            let columns: Vec<String> = columns.iter().map(|column| quote_literal(column)).collect();
            format!("({}, ARRAY[{}])", quote_literal(table), columns.join(", "))
        })
        .collect();
    format!(
        "SELECT n.nspname, c.relname, c.oid, c.relfilenode, array_to_string(known.columns, ',')
        FROM (VALUES {}) AS known (name, columns) JOIN pg_class c ON c.relname = known.name
            JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND known.columns <@ ARRAY(
            SELECT a.attname::text FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
        ORDER BY n.nspname, c.relname",
        known.join(", ")
    )
}

impl VersionTable {
    /// `None` when the row is no answer to [`find`].
    pub fn of(row: &SimpleQueryRow) -> Option<Self> {
        Some(Self {
            schema: row.get(0)?.to_owned(),
            table: row.get(1)?.to_owned(),
            oid: row.get(2)?.parse().ok()?,
            filenode: row.get(3)?.parse().ok()?,
            columns: row.get(4)?.split(',').map(str::to_owned).collect(),
        })
    }

    /// `schema.table`, for people.
    pub fn text(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// SQL for [`Self::answer`]. The last statement asks, under the lock that reading took, whether this is still the
    /// table and the file that the snapshot shows: under an old snapshot a truncated table shows too few rows.
    pub fn question(&self) -> String {
        let name = format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.table));
        let (literal, Self { oid, filenode, .. }) = (quote_literal(&name), self);
        format!(
            "{}; SELECT pg_relation_filenode({oid}::oid) = {filenode}::oid AND to_regclass({literal})::oid = {oid}::oid",
            versions(&self.schema, &self.table, &self.columns, NAMED)
        )
    }

    /// `None` when the table was rewritten while it was read.
    pub fn answer(&self, rows: &[SimpleQueryRow]) -> Option<MigrationsBaseline> {
        let (is_same, rows) = rows.split_last()?;
        if is_same.get(0) != Some("t") {
            return None;
        }
        let Applied { number, digest, versions } = applied(rows)?;
        Some(MigrationsBaseline {
            schema: self.schema.clone(),
            table: self.table.clone(),
            oid: self.oid,
            columns: self.columns.clone(),
            applied: number,
            digest,
            versions,
        })
    }
}

/// What a version table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub number: u64,
    pub digest: String,
    /// The last ones, in the order of their bytes.
    pub versions: Vec<String>,
}

/// SQL for [`applied`]: number and digest of all versions, then the last `named` ones.
pub fn versions(schema: &str, table: &str, columns: &[String], named: usize) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("{}::text", quote_identifier(column))).collect();
    let one = format!(
        "SELECT concat_ws(' ', {}) COLLATE \"C\" AS version FROM ONLY {}.{}",
        columns.join(", "),
        quote_identifier(schema),
        quote_identifier(table)
    );
    format!(
        "SELECT count(*), left(encode(sha256(convert_to(
            coalesce(string_agg(version, E'\\n' ORDER BY version), ''), getdatabaseencoding())), 'hex'), 16)
            FROM ({one}) AS applied;
        SELECT version FROM (SELECT version FROM ({one}) AS applied ORDER BY version DESC LIMIT {named}) AS last
            ORDER BY version"
    )
}

/// `None` when these are not the rows of an answer to [`versions`].
pub fn applied(rows: &[SimpleQueryRow]) -> Option<Applied> {
    let (sum, listed) = rows.split_first()?;
    let versions = listed.iter().map(|row| row.get(0).unwrap_or_default().to_owned()).collect();
    Some(Applied { number: sum.get(0)?.parse().ok()?, digest: sum.get(1)?.to_owned(), versions })
}

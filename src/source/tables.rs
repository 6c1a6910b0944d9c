//! Which tables a baseline reads: ordinary tables and leaf partitions, as they are in the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error, Row};

use super::baseline::NotRead;
use crate::plan::TableSelection;

/// Columns whose bounds are read without being asked for, in lower case and without underscores.
const TIMESTAMP_COLUMNS: [&str; 26] = [
    "createdat",
    "createdon",
    "created",
    "creationdate",
    "datecreated",
    "insertedat",
    "inserted",
    "updatedat",
    "updatedon",
    "updated",
    "dateupdated",
    "lastupdated",
    "modifiedat",
    "modifiedon",
    "modified",
    "datemodified",
    "lastmodified",
    "deletedat",
    "occurredat",
    "recordedat",
    "eventtime",
    "eventat",
    "timestamp",
    "time",
    "ts",
    "loggedat",
];

/// A table to count.
#[derive(Debug, Clone)]
pub struct Selected {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// As the snapshot shows it.
    pub filenode: u32,
    /// Columns whose bounds are read.
    pub timestamps: Vec<String>,
    pub extent: Extent,
}

/// What decides when a table's rows are fingerprinted, by the server's statistics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    /// With those of what is stored out of line.
    pub pages: u64,
    /// Infinite when it was written to since it was last analysed; else that moment, in seconds since 1970.
    pub written: f64,
}

impl Selected {
    /// `schema.table`, for people.
    pub fn text(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// What one database offers.
#[derive(Debug, Default)]
pub struct Selection {
    /// The smallest first.
    pub tables: Vec<Selected>,
    pub not_read: Vec<NotRead>,
    /// A table that the role may write to.
    pub writable: Option<String>,
    /// The pages that all large objects take; absent when only some tables are wanted.
    pub large_object_pages: Option<u64>,
}

/// Selects under the snapshot of the transaction that `client` is in.
pub async fn select(
    client: &Client,
    database: &str,
    user: &str,
    wanted: Option<&[TableSelection]>,
) -> Result<Selection, Error> {
    let mut selection = Selection::default();
    let timestamps = match wanted {
        None => BTreeMap::new(),
        Some(wanted) => resolve(client, database, wanted, &mut selection.not_read).await?,
    };
    let sql = "SELECT c.oid, n.nspname::text, c.relname::text, c.relfilenode, c.relpersistence = 'u',
            has_schema_privilege(n.oid, 'USAGE')
                AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT')),
            row_security_active(c.oid), has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'),
            greatest(c.relpages, 0)::int8 + greatest(t.relpages, 0)::int8,
            CASE WHEN pg_stat_get_mod_since_analyze(c.oid) > 0 THEN 'infinity'::float8 ELSE coalesce(extract(epoch
                FROM greatest(pg_stat_get_last_autoanalyze_time(c.oid), pg_stat_get_last_analyze_time(c.oid))), 0)::float8
            END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
        WHERE c.relkind = 'r' AND c.relpersistence IN ('p', 'u')
            AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        ORDER BY c.relpages, n.nspname, c.relname";
    let mut columns = timestamp_columns(client).await?;
    for row in client.query(sql, &[]).await? {
        let oid: u32 = row.get(0);
        let configured = timestamps.get(&oid);
        if wanted.is_some() && configured.is_none() {
            continue;
        }
        let table = Selected {
            oid,
            schema: row.get(1),
            name: row.get(2),
            filenode: row.get(3),
            timestamps: columns.remove(&oid).unwrap_or_default(),
            extent: Extent { pages: u64::try_from(row.get::<_, i64>(8)).unwrap_or(0), written: row.get(9) },
        };
        if row.get::<_, Option<bool>>(7) == Some(true) {
            selection.writable.get_or_insert_with(|| table.text());
        }
        match refusal(&row, user) {
            Some((reason, hint, by_design)) => selection.not_read.push(NotRead {
                database: database.to_owned(),
                table: Some(table.text()),
                reason: reason.to_owned(),
                hint,
                by_design,
            }),
            None => selection.add(table, database, configured.cloned().flatten()),
        }
    }
    if wanted.is_none() {
        let sql = "SELECT greatest(relpages, 0)::int8 FROM pg_class WHERE oid = 'pg_largeobject'::regclass";
        let pages: i64 = client.query_one(sql, &[]).await?.get(0);
        selection.large_object_pages = Some(u64::try_from(pages).unwrap_or(0));
    }
    Ok(selection)
}

impl Selection {
    fn add(&mut self, mut table: Selected, database: &str, configured: Option<String>) {
        if let Some(column) = configured {
            if table.timestamps.contains(&column) {
                table.timestamps = vec![column];
            } else {
                self.not_read.push(NotRead {
                    database: database.to_owned(),
                    table: Some(table.text()),
                    reason: format!("its configured timestamp column `{column}` is no date or timestamp of this table"),
                    hint: Some("correct `timestamp` of this table in the configuration".to_owned()),
                    by_design: false,
                });
                table.timestamps.clear();
            }
        } else {
            table.timestamps.retain(|column| is_usual_timestamp(column));
        }
        self.tables.push(table);
    }
}

/// Why a table is not counted, what to do, and whether no restore could bring it back.
fn refusal(row: &Row, user: &str) -> Option<(&'static str, Option<String>, bool)> {
    let is = |index| row.get::<_, Option<bool>>(index) == Some(true);
    let user = crate::postgres::quote_identifier(user);
    if is(4) {
        return Some(("unlogged: empty after any restore", None, true));
    }
    if !is(5) {
        return Some(("the role may not read it", Some(format!("GRANT pg_read_all_data TO {user};")), false));
    }
    if is(6) {
        let reason = "row-level security would hide rows from the role";
        return Some((reason, Some(format!("as a superuser: ALTER ROLE {user} BYPASSRLS;")), false));
    }
    None
}

/// The oids of the wanted tables, each with its configured column. A partitioned table stands for its leaf partitions.
async fn resolve(
    client: &Client,
    database: &str,
    wanted: &[TableSelection],
    not_read: &mut Vec<NotRead>,
) -> Result<BTreeMap<u32, Option<String>>, Error> {
    let named = "SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2";
    let leaves = "WITH RECURSIVE tree AS (SELECT $1::oid AS oid
            UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
        SELECT c.oid FROM tree JOIN pg_class c USING (oid) WHERE c.relkind = 'r'";
    let mut resolved = BTreeMap::new();
    for table in wanted {
        let row = client.query_opt(named, &[&table.schema, &table.name]).await?;
        let kind: String = row.as_ref().map(|row| row.get(1)).unwrap_or_default();
        let reason = match (row, kind.as_str()) {
            (Some(row), "r") => {
                resolved.insert(row.get::<_, u32>(0), table.timestamp.clone());
                continue;
            }
            (Some(row), "p") => {
                let rows = client.query(leaves, &[&row.get::<_, u32>(0)]).await?;
                resolved.extend(rows.iter().map(|row| (row.get(0), table.timestamp.clone())));
                continue;
            }
            (None, _) => "there is no such table",
            (_, "m") => "a materialized view, which the source can make again",
            (_, "f") => "a foreign table, whose rows are elsewhere",
            _ => "not a table",
        };
        not_read.push(NotRead {
            database: database.to_owned(),
            table: Some(format!("{}.{}", table.schema, table.name)),
            reason: reason.to_owned(),
            hint: Some("correct `tables` of this database in the configuration".to_owned()),
            by_design: false,
        });
    }
    Ok(resolved)
}

/// Every date and timestamp column of every ordinary table, in the order of the columns.
async fn timestamp_columns(client: &Client) -> Result<BTreeMap<u32, Vec<String>>, Error> {
    let sql = "SELECT a.attrelid, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
            AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
        ORDER BY a.attrelid, a.attnum";
    let mut columns: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for row in client.query(sql, &[]).await? {
        columns.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(columns)
}

fn is_usual_timestamp(column: &str) -> bool {
    let plain: String = column.chars().filter(|&letter| letter != '_').flat_map(char::to_lowercase).collect();
    TIMESTAMP_COLUMNS.contains(&plain.as_str())
}

/// Databases that can be connected to: name and oid. Templates only when they are named.
pub async fn databases(client: &Client, named: Option<&BTreeSet<&str>>) -> Result<Vec<(String, u32)>, Error> {
    // A connection limit of -2 marks a database whose removal was interrupted.
    let sql = "SELECT datname::text, oid, datistemplate FROM pg_database
        WHERE datallowconn AND datconnlimit <> -2 ORDER BY datname";
    let rows = client.query(sql, &[]).await?;
    let databases = rows.iter().filter_map(|row| {
        let (name, oid, is_template): (String, u32, bool) = (row.get(0), row.get(1), row.get(2));
        named.map_or(!is_template, |named| named.contains(name.as_str())).then_some((name, oid))
    });
    Ok(databases.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_timestamp_columns_are_recognised_in_any_spelling() {
        for column in ["created_at", "createdAt", "UPDATED_ON", "ts", "date_modified"] {
            assert!(is_usual_timestamp(column), "{column}");
        }
        for column in ["expires_at", "birthday", "valid_until", "tso"] {
            assert!(!is_usual_timestamp(column), "{column}");
        }
    }
}

//! The values of sequences, and the columns that they feed. A value knows no snapshot and no transaction, so it is read
//! twice: before the snapshot, and after the LSN.

use tokio_postgres::{Client, Error};

use super::baseline::{FedColumn, SequenceBaseline};
use super::snapshot::Snapshot;
use crate::postgres::{quote_identifier, quote_literal, rows};

/// Sequences read in one transaction: each keeps a lock until its end.
const AT_ONCE: usize = 100;

/// One sequence as it is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// The file that holds the value; a restart makes another.
    pub filenode: u32,
    /// Negative when it counts down.
    pub increment: i64,
    pub cycle: bool,
    /// Absent when it was never used.
    pub last_value: Option<i64>,
}

/// Which transactions have finished, and whether any runs that could yet write. Prepared ones do not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    running: Option<u64>,
    snapshot: Option<Snapshot>,
}

impl Moment {
    /// No transaction wrote anything between the two moments. It never is quiet on a standby, which does not know what
    /// runs on its primary.
    pub fn is_quiet_until(&self, later: &Self) -> bool {
        // One that ran at the first moment, or began after it, has either finished or still runs.
        later.running == Some(0) && self.snapshot.is_some() && self.snapshot == later.snapshot
    }
}

/// Asks for this moment. Who runs is asked first: whoever finishes after that shows in the snapshot.
pub async fn moment(client: &Client) -> Result<Moment, Error> {
    let running = "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL";
    let rows = rows(client, &format!("{running}; SELECT pg_current_snapshot()::text")).await?;
    let text = |index: usize| rows.get(index).and_then(|row| row.get(0)).unwrap_or_default();
    Ok(Moment { running: text(0).parse().ok(), snapshot: text(1).parse().ok() })
}

/// Lists the sequences that come back with a restore and that the role may read, and how many it may not.
pub async fn list(client: &Client) -> Result<(Vec<u32>, u64), Error> {
    // Conditions are evaluated in any order, and the privilege can only be asked of a sequence.
    let sql = "SELECT c.oid, coalesce(has_schema_privilege(n.oid, 'USAGE')
                AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT, USAGE') END, false)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'S' AND c.relpersistence = 'p' ORDER BY n.nspname, c.relname";
    let (mut readable, mut refused) = (Vec::new(), 0);
    for row in client.query(sql, &[]).await? {
        if row.get(1) { readable.push(row.get(0)) } else { refused += 1 }
    }
    Ok((readable, refused))
}

/// Reads those of the sequences that exist.
pub async fn read(client: &Client, oids: &[u32]) -> Result<Vec<Sequence>, Error> {
    let sql = "SELECT c.oid, n.nspname::text, c.relname::text, s.seqincrement, s.seqcycle,
            CASE c.relkind WHEN 'S' THEN pg_sequence_last_value(c.oid) END, pg_relation_filenode(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
        WHERE c.oid = ANY ($1) AND c.relkind = 'S' ORDER BY n.nspname, c.relname";
    let mut sequences = Vec::new();
    for chunk in oids.chunks(AT_ONCE) {
        let rows = client.query(sql, &[&chunk]).await?;
        sequences.extend(rows.iter().map(|row| Sequence {
            oid: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            increment: row.get(3),
            cycle: row.get(4),
            last_value: row.get(5),
            filenode: row.get::<_, Option<u32>>(6).unwrap_or(0),
        }));
    }
    Ok(sequences)
}

/// What the copy must have reached, from the values before the snapshot and those after the LSN. Sequences that came or
/// went in between are left out.
pub fn at_least(before: &[Sequence], after: Vec<Sequence>) -> Vec<SequenceBaseline> {
    let both = after.into_iter().filter_map(|after| {
        let before = before.iter().find(|before| before.oid == after.oid)?;
        Some(SequenceBaseline { last_value: lesser(before, &after), ..SequenceBaseline::from(after) })
    });
    both.collect()
}

/// The value that was certainly reached at any moment between the two readings. None when there was none, or when the
/// sequence was restarted.
fn lesser(before: &Sequence, after: &Sequence) -> Option<i64> {
    if before.filenode != after.filenode || before.increment.signum() != after.increment.signum() {
        return None;
    }
    let (before, value) = (before.last_value?, after.last_value?);
    Some(if after.increment < 0 { before.max(value) } else { before.min(value) })
}

impl From<Sequence> for SequenceBaseline {
    fn from(sequence: Sequence) -> Self {
        let Sequence { oid, schema, name, increment, cycle, last_value, filenode: _ } = sequence;
        Self { oid, schema, name, increment, cycle, last_value, feeds: None }
    }
}

impl SequenceBaseline {
    /// Whether a sequence that stands at `value` has yet to hand out `other`.
    pub fn is_behind(&self, value: i64, other: i64) -> bool {
        if self.increment < 0 { value > other } else { value < other }
    }
}

/// Sets, for each sequence in use, the column that it feeds, where an index makes the column's last value cheap to read.
/// `begin` is SQL that begins a transaction under the snapshot: one for each table. What cannot be read is left out.
pub async fn feed(client: &Client, begin: &str, sequences: &mut [SequenceBaseline]) {
    let fed = match list_fed(client, begin, sequences).await {
        Ok(fed) => fed,
        Err(error) => {
            tracing::debug!("the columns that sequences feed were not listed: {}", crate::postgres::reason(&error));
            let _ = client.batch_execute("ROLLBACK").await;
            return;
        }
    };
    for fed in fed {
        let Some(sequence) = sequences.iter_mut().find(|sequence| sequence.oid == fed.sequence) else { continue };
        let Some(value) = sequence.last_value else { continue };
        let question = fed.question(sequence.increment < 0);
        // Under an old snapshot a table that was rewritten meanwhile looks empty.
        let sql = format!(
            "{begin}; {question}; SELECT pg_relation_filenode({}::oid) = {}::oid; COMMIT",
            fed.table, fed.filenode
        );
        match rows(client, &sql).await.as_deref() {
            Ok([last, is_same]) if is_same.get(0) == Some("t") => {
                let last = last.get(0).and_then(|last| last.parse().ok());
                let is_behind = last.is_some_and(|last| sequence.is_behind(value, last));
                sequence.feeds = Some(FedColumn { table: fed.table, column: fed.column, is_behind });
            }
            Ok(_) => {}
            // A broken connection fails here as well, and then at every table.
            Err(_) => drop(client.batch_execute("ROLLBACK").await),
        }
    }
}

/// A column that a sequence feeds.
struct Fed {
    sequence: u32,
    table: u32,
    filenode: u32,
    column: i16,
    schema: String,
    table_name: String,
    column_name: String,
}

impl Fed {
    fn question(&self, is_descending: bool) -> String {
        last_value(&self.schema, &self.table_name, &self.column_name, is_descending)
    }
}

/// SQL for the last value of a column that a sequence fed.
pub fn last_value(schema: &str, table: &str, column: &str, is_descending: bool) -> String {
    let last = if is_descending { "min" } else { "max" };
    let [schema, table, column] = [schema, table, column].map(quote_identifier);
    format!("SELECT {last}({column})::int8 FROM ONLY {schema}.{table}")
}

async fn list_fed(client: &Client, begin: &str, sequences: &[SequenceBaseline]) -> Result<Vec<Fed>, Error> {
    let used: Vec<String> = sequences
        .iter()
        .filter(|sequence| sequence.last_value.is_some() && !sequence.cycle)
        .map(|sequence| sequence.oid.to_string())
        .collect();
    if used.is_empty() {
        return Ok(Vec::new());
    }
    // A partitioned table would take a lock on each partition; its sequences are compared with the baseline only.
    let sql = format!(
        "{begin}; SELECT d.objid, c.oid, c.relfilenode, a.attnum, n.nspname, c.relname, a.attname
            FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
            WHERE d.objid = ANY ({}::oid[]) AND d.classid = 'pg_class'::regclass
                AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
                AND c.relkind = 'r' AND c.relpersistence = 'p'
                AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
                AND NOT row_security_active(c.oid)
                AND EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                    WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL
                        AND m.amname = 'btree');
        COMMIT",
        quote_literal(&format!("{{{}}}", used.join(",")))
    );
    let fed = rows(client, &sql).await?;
    let fed = fed.iter().filter_map(|row| {
        let number = |index| row.get(index)?.parse().ok();
        Some(Fed {
            sequence: number(0)?,
            table: number(1)?,
            filenode: number(2)?,
            column: row.get(3)?.parse().ok()?,
            schema: row.get(4)?.to_owned(),
            table_name: row.get(5)?.to_owned(),
            column_name: row.get(6)?.to_owned(),
        })
    });
    Ok(fed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(filenode: u32, increment: i64, last_value: Option<i64>) -> Sequence {
        let (schema, name) = ("public".to_owned(), "s".to_owned());
        Sequence { oid: 7, schema, name, filenode, increment, cycle: false, last_value }
    }

    fn least(before: Sequence, after: Sequence) -> Option<i64> {
        at_least(&[before], vec![after])[0].last_value
    }

    #[test]
    fn the_copy_need_not_be_further_than_the_sequence_was_at_either_reading() {
        assert_eq!(least(sequence(1, 1, Some(5)), sequence(1, 1, Some(9))), Some(5));
        assert_eq!(least(sequence(1, 1, Some(9)), sequence(1, 1, Some(5))), Some(5));
        assert_eq!(least(sequence(1, -1, Some(-5)), sequence(1, -1, Some(-9))), Some(-5));
    }

    #[test]
    fn a_sequence_that_was_restarted_or_not_yet_used_has_reached_nothing() {
        assert_eq!(least(sequence(1, 1, Some(9)), sequence(2, 1, Some(9))), None);
        assert_eq!(least(sequence(1, 1, None), sequence(1, 1, Some(9))), None);
        assert_eq!(least(sequence(1, 1, Some(9)), sequence(1, 1, None)), None);
        assert_eq!(least(sequence(1, 1, Some(9)), sequence(1, -1, Some(9))), None);
    }

    #[test]
    fn it_is_only_quiet_when_nothing_finished_and_nothing_runs() {
        let moment = |running, snapshot: &str| Moment { running: Some(running), snapshot: snapshot.parse().ok() };
        let first = moment(1, "731:731:");
        assert!(first.is_quiet_until(&moment(0, "731:731:")));
        assert!(!first.is_quiet_until(&moment(1, "731:731:")), "what runs may have moved a sequence already");
        assert!(!first.is_quiet_until(&moment(0, "732:732:")));
        let orphan_prepared = moment(0, "700:731:700");
        assert!(orphan_prepared.is_quiet_until(&orphan_prepared));
        assert!(!orphan_prepared.is_quiet_until(&moment(0, "731:731:")));
        let unknown = Moment { running: Some(0), snapshot: None };
        assert!(!unknown.is_quiet_until(&unknown));
    }

    #[test]
    fn a_sequence_that_came_or_went_meanwhile_is_left_out() {
        assert!(at_least(&[], vec![sequence(1, 1, Some(9))]).is_empty());
        assert!(at_least(&[sequence(1, 1, Some(9))], Vec::new()).is_empty());
    }
}

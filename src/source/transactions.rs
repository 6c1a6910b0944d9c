//! Which recent transactions a server has not committed, asked in the same way of the source and of the restored
//! server: a commit that lies behind the archive's end is an abort on the copy.

use tokio_postgres::{Client, Error};

/// How many transactions before a snapshot's end are asked about. One that began earlier and whose commit is the first
/// thing that the archive lacks stays unseen.
const RECENT: u64 = 10_000;

/// Those among the recent transactions below `end` that were aborted or are still in progress, subtransactions
/// included, ascending. Needs no right.
pub async fn uncommitted(client: &Client, end: u64) -> Result<Vec<u64>, Error> {
    // The first transaction that is not PostgreSQL's own is 3.
    let first = end.saturating_sub(RECENT).max(3);
    let question = format!(
        "SELECT xid FROM generate_series({first}::int8, {end}::int8 - 1) AS recent (xid)
         WHERE pg_xact_status(xid::text::xid8) <> 'committed' ORDER BY xid"
    );
    let rows = client.query(&question, &[]).await?;
    Ok(rows.iter().filter_map(|row| u64::try_from(row.get::<_, i64>(0)).ok()).collect())
}

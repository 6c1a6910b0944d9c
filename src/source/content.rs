//! The second pass of a baseline: fingerprints of the rows under the snapshots of the first, one table at a time and
//! only as long as the budget lasts. What does not fit has no fingerprint, and none is estimated.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::{Error, SimpleQueryRow};

use super::baseline::{ContentBaseline, LargeObjectsBaseline, TableBaseline};
use super::count::{Budget, Counted, Open, REWRITTEN, Reading, Trouble, is_same, quoted};
use super::tables::Extent;
use crate::finding::Finding;
use crate::fingerprint::{self, OF_LARGE_OBJECTS, OF_ROWS, Pace, Shape};
use crate::postgres::reason;

/// 8 MiB. Smaller tables are read before all others: they are many, and take little time.
const SMALL_PAGES: u64 = 1024;
const ALTERED: &str = "altered while it was read, or one of its columns' types was";

/// What is to be fingerprinted, of which database.
#[derive(Debug, Clone, Copy)]
struct Task {
    database: usize,
    subject: Subject,
    extent: Extent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// Which of the database's tables.
    Table(usize),
    LargeObjects,
}

/// Fingerprints what was counted, and says in it why something has no fingerprint. Each of `counted` belongs to the
/// reading at its place. Fails only when another server answers.
pub async fn read(readings: &[Reading<'_>], counted: &mut [Counted], limit: Duration) -> Result<(), Box<Finding>> {
    let mut tasks: Vec<Task> = Vec::new();
    for (database, counted) in counted.iter().enumerate() {
        let tables = counted.extents.iter().enumerate();
        tasks.extend(tables.map(|(table, &extent)| Task { database, subject: Subject::Table(table), extent }));
        let extent = counted.large_object_pages.map(|pages| Extent { pages, written: 0.0 });
        tasks.extend(extent.map(|extent| Task { database, subject: Subject::LargeObjects, extent }));
    }
    tasks.sort_by(order);

    let shapes = readings.iter().map(|_| None).collect();
    let mut pass = Pass { readings, open: None, shapes, pace: Pace::default(), until: Instant::now() + limit };
    for task in tasks {
        let counted = &mut counted[task.database];
        match task.subject {
            Subject::Table(table) => {
                let read = pass.table(task, &counted.tables, table).await?;
                let content = read.unwrap_or_else(|trouble| ContentBaseline::NotRead(trouble.said().0));
                counted.tables[table].content = Some(content);
            }
            Subject::LargeObjects => {
                let read = pass.large_objects(task).await?.unwrap_or_else(|trouble| {
                    let (reason, hint) = trouble.said();
                    LargeObjectsBaseline::NotRead { reason, hint }
                });
                counted.large_objects = Some(read);
            }
        }
    }
    for (database, counted) in counted.iter_mut().enumerate() {
        pass.drop_altered(database, &mut counted.tables).await?;
    }
    Ok(())
}

/// The small ones first, database by database; then those that were written to most recently, as far as the server's
/// statistics tell, and of these the smaller ones.
fn order(one: &Task, other: &Task) -> Ordering {
    let is_large = |task: &Task| task.extent.pages > SMALL_PAGES;
    let by_pages = one.extent.pages.cmp(&other.extent.pages);
    match (is_large(one), is_large(other)) {
        (false, false) => one.database.cmp(&other.database).then(by_pages),
        (true, true) => other.extent.written.total_cmp(&one.extent.written).then(by_pages),
        (one, other) => one.cmp(&other),
    }
}

/// Of the tables of one database under its snapshot, or why they are not known.
type Shapes = Result<BTreeMap<u32, Shape>, String>;

struct Pass<'a> {
    readings: &'a [Reading<'a>],
    /// The one connection, and its database.
    open: Option<(usize, Result<Open, String>)>,
    /// Of each database, once they were asked for.
    shapes: Vec<Option<Shapes>>,
    pace: Pace,
    until: Instant,
}

impl Pass<'_> {
    async fn table(
        &mut self,
        task: Task,
        tables: &[TableBaseline],
        table: usize,
    ) -> Result<Result<ContentBaseline, Trouble>, Box<Finding>> {
        let table = &tables[table];
        let shape = match self.shape(task.database, tables, table.oid).await? {
            Ok(shape) if shape.has_names => {
                let reason = "a column holds names of objects, which are looked up when it is read".to_owned();
                return Ok(Err(Trouble::Lasting(reason, None)));
            }
            Ok(shape) => shape.digest,
            Err(reason) => return Ok(Err(Trouble::Lasting(reason, None))),
        };
        if table.rows == 0 {
            return Ok(Ok(ContentBaseline::Fingerprint { sum: "0".to_owned(), shape }));
        }
        let name = quoted(&table.schema, &table.name);
        let question = format!(
            "SELECT count(*), {OF_ROWS} FROM ONLY {name} AS t; {}; SELECT pg_table_size({}) / 8192",
            is_same(&name, table.oid, table.filenode),
            table.oid,
        );
        let answer = |rows: &[SimpleQueryRow]| {
            let [counted, is_same, _] = rows else { return Err(unexpected()) };
            if is_same.get(0) != Some("t") {
                return Err(REWRITTEN);
            }
            let (count, sum) = (number(counted, 0)?, counted.get(1).ok_or_else(unexpected)?.to_owned());
            if count == table.rows { Ok(ContentBaseline::Fingerprint { sum, shape }) } else { Err(unexpected()) }
        };
        Ok(self.ask(task, &question).await?.and_then(|rows| answer(&rows)))
    }

    async fn large_objects(&mut self, task: Task) -> Result<Result<LargeObjectsBaseline, Trouble>, Box<Finding>> {
        let any = "SELECT count(*) FROM pg_largeobject_metadata; SELECT 0";
        let objects = match self.ask(task, any).await?.and_then(|rows| first(&rows).and_then(|row| number(row, 0))) {
            Ok(objects) => objects,
            Err(trouble) => return Ok(Err(trouble)),
        };
        // Whoever may not read them need not be told so when there are none.
        if objects == 0 {
            return Ok(Ok(LargeObjectsBaseline::Fingerprint { objects, pages: 0, sum: "0".to_owned() }));
        }
        let question = format!(
            "SELECT count(*), {OF_LARGE_OBJECTS} FROM pg_largeobject;
            SELECT pg_relation_size('pg_largeobject') / 8192"
        );
        let answer = |rows: &[SimpleQueryRow]| {
            let row = first(rows)?;
            let (pages, sum) = (number(row, 0)?, row.get(1).ok_or_else(unexpected)?.to_owned());
            Ok(LargeObjectsBaseline::Fingerprint { objects, pages, sum })
        };
        Ok(self.ask(task, &question).await?.and_then(|rows| answer(&rows)))
    }

    /// Asks a question whose last answer is the number of pages that it read. A trouble that may pass has a second try.
    async fn ask(&mut self, task: Task, question: &str) -> Result<Result<Vec<SimpleQueryRow>, Trouble>, Box<Finding>> {
        let reading = &self.readings[task.database];
        let budget = self.budget(reading);
        if !self.pace.may_fit(task.extent.pages, budget.left()) {
            return Ok(Err(budget.exceeded()));
        }
        let open = match self.open(task.database).await? {
            Ok(open) => open,
            Err(reason) => return Ok(Err(Trouble::Lasting(reason, None))),
        };
        let mut started = Instant::now();
        let mut asked = reading.ask(open, question, budget).await;
        if matches!(asked, Err(Trouble::Passing(_))) {
            started = Instant::now();
            asked = reading.ask(open, question, budget).await;
        }
        if let Some(pages) = asked.as_ref().ok().and_then(|rows| last_number(rows)) {
            self.pace.add(pages, started.elapsed());
        }
        Ok(asked)
    }

    /// What is left of `limits.content` or `limits.baseline`, whichever ends first.
    fn budget(&self, reading: &Reading) -> Budget {
        let content = Budget { until: self.until, key: "limits.content" };
        let baseline = reading.budget();
        if content.until < baseline.until { content } else { baseline }
    }

    async fn open(&mut self, database: usize) -> Result<Result<&Open, String>, Box<Finding>> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != database) {
            self.open = None;
            let opened = self.readings[database].open().await?.map_err(|error| error.to_string());
            self.open = Some((database, opened));
        }
        let (_, opened) = self.open.as_ref().expect("it was just opened");
        Ok(opened.as_ref().map_err(Clone::clone))
    }

    async fn shape(
        &mut self,
        database: usize,
        tables: &[TableBaseline],
        oid: u32,
    ) -> Result<Result<Shape, String>, Box<Finding>> {
        if self.shapes[database].is_none() {
            let reading = &self.readings[database];
            let shapes = match self.open(database).await? {
                Ok(open) => under_snapshot(reading, open, tables).await.map_err(|error| unknown(&error)),
                Err(reason) => Err(reason),
            };
            self.shapes[database] = Some(shapes);
        }
        let shapes = self.shapes[database].as_ref().expect("they were just asked for");
        Ok(shapes.as_ref().map(|shapes| shapes.get(&oid).cloned().unwrap_or_default()).map_err(Clone::clone))
    }

    /// A snapshot does not protect against ALTER TABLE or ALTER TYPE: rows are written as text by the catalog of the
    /// moment. So a fingerprint holds only if nothing was altered between the snapshot and its end.
    async fn drop_altered(&mut self, database: usize, tables: &mut [TableBaseline]) -> Result<(), Box<Finding>> {
        let is_read = |table: &TableBaseline| matches!(table.content, Some(ContentBaseline::Fingerprint { .. }));
        if !tables.iter().any(is_read) {
            return Ok(());
        }
        let still = match self.open(database).await? {
            Ok(open) => fingerprint::shapes(&open.client, &oids(tables)).await.map_err(|error| unknown(&error)),
            Err(reason) => Err(reason),
        };
        for table in tables.iter_mut() {
            let Some(ContentBaseline::Fingerprint { shape, .. }) = &table.content else { continue };
            let reason = match &still {
                Ok(still) if still.get(&table.oid).map_or("", |still| still.digest.as_str()) == shape => continue,
                Ok(_) => ALTERED,
                Err(reason) => reason,
            };
            table.content = Some(ContentBaseline::NotRead(reason.to_owned()));
        }
        Ok(())
    }
}

async fn under_snapshot(
    reading: &Reading<'_>,
    open: &Open,
    tables: &[TableBaseline],
) -> Result<BTreeMap<u32, Shape>, Error> {
    let client = &open.client;
    client.batch_execute(&reading.begin(reading.limits.statement)).await?;
    let shapes = fingerprint::shapes(client, &oids(tables)).await;
    client.batch_execute("ROLLBACK").await?;
    shapes
}

fn oids(tables: &[TableBaseline]) -> Vec<u32> {
    tables.iter().map(|table| table.oid).collect()
}

fn unknown(error: &Error) -> String {
    format!("its columns could not be listed: {}", reason(error))
}

fn unexpected() -> Trouble {
    Trouble::Lasting("the server gave an unexpected answer".to_owned(), None)
}

fn first(rows: &[SimpleQueryRow]) -> Result<&SimpleQueryRow, Trouble> {
    rows.first().ok_or_else(unexpected)
}

fn number(row: &SimpleQueryRow, column: usize) -> Result<u64, Trouble> {
    row.get(column).and_then(|number| number.parse().ok()).ok_or_else(unexpected)
}

fn last_number(rows: &[SimpleQueryRow]) -> Option<u64> {
    rows.last()?.get(0)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(database: usize, pages: u64, written: f64) -> Task {
        Task { database, subject: Subject::LargeObjects, extent: Extent { pages, written } }
    }

    #[test]
    fn small_tables_come_first_and_then_what_was_written_to_last() {
        let mut tasks = [
            task(0, 9000, 5.0),
            task(1, 2000, f64::INFINITY),
            task(1, 10, 0.0),
            task(0, 1024, f64::INFINITY),
            task(0, 7000, 5.0),
            task(0, 1025, 0.0),
            task(0, 20, 0.0),
        ];
        tasks.sort_by(order);
        let pages: Vec<u64> = tasks.iter().map(|task| task.extent.pages).collect();
        assert_eq!(pages, [20, 1024, 10, 2000, 7000, 9000, 1025]);
    }
}

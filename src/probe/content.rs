//! Do the rows and the large objects hold what the source's held? The scan that counts a table makes its fingerprint
//! too, as long as there is time; what was not compared is said in tables and in rows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::Compared;
use super::tables::{Observed, is_damage, lost, rows};
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::fingerprint::{self, OF_LARGE_OBJECTS, Pace, Shape};
use crate::postgres::{milliseconds, reason};
use crate::report::text::{count, grouped};
use crate::source::baseline::{ContentBaseline, LargeObjectsBaseline, TableBaseline};

/// Tables that were not compared and are named.
const NAMED: usize = 10;
/// The OID of `pg_largeobject`.
const LARGE_OBJECTS: u32 = 2613;
const OUT_OF_TIME: &str = "did not fit into limits.content";

/// What the restored server said when it was asked for a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Sum(String),
    /// Why there is none, for a reason that says nothing about the rows.
    None(String),
    /// PostgreSQL itself says that the data is damaged.
    Damaged(String),
    /// The rows cannot be read, and it is not known why. The source's could.
    Unreadable(String),
}

/// An error that is no damage; see [`is_damage`].
impl From<&Error> for Answer {
    fn from(error: &Error) -> Self {
        match error.code().map(SqlState::code) {
            Some("57014") => Self::None(OUT_OF_TIME.to_owned()),
            // Locks, resources, cancelled; a library or a feature that this machine lacks.
            Some("55P03" | "58P01" | "42883" | "0A000") => Self::None(reason(error)),
            Some(code) if ["40", "53", "57"].iter().any(|class| code.starts_with(class)) => Self::None(reason(error)),
            _ => Self::Unreadable(reason(error)),
        }
    }
}

/// How much of the baseline's rows was compared, value by value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentSummary {
    /// Whose rows have the baseline's fingerprint.
    pub tables_equal: u64,
    pub rows_equal: u64,
    /// Whose rows were not compared.
    pub tables_not_compared: u64,
    pub rows_not_compared: u64,
    pub large_objects_equal: u64,
}

/// What all databases came to.
pub struct Contents {
    until: Instant,
    pace: Pace,
    here: Here,
    summary: ContentSummary,
    not_compared: Vec<NotCompared>,
    troubles: Vec<Finding>,
}

/// The tables of the database at hand.
#[derive(Default)]
struct Here {
    shapes: BTreeMap<u32, Shape>,
    pages: BTreeMap<u32, u64>,
    /// Why the shapes are not known.
    unknown: Option<String>,
}

struct NotCompared {
    object: String,
    rows: u64,
    reason: String,
}

/// What one table came to.
enum Judged {
    Equal,
    NotCompared(String),
    Trouble(Box<Finding>),
}

impl Contents {
    /// All databases share the time until the deadline.
    pub fn new(until: Instant) -> Self {
        Self {
            until,
            pace: Pace::default(),
            here: Here::default(),
            summary: ContentSummary::default(),
            not_compared: Vec::new(),
            troubles: Vec::new(),
        }
    }

    /// Before the first table of a database.
    pub async fn enter(&mut self, compared: &Compared<'_>) {
        let tables: Vec<u32> = compared.database.tables.iter().map(|table| table.oid).collect();
        self.here = Here::default();
        match fingerprint::shapes(compared.client, &tables).await {
            Ok(shapes) => self.here.shapes = shapes,
            Err(error) => self.here.unknown = Some(format!("its columns could not be listed: {}", reason(&error))),
        }
        let sql = "SELECT c.oid, greatest(c.relpages, 0)::int8 + coalesce(greatest(t.relpages, 0), 0)::int8
            FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = ANY ($1)";
        let pages = compared.client.query(sql, &[&tables]).await.unwrap_or_default();
        let page = |row: &tokio_postgres::Row| (row.get(0), u64::try_from(row.get::<_, i64>(1)).unwrap_or(0));
        self.here.pages = pages.iter().map(page).collect();
    }

    /// How long a table's fingerprint may take, or why none is asked for.
    pub fn limit(&self, table: &TableBaseline) -> Result<Duration, String> {
        let shape = match &table.content {
            Some(ContentBaseline::Fingerprint { shape, .. }) => shape,
            Some(ContentBaseline::NotRead(reason)) => return Err(reason.clone()),
            None => return Err("the baseline has no fingerprint of it".to_owned()),
        };
        if let Some(reason) = &self.here.unknown {
            return Err(reason.clone());
        }
        if self.here.shapes.get(&table.oid).map_or("", |here| here.digest.as_str()) != shape {
            return Err("its columns or their types are not those of the baseline".to_owned());
        }
        let left = self.left();
        let pages = self.here.pages.get(&table.oid).copied().unwrap_or(0);
        if left.is_zero() || !self.pace.may_fit(pages, left) {
            return Err(OUT_OF_TIME.to_owned());
        }
        Ok(left)
    }

    /// Judges a table; `asked` is what [`Self::limit`] said. True when its rows are not the baseline's.
    pub fn add(
        &mut self,
        database: &str,
        table: &TableBaseline,
        asked: Result<Duration, String>,
        observed: Option<&Observed>,
    ) -> bool {
        if let Some(Observed { content: Some(Answer::Sum(_)), pace: (pages, took), .. }) = observed {
            self.pace.add(*pages, *took);
        }
        let object = format!("{database}: {}.{}", table.schema, table.name);
        let has_foreign_types = self.here.shapes.get(&table.oid).is_some_and(|shape| shape.has_foreign_types);
        match judge(&object, table, asked, observed, has_foreign_types) {
            Judged::Equal => {
                self.summary.tables_equal += 1;
                self.summary.rows_equal += table.rows;
            }
            Judged::NotCompared(reason) => {
                self.summary.tables_not_compared += 1;
                self.summary.rows_not_compared += table.rows;
                self.not_compared.push(NotCompared { object, rows: table.rows, reason });
            }
            Judged::Trouble(finding) => {
                self.troubles.push(*finding);
                return true;
            }
        }
        false
    }

    /// Compares the large objects of one database.
    pub async fn large_objects(&mut self, compared: &Compared<'_>) {
        let name = &compared.database.name;
        let undecided = |summary: String| Finding::not_checked(Code::LargeObjectContent, summary).of(name);
        let (objects, pages, sum) = match &compared.database.large_objects {
            Some(LargeObjectsBaseline::Fingerprint { objects, pages, sum }) => (*objects, *pages, sum),
            Some(LargeObjectsBaseline::NotRead { reason, hint }) => {
                let summary = format!("the large objects of {name} are not in the baseline: {reason}");
                let finding = undecided(summary);
                return self.troubles.push(Finding { hint: hint.clone(), ..finding });
            }
            None => return,
        };
        let expected = LargeObjects { objects, pages, sum: sum.clone(), written_since: 0 };
        let found = match self.read_large_objects(compared, objects).await {
            Ok(found) if found == expected => {
                self.summary.large_objects_equal += objects;
                return;
            }
            Ok(found) => found,
            Err(Answer::Damaged(reason)) => {
                let summary = format!("large objects of {name} cannot be read whole");
                let finding = lost(Code::LargeObjectContent, summary, name).expected(expected.text()).observed(reason);
                return self.troubles.push(finding);
            }
            Err(Answer::Unreadable(reason)) => {
                let summary = format!("large objects of {name} cannot be read");
                let finding = Finding::failed(Code::LargeObjectContent, Blame::Unknown, summary).of(name);
                return self.troubles.push(finding.expected(expected.text()).observed(reason).hint(BY_HAND));
            }
            Err(Answer::None(reason) | Answer::Sum(reason)) => {
                return self.troubles.push(undecided(format!("large objects of {name} were not compared: {reason}")));
            }
        };
        let is_same_count = (found.objects, found.pages) == (objects, pages);
        let finding = if found.written_since > 0 || (!compared.certificate.is_exact() && !is_same_count) {
            undecided(format!("large objects of {name} differ; transactions beyond the baseline may explain it"))
        } else {
            lost(Code::LargeObjectContent, format!("large objects of {name} differ from the baseline"), name)
        };
        self.troubles.push(finding.expected(expected.text()).observed(found.text()));
    }

    async fn read_large_objects(&self, compared: &Compared<'_>, expected: u64) -> Result<LargeObjects, Answer> {
        match self.ask_for_large_objects(compared, expected).await {
            Ok(answered) => answered,
            Err(error) if is_damage(compared.client, LARGE_OBJECTS, &error).await => {
                Err(Answer::Damaged(reason(&error)))
            }
            Err(error) => Err((&error).into()),
        }
    }

    async fn ask_for_large_objects(
        &self,
        compared: &Compared<'_>,
        expected: u64,
    ) -> Result<Result<LargeObjects, Answer>, Error> {
        let Compared { client, certificate, next_xid, .. } = compared;
        let counted =
            "SELECT count(*)::int8, pg_snapshot_xmax(pg_current_snapshot())::text FROM pg_largeobject_metadata";
        let row = client.query_one(counted, &[]).await?;
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let (objects, now) = (number(row.get(0)), row.get::<_, String>(1).parse().unwrap_or(u64::MAX));
        if objects == 0 && expected == 0 {
            return Ok(Ok(LargeObjects { objects, pages: 0, sum: "0".to_owned(), written_since: 0 }));
        }
        let left = self.left();
        if left.is_zero() {
            return Ok(Err(Answer::None(OUT_OF_TIME.to_owned())));
        }
        let since = certificate.may_have_written_row(*next_xid, now);
        let question = format!(
            "SELECT count(*)::int8, {OF_LARGE_OBJECTS}, count(*) FILTER (WHERE {since})::int8
                + (SELECT count(*) FROM pg_largeobject_metadata WHERE {since})::int8
            FROM pg_largeobject"
        );
        client.batch_execute(&format!("SET statement_timeout = {}", milliseconds(left))).await?;
        let answered = client.query_one(&question, &[]).await;
        client.batch_execute("SET statement_timeout = 0").await?;
        let row = answered?;
        Ok(Ok(LargeObjects { objects, pages: number(row.get(0)), sum: row.get(1), written_since: number(row.get(2)) }))
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    pub fn summary(&self) -> ContentSummary {
        self.summary.clone()
    }

    /// The findings: what passed in one, what was not compared in another, each difference in one of its own.
    pub fn sum(self) -> Vec<Finding> {
        let Self { summary, mut not_compared, troubles, .. } = self;
        let has_failed =
            |code| troubles.iter().any(|trouble| trouble.code == code && trouble.outcome != Outcome::Passed);
        let mut findings = Vec::new();
        let (equal, missed) = (summary.tables_equal, summary.tables_not_compared);
        if equal > 0 && !has_failed(Code::TableContent) {
            let compared = if missed == 0 {
                format!("{}, {}", count(equal, "table", "tables"), rows(summary.rows_equal))
            } else {
                let share = share(summary.rows_equal, summary.rows_equal + summary.rows_not_compared);
                format!("{} of {}{share}", grouped(equal), count(equal + missed, "table", "tables"))
            };
            findings.push(Finding::passed(Code::TableContent, compared));
        }
        if summary.large_objects_equal > 0 && !has_failed(Code::LargeObjectContent) {
            let objects = count(summary.large_objects_equal, "large object", "large objects");
            findings.push(Finding::passed(Code::LargeObjectContent, objects));
        }
        if !not_compared.is_empty() {
            not_compared.sort_by(|one, other| other.rows.cmp(&one.rows).then_with(|| one.object.cmp(&other.object)));
            let share = share(summary.rows_not_compared, summary.rows_equal + summary.rows_not_compared);
            let tables = count(missed, "table was", "tables were");
            let summary = format!("the values in the rows of {tables} not compared{share}");
            let named = not_compared.iter().take(NAMED).map(|missed| format!("{} ({})", missed.object, missed.reason));
            let mut named: Vec<String> = named.collect();
            if not_compared.len() > NAMED {
                named.push(format!("and {} more", grouped((not_compared.len() - NAMED) as u64)));
            }
            let finding = Finding::not_checked(Code::TableContent, summary).observed(named.join("; "));
            let is_late = not_compared.iter().any(|missed| missed.reason == OUT_OF_TIME);
            let hint = if is_late { "raise `limits.content`" } else { "their counts and timestamps were compared" };
            findings.push(finding.hint(hint));
        }
        findings.extend(troubles);
        findings
    }
}

const BY_HAND: &str = "run the drill with --keep and read them by hand";

#[derive(Debug, PartialEq, Eq)]
struct LargeObjects {
    objects: u64,
    pages: u64,
    sum: String,
    written_since: u64,
}

impl LargeObjects {
    fn text(&self) -> String {
        let (objects, pages) = (count(self.objects, "object", "objects"), count(self.pages, "page", "pages"));
        format!("{objects} in {pages}, fingerprint {}", self.sum)
    }
}

fn judge(
    object: &str,
    table: &TableBaseline,
    asked: Result<Duration, String>,
    observed: Option<&Observed>,
    has_foreign_types: bool,
) -> Judged {
    let not_compared = |reason: &str| Judged::NotCompared(reason.to_owned());
    let trouble = |finding: Finding| Judged::Trouble(Box::new(finding));
    if let Err(reason) = asked {
        return Judged::NotCompared(reason);
    }
    let (Some(observed), Some(ContentBaseline::Fingerprint { sum: expected, .. })) = (observed, &table.content) else {
        return not_compared("it could not be read");
    };
    let text = |sum: &str| format!("{}, fingerprint {sum}", rows(table.rows));
    if observed.filenode != table.filenode {
        return not_compared("it was rewritten after the baseline");
    }
    if let Some(Answer::Damaged(reason)) = &observed.content {
        let finding = lost(Code::TableContent, format!("rows of {object} cannot be read whole"), object);
        return trouble(finding.expected(text(expected)).observed(reason));
    }
    if observed.rows != table.rows {
        return not_compared("its row count differs");
    }
    if observed.rows_written_since > 0 {
        return not_compared("it has rows that were written after the baseline");
    }
    match &observed.content {
        Some(Answer::Sum(sum)) if sum == expected => Judged::Equal,
        // The same bytes may be written as another text by a library of another version.
        Some(Answer::Sum(sum)) if has_foreign_types => trouble(
            Finding::failed(
                Code::TableContent,
                Blame::Unknown,
                format!("rows of {object} differ, or their library does"),
            )
            .of(object)
            .expected(text(expected))
            .observed(text(sum))
            .hint("restore with the source's own image, which has the same extensions"),
        ),
        Some(Answer::Sum(sum)) => {
            let finding = lost(Code::TableContent, format!("rows of {object} differ from the baseline"), object);
            trouble(finding.expected(text(expected)).observed(text(sum)))
        }
        Some(Answer::Unreadable(reason)) => trouble(
            Finding::failed(Code::TableContent, Blame::Unknown, format!("rows of {object} cannot be read"))
                .of(object)
                .expected(text(expected))
                .observed(reason)
                .hint(BY_HAND),
        ),
        Some(Answer::None(reason) | Answer::Damaged(reason)) => not_compared(reason),
        None => not_compared("it could not be read"),
    }
}

/// `, 98.7 % of all rows`; never rounded up, and nothing where there is no row.
fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let permille = u64::try_from(u128::from(part) * 1000 / u128::from(whole)).unwrap_or(1000);
    format!(", {}.{} % of all rows", permille / 10, permille % 10)
}

//! Reads catalogs and version tables of the source: each question in a short transaction of its own under the holder's
//! snapshot, within the limits of the baseline.

use tokio_postgres::SimpleQueryRow;

use super::{Catalog, Digest, MOST, Question};
use crate::source::count::{Open, Reading};
use crate::source::migrations::{self, MigrationsBaseline, VersionTable};

/// An expression in the place of who wrote a row, which only the copy is asked.
const NOBODY: &str = "''";

impl Reading<'_> {
    /// Reads the answers to all questions; what could not be read is in the catalog with its reason.
    pub async fn catalog(&self, open: &Open, questions: &[Question]) -> Catalog {
        let mut catalog = Catalog::default();
        for question in questions {
            let kind = question.kind.to_owned();
            let answer = self.asked(open, &question.sql(NOBODY)).await;
            let section = catalog.section(question);
            let reason = match answer {
                Ok(rows) if rows.len() <= MOST => {
                    let text = |row: &SimpleQueryRow, index| row.get(index).unwrap_or_default().to_owned();
                    section.facts.insert(kind, rows.iter().map(|row| (text(row, 0), text(row, 1))).collect());
                    continue;
                }
                Ok(_) => match self.asked(open, &question.digest(NOBODY)).await.map(|rows| Digest::of(&rows)) {
                    Ok(Some((digest, _))) => {
                        section.digests.insert(kind, digest);
                        continue;
                    }
                    Ok(None) => "the server gave an unexpected answer".to_owned(),
                    Err(reason) => reason,
                },
                Err(reason) => reason,
            };
            section.not_read.insert(kind, reason);
        }
        catalog
    }

    /// Reads the version tables of migration tools, and says which it could not read.
    pub async fn migrations(&self, open: &Open) -> (Vec<MigrationsBaseline>, Vec<String>) {
        let (mut migrations, mut not_read) = (Vec::new(), Vec::new());
        let tables = match self.asked(open, &migrations::find()).await {
            Ok(rows) => rows.iter().filter_map(VersionTable::of).collect(),
            Err(reason) => {
                not_read.push(format!("tables of migrations were not looked for: {reason}"));
                Vec::new()
            }
        };
        for table in tables {
            let answer = self.asked(open, &table.question()).await;
            match answer.map(|rows| table.answer(&rows)) {
                Ok(Some(read)) => migrations.push(read),
                Ok(None) => not_read.push(format!("{} was rewritten while it was read", table.text())),
                Err(reason) => not_read.push(format!("{} was not read: {reason}", table.text())),
            }
        }
        (migrations, not_read)
    }

    async fn asked(&self, open: &Open, sql: &str) -> Result<Vec<SimpleQueryRow>, String> {
        self.ask(open, sql, self.budget()).await.map_err(|trouble| trouble.said().0)
    }
}

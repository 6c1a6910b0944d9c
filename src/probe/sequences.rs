//! Is a sequence behind what was handed out? By the baseline's values, and by the column that it feeds. Values that were
//! handed out before come again otherwise.

use tokio_postgres::{Client, Error};

use super::{Compared, Found, not_asked};
use crate::finding::{Blame, Code, Finding};
use crate::postgres::reason;
use crate::report::text::count;
use crate::source::baseline::{FedColumn, SequenceBaseline};
use crate::source::sequences::{self, last_value};

/// How many have a finding of their own, and how many a note names.
const NAMED: usize = 10;

/// One sequence of the restored server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Absent when it was never used.
    pub last_value: Option<i64>,
    /// The last value that it fed to its column; absent when nothing was asked.
    pub fed: Option<i64>,
}

/// What one sequence came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    Passed,
    /// Its values have no order.
    Cycles,
    /// Behind the column that it feeds, as on the source.
    BehindOnTheSourceToo,
    Behind(Finding),
}

/// Compares one database.
pub async fn probe(compared: &Compared<'_>) -> Found {
    let Compared { client, database, .. } = *compared;
    let oids: Vec<u32> = database.sequences.iter().map(|sequence| sequence.oid).collect();
    let restored = match sequences::read(client, &oids).await {
        Ok(restored) => restored,
        Err(error) => {
            return Found { compared: 0, findings: vec![not_asked(Code::SequenceBehind, &error).of(&database.name)] };
        }
    };
    let mut found = Found::default();
    let (mut cycling, mut behind_too) = (Vec::new(), Vec::new());
    for expected in &database.sequences {
        let name = format!("{}.{}", expected.schema, expected.name);
        let mut fed = None;
        if let Some(column) = &expected.feeds {
            fed = last_fed(client, column, expected.increment < 0).await.unwrap_or_else(|error| {
                let summary = format!("the column that sequence {name} feeds could not be read: {}", reason(&error));
                let finding = Finding::not_checked(Code::SequenceBehind, summary);
                found.findings.push(finding.of(format!("{}: {name}", database.name)));
                None
            });
        }
        let restored = restored.iter().find(|restored| restored.oid == expected.oid);
        let restored = restored.map(|restored| Restored { last_value: restored.last_value, fed });
        match judge(&database.name, expected, restored, compared.is_settled()) {
            Judged::Passed => {}
            Judged::Cycles => {
                cycling.push(name);
                continue;
            }
            Judged::BehindOnTheSourceToo => behind_too.push(name),
            Judged::Behind(finding) => found.findings.push(finding),
        }
        found.compared += 1;
    }
    found.findings = bounded(found.findings, &database.name);
    if !cycling.is_empty() {
        let summary =
            format!("{} that may begin again is not compared", count(cycling.len() as u64, "sequence", "sequences"));
        found.findings.push(note(summary, &database.name, &cycling));
    }
    if !behind_too.is_empty() {
        let number = count(behind_too.len() as u64, "sequence", "sequences");
        let summary = format!("{number} of {} behind the column fed, on the source too", database.name);
        let finding = note(summary, &database.name, &behind_too);
        found.findings.push(finding.hint("on the source, move it on with setval(): an insert would collide"));
    }
    found
}

/// The last value of the column; None when the table or the column is not there.
async fn last_fed(client: &Client, column: &FedColumn, is_descending: bool) -> Result<Option<i64>, Error> {
    let named = "SELECT n.nspname::text, c.relname::text, a.attname::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = $2 AND NOT a.attisdropped
        WHERE c.oid = $1 AND c.relkind = 'r' AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)";
    let Some(row) = client.query_opt(named, &[&column.table, &column.column]).await? else { return Ok(None) };
    let question = last_value(row.get(0), row.get(1), row.get(2), is_descending);
    Ok(client.query_one(&question, &[]).await?.get(0))
}

/// Judges one sequence. `is_settled` says that nothing could move it between the baseline's reading and the stop.
pub fn judge(database: &str, expected: &SequenceBaseline, restored: Option<Restored>, is_settled: bool) -> Judged {
    let name = format!("{}.{}", expected.schema, expected.name);
    let behind = |summary: String, wanted: String, observed: String| {
        let finding = if is_settled {
            Finding::failed(Code::SequenceBehind, Blame::Backups, summary)
                .hint("the backup is not what the source held: make a new base backup, keep this one for analysis")
        } else {
            let summary = format!("{summary}; a transaction beside the baseline may explain it");
            Finding::not_checked(Code::SequenceBehind, summary)
                .hint("run the drill again; at a quieter time nothing else can explain it")
        };
        Judged::Behind(finding.of(format!("{database}: {name}")).expected(wanted).observed(observed))
    };
    let beyond = if expected.increment < 0 { "or less" } else { "or more" };
    let text = |value: Option<i64>| value.map_or("never used".to_owned(), |value| value.to_string());
    let Some(restored) = restored else {
        let wanted = expected.last_value.map_or("a sequence".to_owned(), |value| format!("{value} {beyond}"));
        return behind(format!("sequence {name} of {database} is not there"), wanted, "no such sequence".to_owned());
    };
    if expected.cycle {
        return Judged::Cycles;
    }
    if let Some(value) = expected.last_value
        && restored.last_value.is_none_or(|found| expected.is_behind(found, value))
    {
        let fed = restored.fed.map_or(String::new(), |fed| format!(", and its column holds {fed}"));
        let observed = format!("{}{fed}", text(restored.last_value));
        let summary = format!("sequence {name} of {database} is behind: values that were handed out come again");
        return behind(summary, format!("{value} {beyond}"), observed);
    }
    match (&expected.feeds, restored.last_value, restored.fed) {
        (Some(column), Some(value), Some(fed)) if expected.is_behind(value, fed) => {
            if column.is_behind {
                return Judged::BehindOnTheSourceToo;
            }
            let summary = format!("sequence {name} of {database} is behind the column that it feeds");
            behind(summary, format!("{fed} {beyond}, as its column holds"), text(restored.last_value))
        }
        _ => Judged::Passed,
    }
}

/// No more findings than a person reads; the rest is one, as grave as the gravest of them.
fn bounded(mut findings: Vec<Finding>, database: &str) -> Vec<Finding> {
    // Those that failed first.
    findings.sort_by_key(|finding| finding.blame.is_none());
    let rest = findings.split_off(findings.len().min(NAMED));
    if let Some(first) = rest.into_iter().reduce(|first, _| first) {
        let more = findings.len();
        findings.push(
            Finding { summary: format!("more than {more} sequences of {database} are behind"), ..first }.of(database),
        );
    }
    findings
}

fn note(summary: String, database: &str, names: &[String]) -> Finding {
    let more = names.len().saturating_sub(NAMED);
    let first = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Finding::note(Code::SequenceBehind, summary).of(database).observed(first + &more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(increment: i64, last_value: Option<i64>) -> SequenceBaseline {
        let (schema, name) = ("public".to_owned(), "s".to_owned());
        SequenceBaseline { oid: 7, schema, name, increment, cycle: false, last_value, feeds: None }
    }

    fn feeding(last_value: i64, is_behind: bool) -> SequenceBaseline {
        let feeds = Some(FedColumn { table: 8, column: 1, is_behind });
        SequenceBaseline { feeds, ..expected(1, Some(last_value)) }
    }

    fn at(last_value: i64) -> Restored {
        Restored { last_value: Some(last_value), fed: None }
    }

    fn holding(last_value: i64, fed: i64) -> Restored {
        Restored { last_value: Some(last_value), fed: Some(fed) }
    }

    fn settled(expected: &SequenceBaseline, restored: Option<Restored>) -> Judged {
        judge("shop", expected, restored, true)
    }

    #[track_caller]
    fn assert_blames_backups(judged: &Judged) {
        assert!(matches!(judged, Judged::Behind(finding) if finding.blames_backups()), "{judged:?}");
    }

    #[test]
    fn the_copy_may_be_ahead_and_never_behind() {
        assert_eq!(settled(&expected(1, Some(5)), Some(at(5))), Judged::Passed);
        assert_eq!(settled(&expected(1, Some(5)), Some(at(37))), Judged::Passed);
        assert_blames_backups(&settled(&expected(1, Some(5)), Some(at(4))));
        assert_blames_backups(&settled(&expected(1, Some(5)), Some(Restored { last_value: None, fed: None })));
        assert_blames_backups(&settled(&expected(1, None), None));
        assert_eq!(settled(&expected(1, None), Some(Restored { last_value: None, fed: None })), Judged::Passed);
    }

    #[test]
    fn one_that_counts_down_is_behind_when_it_is_higher() {
        assert_eq!(settled(&expected(-1, Some(-5)), Some(at(-37))), Judged::Passed);
        assert_blames_backups(&settled(&expected(-1, Some(-5)), Some(at(-4))));
    }

    #[test]
    fn one_that_cycles_has_no_order_but_must_be_there() {
        let cycling = SequenceBaseline { cycle: true, ..expected(1, Some(5)) };
        assert_eq!(settled(&cycling, Some(at(1))), Judged::Cycles);
        assert_blames_backups(&settled(&cycling, None));
    }

    #[test]
    fn behind_its_column_is_a_fault_only_where_the_source_is_not() {
        assert_eq!(settled(&feeding(5, false), Some(holding(37, 5))), Judged::Passed);
        assert_blames_backups(&settled(&feeding(5, false), Some(holding(5, 6))));
        assert_eq!(settled(&feeding(5, true), Some(holding(5, 6))), Judged::BehindOnTheSourceToo);
    }

    #[test]
    fn what_a_transaction_may_explain_blames_nobody() {
        for (expected, restored) in
            [(expected(1, Some(5)), Some(at(4))), (expected(1, None), None), (feeding(5, false), Some(holding(5, 6)))]
        {
            let judged = judge("shop", &expected, restored, false);
            assert!(matches!(&judged, Judged::Behind(finding) if finding.blame.is_none()), "{judged:?}");
        }
    }

    #[test]
    fn a_thousand_lost_sequences_are_a_few_findings_that_still_fail() {
        let Judged::Behind(finding) = settled(&expected(1, Some(5)), Some(at(4))) else { panic!("it is behind") };
        let findings = bounded(vec![finding; 1000], "shop");
        assert_eq!(findings.len(), NAMED + 1);
        assert!(findings[NAMED].blames_backups() && findings[NAMED].summary.contains("more than 10 sequences"));
    }
}

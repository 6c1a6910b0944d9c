//! Situations that SQL alone makes share one source, one base backup and two drills: with the baseline of a superuser,
//! and with that of a reader who owns nothing. Each file brings its SQL and asserts about its own objects.

use std::panic;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::prepared::SERVER;
use crate::support::{Outcome, Postgres};
use crate::{Source, assert_nothing_differs, drill, names_of_all_kinds, read_document, rows_in};

/// SQL by database.
type Sql = &'static [(&'static str, &'static str)];

/// What one file brings.
pub struct Situation {
    /// Comes back from the base backup.
    pub before: Sql,
    /// Comes back from WAL.
    pub after: Sql,
}

const SITUATIONS: [&Situation; 24] = [
    &crate::columns_by_the_thousand::SITUATION,
    &crate::database_without_connections::SITUATION,
    &crate::foreign_tables::SITUATION,
    &crate::generated_columns::SITUATION,
    &crate::icu_collations::SITUATION,
    &crate::index_kinds::SITUATION,
    &crate::infinite_timestamps::SITUATION,
    &crate::invalid_index::SITUATION,
    &crate::large_objects::SITUATION,
    &crate::login_settings::SITUATION,
    &names_of_all_kinds::SITUATION,
    &crate::names_that_shadow::SITUATION,
    &crate::other_encodings::SITUATION,
    &crate::owners_that_cannot_act::SITUATION,
    &crate::partitions_by_the_hundred::SITUATION,
    &crate::publications_and_subscriptions::SITUATION,
    &crate::rows_against_their_constraint::SITUATION,
    &crate::sequence_behind_its_column::SITUATION,
    &crate::sequence_caches::SITUATION,
    &crate::table_without_columns::SITUATION,
    &crate::types_of_its_own::SITUATION,
    &crate::unpopulated_materialized_view::SITUATION,
    // It rewrites what the others made.
    &crate::rewritten_before_the_baseline::SITUATION,
    // From here on nobody may change a definition.
    &crate::event_triggers::SITUATION,
];

/// What came of all situations together: for each role the baseline document and the drill.
pub struct Settled {
    drills: Vec<(Value, Outcome)>,
}

/// The drills are made once; every case looks at them.
pub fn settled() -> &'static Settled {
    static SETTLED: OnceLock<Option<Settled>> = OnceLock::new();
    let settled = SETTLED.get_or_init(|| panic::catch_unwind(settle).ok());
    settled.as_ref().expect("the situations could not be drilled; the case that came first shows why")
}

impl Settled {
    /// Every role counted so many rows in this table, and the copy has them all.
    #[track_caller]
    pub fn holds(&self, database: &str, schema: &str, table: &str, rows: u64) {
        for (document, outcome) in &self.drills {
            assert_eq!(rows_in(document, database, (schema, table)), Some(rows), "{database}: {schema}.{table}");
            let report = outcome.report();
            let name = format!("{schema}.{table}");
            let mut results = report["restore"]["tables"].as_array().unwrap().iter();
            let result = results.find(|it| it["database"] == database && it["table"] == name.as_str());
            let result = result.unwrap_or_else(|| panic!("{name} is not in the report"));
            assert_eq!((&result["rows_observed"], &result["comparison"]), (&json!(rows), &json!("exact")), "{name}");
        }
    }

    /// This is no table of which a copy could have fewer rows: nobody counts it, or asks for it.
    #[track_caller]
    pub fn leaves_out(&self, database: &str, schema: &str, table: &str) {
        for document in self.documents() {
            assert_eq!(rows_in(document, database, (schema, table)), None, "{database}: {schema}.{table}");
            let missed = document["not_read"].as_array().unwrap();
            assert!(missed.iter().all(|it| it["table"] != format!("{schema}.{table}")), "{missed:?}");
        }
    }

    /// The document as the superuser, and as the reader, wrote it.
    pub fn documents(&self) -> impl Iterator<Item = &Value> {
        self.drills.iter().map(|(document, _)| document)
    }
}

#[test]
fn in_all_situations_together_nothing_differs() {
    for (_, outcome) in &settled().drills {
        assert_nothing_differs(outcome);
    }
}

fn settle() -> Settled {
    // Subscriptions and logical slots need this level.
    let source = Source::without_backup(Postgres::builder().setting("wal_level", "logical"));
    run(&source, |situation| situation.before);
    source.barman().backup(&source.postgres, SERVER, &[]);
    run(&source, |situation| situation.after);

    let as_user =
        |user: &str| source.walproof().connection(&source.postgres).set("/sources/0/connection/user", json!(user));
    let documents = ["postgres", names_of_all_kinds::READER]
        .map(|user| source.baseline(&as_user(user), &format!("{}.json", user.len())));
    source.write();
    source.postgres.archive_wal();
    let drills = documents.iter().map(|document| {
        (read_document(document), drill(&source.walproof().baseline(document).set("/limits/archiveWait", json!("60s"))))
    });
    Settled { drills: drills.collect() }
}

fn run(source: &Source, part: impl Fn(&Situation) -> Sql) {
    for (database, sql) in SITUATIONS.iter().flat_map(|situation| part(situation)) {
        source.postgres.sql(database, sql);
    }
}

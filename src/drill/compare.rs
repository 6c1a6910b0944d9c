//! The comparing probes: every database of the baseline beside the restored one, under one certificate for each.

use std::time::Instant;

use tokio_postgres::Client;

use super::evidence::Evidence;
use crate::finding::{Blame, Code, Finding};
use crate::plan::Plan;
use crate::postgres::ConnectError;
use crate::probe::certificate::{self, Certificate};
use crate::probe::content::Contents;
use crate::probe::tables::{self, Comparison, TableResult};
use crate::probe::{Compared, Found, access, catalog, migrations, queries, roles, schema, sequences};
use crate::sandbox::Sandbox;
use crate::source::baseline::{Baseline, DatabaseBaseline};
use crate::source::catalog::of_database;
use crate::target::{Choice, Stop};

/// What the databases came to, one after the other.
struct Results {
    tables: Vec<TableResult>,
    certificates: Vec<(String, Certificate)>,
    timestamp_columns: u64,
    /// What the tables and the databases themselves gave reason to say.
    troubles: Vec<Finding>,
    contents: Contents,
    schema: Vec<Found>,
    migrations: Vec<Found>,
    roles: Vec<Found>,
    privileges: Vec<Found>,
    sequences: Vec<Found>,
    access: Vec<Found>,
    queries: Vec<Found>,
}

/// Compares everything that the baseline holds. Nothing here writes.
pub async fn compare(
    baseline: &Baseline,
    choice: &Choice,
    next_xid: u64,
    sandbox: &Sandbox,
    plan: &Plan,
    evidence: &mut Evidence,
) {
    let mut results = Results {
        tables: Vec::new(),
        certificates: Vec::new(),
        timestamp_columns: 0,
        troubles: Vec::new(),
        contents: Contents::new(Instant::now() + plan.limits.content),
        schema: Vec::new(),
        migrations: Vec::new(),
        roles: Vec::new(),
        privileges: Vec::new(),
        sequences: Vec::new(),
        access: Vec::new(),
        queries: Vec::new(),
    };
    for database in &baseline.databases {
        let (client, certificate) = match open(baseline, database, choice, next_xid, sandbox).await {
            Ok(opened) => opened,
            Err(findings) => {
                results.troubles.extend(findings);
                continue;
            }
        };
        let compared = Compared {
            client: &client,
            baseline,
            database,
            certificate: &certificate,
            next_xid,
            by_operator: matches!(sandbox, Sandbox::Operator(_)),
            is_past_lsn: !choice.short_of_baseline,
        };
        read_tables(&compared, &mut results).await;
        results.contents.large_objects(&compared).await;
        compare_catalogs(&compared, &mut results).await;
        results.sequences.push(sequences::probe(&compared).await);
        results.access.push(access::probe(&compared).await);
        results.queries.push(queries::probe(&compared, &plan.queries, plan.limits.statement).await);
        results.certificates.push((database.name.clone(), certificate));
    }
    evidence.add(certificate::describe(&results.certificates));
    let timestamps_failed = results.troubles.iter().any(|finding| finding.code == Code::TableTimestamps);
    evidence.extend(tables::sum(&results.tables, results.timestamp_columns, timestamps_failed));
    evidence.extend(results.troubles);
    evidence.tables(results.tables);
    if let Some(restore) = &mut evidence.restore {
        restore.content = Some(results.contents.summary());
    }
    evidence.extend(results.contents.sum());
    for (code, found, (singular, plural)) in [
        (Code::SchemaObjects, results.schema, ("object", "objects")),
        (Code::SchemaMigrations, results.migrations, ("migration", "migrations")),
        (Code::RoleDefinition, results.roles, ("role, membership or setting", "roles, memberships and settings")),
        (Code::RolePrivileges, results.privileges, ("object", "objects")),
        (Code::SequenceBehind, results.sequences, ("sequence", "sequences")),
        (Code::ServerRoleAccess, results.access, ("role that owns tables", "roles that own tables")),
    ] {
        evidence.extend(Found::sum(code, found, singular, plural));
    }
    if !plan.queries.is_empty() {
        let findings = queries::unasked(&plan.queries, baseline);
        results.queries.push(Found { compared: 0, findings });
        evidence.extend(Found::sum(Code::QueryAnswer, results.queries, "query", "queries"));
    }
}

/// Connects to one database and certifies it.
async fn open(
    baseline: &Baseline,
    database: &DatabaseBaseline,
    choice: &Choice,
    next_xid: u64,
    sandbox: &Sandbox,
) -> Result<(Client, Certificate), Vec<Finding>> {
    let client = match sandbox.connect(&database.name).await {
        Ok(client) => client,
        // One that was dropped by a transaction between snapshot and LSN is not lost.
        Err(error @ ConnectError::NoSuchDatabase(_))
            if baseline.exact && choice.stop == Stop::BeforeLsn(baseline.lsn) =>
        {
            let finding = Finding::failed(
                Code::TableRowCount,
                Blame::Backups,
                format!("database {} is not there", database.name),
            )
            .of(&database.name)
            .expected(format!("a database with {} tables", database.tables.len()))
            .observed(error.to_string())
            .hint("the backup is not what the source held: make a new base backup, keep this one for analysis");
            return Err(vec![finding]);
        }
        Err(error) => {
            let summary = format!("database {} could not be asked: {error}", database.name);
            return Err(vec![Finding::not_checked(Code::TableRowCount, summary).of(&database.name)]);
        }
    };
    match certificate::certify(&client, &database.snapshot, baseline, &choice.stop, next_xid).await {
        Ok(certificate) => Ok((client, certificate)),
        Err(finding) => Err(vec![
            Finding::not_checked(Code::TableRowCount, "the certificate could not be made").of(&database.name),
            finding,
        ]),
    }
}

async fn compare_catalogs(compared: &Compared<'_>, results: &mut Results) {
    let questions = of_database(compared.baseline.server.version_number);
    let expected = compared.database.catalog.as_ref();
    let restored = catalog::read(compared.client, &questions, expected, compared.certificate).await;
    results.schema.push(schema::probe(compared, &restored));
    results.privileges.push(roles::probe(compared, &restored));
    results.migrations.push(migrations::probe(compared).await);
    let is_first = compared.baseline.databases.first().is_some_and(|first| first.oid == compared.database.oid);
    if is_first {
        let (roles, privileges) = roles::shared(compared).await;
        results.roles.push(roles);
        results.privileges.push(privileges);
    }
}

async fn read_tables(compared: &Compared<'_>, results: &mut Results) {
    results.contents.enter(compared).await;
    for table in &compared.database.tables {
        let limit = results.contents.limit(table);
        let read = tables::read(compared, table, limit.as_ref().ok().copied()).await;
        let observed = read.as_ref().ok().and_then(Option::as_ref);
        let is_different = results.contents.add(&compared.database.name, table, limit, observed);
        let (mut result, findings) = tables::judge(&compared.database.name, table, read, compared.certificate);
        if result.comparison != Comparison::NotChecked && result.rows_observed.is_some() {
            results.timestamp_columns += table.timestamps.len() as u64;
        }
        if is_different && result.comparison == Comparison::Exact {
            result.comparison = Comparison::Different;
        }
        results.tables.push(result);
        results.troubles.extend(findings);
    }
}

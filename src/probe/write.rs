//! Can the restored server be written to, by its superuser and by the roles that own what is in it? Each database gets a
//! schema of a random name, which is removed again; each role also reads what is its own.

use std::fmt::Write as _;

use tokio_postgres::{Client, Error};

use super::Found;
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::postgres::{quote_identifier, reason};
use crate::report::text::count;
use crate::source::access;

/// How many of its own tables each role reads: the smallest.
const TABLES: i64 = 20;

/// Settings that keep what the source has made of its own from deciding: event triggers, and access methods that take no
/// update. Nothing waits for a standby, and a lock of a restored prepared transaction is not waited for long.
const SETTINGS: &str = "SET session_replication_role = replica; SET synchronous_commit = local; \
     SET default_tablespace = ''; SET default_table_access_method = heap; \
     SET lock_timeout = '2s'; SET statement_timeout = '20s'";

/// What one database came to.
#[derive(Debug, Clone, Default)]
pub struct Written {
    pub found: Found,
    /// How many roles beside the superuser read and wrote.
    pub roles: u64,
}

/// Writes to one database, in a schema of its own that it removes again.
pub async fn probe(client: &Client, database: &str) -> Written {
    let mut written = Written::default();
    let schema = match begin(client).await {
        Ok(schema) => schema,
        Err(error) => {
            let summary = format!("database {database} could not be written to");
            written.found.findings.push(refused(client, &error, summary, database.to_owned()).await);
            return written;
        }
    };
    written.found.compared = 1;
    if let Err(trouble) = use_table(client, &schema, "by_superuser").await {
        let summary = format!("database {database} cannot be written to");
        written.found.findings.push(trouble.finding(client, summary, database.to_owned()).await);
    } else {
        by_roles(client, database, &schema, &mut written).await;
    }
    let dropped = client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await;
    // After a failure nothing else is to be expected, and the schema goes with the sandbox.
    if let Err(error) = dropped
        && written.found.findings.is_empty()
    {
        let summary = format!("what was written to database {database} could not be removed from it again");
        written.found.findings.push(refused(client, &error, summary, database.to_owned()).await);
    }
    written
}

/// The findings of all databases, and the sum of what passed.
pub fn sum(all: Vec<Written>) -> Vec<Finding> {
    let roles: u64 = all.iter().map(|written| written.roles).sum();
    let found = all.into_iter().map(|written| written.found).collect();
    let mut findings = Found::sum(Code::ServerWrite, found, "database", "databases");
    if let Some(sum) = findings.first_mut().filter(|sum| sum.outcome == Outcome::Passed) {
        let roles = match roles {
            0 => "their superuser; no other role owns a table".to_owned(),
            _ => format!("their superuser and {}", count(roles, "owner of tables", "owners of tables")),
        };
        let _ = write!(sum.summary, ", written to by {roles}");
    }
    findings
}

/// The quoted name of a schema that was not there before.
async fn begin(client: &Client) -> Result<String, Error> {
    client.batch_execute(SETTINGS).await?;
    let name = "SELECT 'walproof_' || replace(gen_random_uuid()::text, '-', '')";
    let schema = quote_identifier(client.query_one(name, &[]).await?.get(0));
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    Ok(schema)
}

/// Why a table could not be used.
enum Trouble {
    Refused(Error),
    /// The answer was another than what was written.
    Wrong(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Trouble {
    async fn finding(self, client: &Client, summary: String, object: String) -> Finding {
        match self {
            Self::Refused(error) => refused(client, &error, summary, object).await,
            Self::Wrong(observed) => Finding::failed(Code::ServerWrite, Blame::Unknown, summary)
                .of(object)
                .expected(WRITTEN)
                .observed(observed)
                .hint("run the drill with --keep and write to it by hand"),
        }
    }
}

/// What [`use_table`] leaves: rows, updated ones, and the length of a value that lies out of line.
const WRITTEN: &str = "80 rows, 40 of them updated, 64000 bytes out of line";

/// Creates, inserts, updates, deletes and reads, each in a transaction of its own.
async fn use_table(client: &Client, schema: &str, name: &str) -> Result<(), Trouble> {
    let table = format!("{schema}.{}", quote_identifier(name));
    for statement in [
        format!("CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL)"),
        format!("INSERT INTO {table} (body) SELECT 'inserted' FROM generate_series(1, 100)"),
        format!("UPDATE {table} SET body = 'updated' WHERE id % 2 = 0"),
        format!("DELETE FROM {table} WHERE id % 5 = 0"),
        format!(
            "UPDATE {table} SET body = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) n) WHERE id = 1"
        ),
    ] {
        client.batch_execute(&statement).await?;
    }
    let question = format!(
        "SELECT count(*)::text || ' rows, ' || count(*) FILTER (WHERE body = 'updated') || ' of them updated, '
            || max(length(body)) || ' bytes out of line' FROM {table}"
    );
    let observed: String = client.query_one(&question, &[]).await?.get(0);
    if observed == WRITTEN { Ok(()) } else { Err(Trouble::Wrong(observed)) }
}

/// Reads and writes under each login role that owns tables here.
async fn by_roles(client: &Client, database: &str, schema: &str, written: &mut Written) {
    let access = match access::read(client, None).await {
        Ok(access) => access,
        Err(error) => {
            let summary = format!("which roles own tables of {database} could not be asked: {}", reason(&error));
            return written.found.findings.push(Finding::not_checked(Code::ServerWrite, summary).of(database));
        }
    };
    for role in &access.roles {
        let acted = act(client, schema, &role.role, role.oid).await;
        // Also after an error; where this fails, whatever comes next fails too.
        let _ = client.batch_execute("RESET ROLE").await;
        match acted {
            Ok(()) => written.roles += 1,
            Err((trouble, doing)) => {
                let summary = format!("role {} cannot {doing} in {database}", role.role);
                let object = format!("{database}: {}", role.role);
                written.found.findings.push(trouble.finding(client, summary, object).await);
            }
        }
    }
    if access.left_out > 0 {
        let summary =
            format!("{} of {database} was not tried", count(access.left_out, "further role", "further roles"));
        written.found.findings.push(Finding::note(Code::ServerWrite, summary).of(database));
    }
}

async fn act(client: &Client, schema: &str, role: &str, oid: u32) -> Result<(), (Trouble, String)> {
    let quoted = quote_identifier(role);
    let begin = format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {quoted}");
    let failed = |error: Error, doing: &str| (Trouble::Refused(error), doing.to_owned());
    client.batch_execute(&begin).await.map_err(|error| failed(error, "be granted anything"))?;
    let own = own_tables(client, oid).await.map_err(|error| failed(error, "be asked about"))?;
    client.batch_execute(&format!("SET ROLE {quoted}")).await.map_err(|error| failed(error, "be taken on"))?;
    for (table, name) in own {
        let read = client.batch_execute(&format!("SELECT FROM ONLY {table} LIMIT 1")).await;
        read.map_err(|error| failed(error, &format!("read its own table {name}")))?;
    }
    use_table(client, schema, &format!("by_{oid}")).await.map_err(|trouble| (trouble, "write".to_owned()))
}

/// Tables of the role's own that it should reach: quoted, and as a person reads them. Row-level security may run
/// anything, so tables with it are left out, as are those of another drill that writes to the same server.
async fn own_tables(client: &Client, role: u32) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND NOT c.relrowsecurity
            AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^walproof_'
            AND pg_has_role($1::oid, c.relowner, 'USAGE') AND has_schema_privilege($1::oid, n.oid, 'USAGE')
            AND has_table_privilege($1::oid, c.oid, 'SELECT')
        ORDER BY c.relpages, n.nspname, c.relname LIMIT $2";
    let rows = client.query(sql, &[&role, &TABLES]).await?;
    let named = |row: &tokio_postgres::Row| {
        let (schema, table): (String, String) = (row.get(0), row.get(1));
        (format!("{}.{}", quote_identifier(&schema), quote_identifier(&table)), format!("{schema}.{table}"))
    };
    Ok(rows.iter().map(named).collect())
}

/// What PostgreSQL's refusal says about whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The data directory is not what PostgreSQL wrote.
    Damaged,
    /// No room, no memory, a broken disk.
    NoMeans,
    /// Somebody's lock, or the time limit.
    Waited,
    /// Something that runs inside of the database raised it.
    Raised,
    Unknown,
}

fn classify(code: &str, message: &str, was_raised_inside: bool) -> Refusal {
    let of_relation = ["\"base/", "\"global/", "\"pg_tblspc/"].iter().any(|path| message.contains(path));
    let of_catalog = ["cache lookup failed", "could not open relation", "could not find", "catalog is missing"];
    match code {
        "XX001" | "XX002" => Refusal::Damaged,
        // A file of a relation, not a library.
        "58P01" if of_relation => Refusal::Damaged,
        "XX000" if of_catalog.iter().any(|start| message.starts_with(start)) => Refusal::Damaged,
        "55P03" | "57014" => Refusal::Waited,
        "58030" => Refusal::NoMeans,
        _ if code.starts_with("53") => Refusal::NoMeans,
        _ if was_raised_inside => Refusal::Raised,
        _ => Refusal::Unknown,
    }
}

/// Puts a refusal into words. Only damage blames the backups.
async fn refused(client: &Client, error: &Error, summary: String, object: String) -> Finding {
    let refusal = match error.as_db_error() {
        Some(refusal) => {
            // The context names the function that raised it. Without an event trigger none runs in a schema of ours.
            let was_raised = refusal.where_().is_some() && has_event_trigger(client).await;
            classify(refusal.code().code(), refusal.message(), was_raised)
        }
        None => Refusal::Unknown,
    };
    let failed = |blame| Finding::failed(Code::ServerWrite, blame, &summary);
    let finding = match refusal {
        Refusal::Damaged => failed(Blame::Backups)
            .expected("a database that can be written to")
            .hint("try CREATE TABLE on the source: if it works there, make a new base backup and keep this one"),
        Refusal::NoMeans => failed(Blame::Environment).hint("give the sandbox more room or memory, and run it again"),
        Refusal::Waited => Finding::not_checked(Code::ServerWrite, &summary)
            .hint("look at pg_prepared_xacts of the source: a prepared transaction may have come back with its lock"),
        Refusal::Raised => {
            Finding::note(Code::ServerWrite, format!("{summary}: the source's own event trigger refuses"))
                .hint("writing was not tried; let the trigger pass over the superuser to have it tried")
        }
        Refusal::Unknown => failed(Blame::Unknown).hint("run the drill with --keep and write to it by hand"),
    };
    finding.of(object).observed(reason(error))
}

/// Whether an event trigger fires in spite of [`SETTINGS`].
async fn has_event_trigger(client: &Client) -> bool {
    // What was refused may have left the session in the role's place.
    let _ = client.batch_execute("RESET ROLE").await;
    let sql = "SELECT EXISTS (SELECT FROM pg_event_trigger WHERE evtenabled IN ('A', 'R'))";
    client.query_one(sql, &[]).await.is_ok_and(|row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_damage_blames_the_backups() {
        for (code, message) in [
            ("XX001", "could not read block 0 in file \"base/16384/2608\": read only 0 of 8192 bytes"),
            ("XX002", "index \"pg_depend_depender_index\" contains unexpected zero page at block 3"),
            ("58P01", "could not open file \"base/16384/2673\": No such file or directory"),
            ("58P01", "impossible d'ouvrir le fichier \"base/16384/2673\": Aucun fichier"),
            ("XX000", "cache lookup failed for type 20"),
        ] {
            assert_eq!(classify(code, message, false), Refusal::Damaged, "{message}");
        }
        for (code, message, expected) in [
            ("58P01", "could not access file \"$libdir/postgis-3\": No such file or directory", Refusal::Unknown),
            ("53100", "could not extend file \"base/16384/2608\": No space left on device", Refusal::NoMeans),
            ("58030", "could not read block 0 in file \"base/16384/2608\": Input/output error", Refusal::NoMeans),
            ("XX000", "extension must be preloaded", Refusal::Unknown),
            ("55P03", "canceling statement due to lock timeout", Refusal::Waited),
            ("57014", "canceling statement due to statement timeout", Refusal::Waited),
            ("25006", "cannot execute CREATE SCHEMA in a read-only transaction", Refusal::Unknown),
            ("42501", "permission denied for table notes", Refusal::Unknown),
        ] {
            assert_eq!(classify(code, message, false), expected, "{message}");
        }
    }

    #[test]
    fn what_an_event_trigger_raises_is_its_own_unless_it_met_damage() {
        assert_eq!(classify("P0001", "no DDL at night", true), Refusal::Raised);
        assert_eq!(classify("42501", "no DDL at night", true), Refusal::Raised);
        assert_eq!(classify("XX001", "invalid page in block 0 of relation base/16384/2608", true), Refusal::Damaged);
    }

    #[test]
    fn the_sum_says_who_wrote() {
        let written = |roles| Written { found: Found { compared: 1, findings: Vec::new() }, roles };
        let summary = |all| sum(all)[0].summary.clone();
        assert_eq!(
            summary(vec![written(0), written(2)]),
            "2 databases, written to by their superuser and 2 owners of tables"
        );
        assert_eq!(summary(vec![written(0)]), "1 database, written to by their superuser; no other role owns a table");
    }
}

//! Whether the baseline's role could write, and the role that could not.

use tokio_postgres::Client;

use crate::finding::{Code, Finding};

/// A role that may read everything that a baseline needs, and write nothing. Its password is set separately.
pub const READ_ONLY_ROLE: &str = "CREATE ROLE walproof LOGIN; GRANT pg_monitor, pg_read_all_data TO walproof; \
     ALTER ROLE walproof SET default_transaction_read_only = on;";
/// Before PostgreSQL 14 there is no role that reads all data.
const READ_ONLY_ROLE_13: &str = "CREATE ROLE walproof LOGIN; GRANT pg_monitor TO walproof; \
     GRANT SELECT ON ALL TABLES IN SCHEMA public TO walproof; \
     ALTER ROLE walproof SET default_transaction_read_only = on;";

/// What the role might do on the whole server, in words.
pub async fn powers(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let sql = "SELECT
            EXISTS (SELECT FROM pg_roles WHERE rolsuper AND pg_has_role(oid, 'MEMBER')),
            EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_write_all_data' AND pg_has_role(oid, 'MEMBER')),
            has_function_privilege('pg_catalog.pg_create_restore_point(text)', 'EXECUTE'),
            has_function_privilege('pg_catalog.pg_switch_wal()', 'EXECUTE')";
    let row = client.query_one(sql, &[]).await?;
    // A superuser has everything else as well.
    if row.get(0) {
        return Ok(vec!["is or may become a superuser".to_owned()]);
    }
    let texts = ["may write all data", "may create restore points", "may switch WAL"];
    let powers = texts.iter().enumerate().filter(|(index, _)| row.get(index + 1));
    Ok(powers.map(|(_, text)| (*text).to_owned()).collect())
}

/// Whether the role may create schemas in this database.
pub async fn power_in(client: &Client, database: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let row = client.query_one("SELECT has_database_privilege(current_database(), 'CREATE')", &[]).await?;
    Ok(row.get::<_, bool>(0).then(|| format!("may create schemas in {database}")))
}

/// One note about everything the role could do.
pub fn note(user: &str, powers: &[String], version_number: u32) -> Option<Finding> {
    let role = if version_number < 140_000 { READ_ONLY_ROLE_13 } else { READ_ONLY_ROLE };
    (!powers.is_empty()).then(|| {
        Finding::note(Code::SourceRoleCanWrite, format!("role {user} could write to the source"))
            .of(user)
            .expected("a role that can only read")
            .observed(powers.join(", "))
            .hint(format!("create a role that can only read, and set its password: {role}"))
    })
}

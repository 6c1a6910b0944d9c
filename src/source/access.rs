//! What the roles that own tables can reach, by PostgreSQL's own privilege functions. They show the state of now, not a
//! snapshot's.

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Error};

/// How many roles are looked at in each database: those that own most.
pub const ROLES: u64 = 20;

/// One role's own tables in one database: those that it owns itself or by a membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAccess {
    pub role: String,
    pub oid: u32,
    /// It has the CONNECT privilege.
    pub connects: bool,
    pub tables: u64,
    /// Those of them that it may use the schema of, and select from.
    pub reached: u64,
}

/// What one database says.
#[derive(Debug, Clone, Default)]
pub struct Access {
    pub roles: Vec<RoleAccess>,
    /// A table out of reach, by the role's OID.
    pub out_of_reach: Vec<(u32, String)>,
    /// Roles beyond [`ROLES`].
    pub left_out: u64,
}

/// Asks about the roles with these OIDs; without any, about the login roles that own most. Superusers reach everything
/// and are left out.
pub async fn read(client: &Client, roles: Option<&[u32]>) -> Result<Access, Error> {
    // An owner has its own privileges unless an access list says otherwise, so few tables have to be asked about.
    let sql = "WITH tables AS MATERIALIZED (
            SELECT c.oid, c.relnamespace, c.relowner, c.relacl IS NULL AS is_plain, n.nspname || '.' || c.relname AS name
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
                AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')),
        owners AS MATERIALIZED (SELECT relowner, count(*) AS owned FROM tables GROUP BY relowner),
        roles AS MATERIALIZED (
            SELECT r.oid, r.rolname, sum(o.owned) AS owned, count(*) OVER () AS known
            FROM pg_roles r JOIN owners o ON pg_has_role(r.oid, o.relowner, 'USAGE')
            WHERE NOT r.rolsuper AND CASE WHEN $1::oid[] IS NULL THEN r.rolcanlogin ELSE r.oid = ANY ($1) END
            GROUP BY r.oid, r.rolname ORDER BY owned DESC, r.rolname LIMIT $2),
        schemas AS MATERIALIZED (
            SELECT r.oid AS role, s.relnamespace, has_schema_privilege(r.oid, s.relnamespace, 'USAGE') AS is_usable
            FROM roles r CROSS JOIN (SELECT DISTINCT relnamespace FROM tables) s),
        pairs AS MATERIALIZED (
            SELECT r.oid, r.rolname, r.known, t.name, coalesce(
                s.is_usable AND (t.is_plain OR has_table_privilege(r.oid, t.oid, 'SELECT')), false) AS is_reached
            FROM roles r JOIN owners o ON pg_has_role(r.oid, o.relowner, 'USAGE') JOIN tables t USING (relowner)
                JOIN schemas s ON s.role = r.oid AND s.relnamespace = t.relnamespace)
        SELECT rolname::text, oid, has_database_privilege(oid, current_database(), 'CONNECT'), count(*)::int8,
            count(*) FILTER (WHERE is_reached)::int8, min(name) FILTER (WHERE NOT is_reached), max(known)::int8
        FROM pairs GROUP BY oid, rolname ORDER BY rolname";
    let limit = i64::try_from(ROLES).unwrap_or(i64::MAX);
    let mut access = Access::default();
    for row in client.query(sql, &[&roles, &limit]).await? {
        let number = |index| u64::try_from(row.get::<_, i64>(index)).unwrap_or(0);
        let oid = row.get(1);
        access.roles.push(RoleAccess {
            role: row.get(0),
            oid,
            connects: row.get::<_, Option<bool>>(2) == Some(true),
            tables: number(3),
            reached: number(4),
        });
        access.out_of_reach.extend(row.get::<_, Option<String>>(5).map(|table| (oid, table)));
        access.left_out = number(6).saturating_sub(ROLES);
    }
    Ok(access)
}

//! Which server answers: its identity, asked of every connection, and the facts that a restore needs to know.

use std::fmt;

use tokio_postgres::{Client, SimpleQueryRow};

use super::archiver::{LSN, TIMELINE};
use super::baseline::{RoleBaseline, Server, TablespaceBaseline};
use crate::archive::wal::{SegmentSize, Timeline};
use crate::finding::{Blame, Code, Finding};
use crate::plan::Plan;
use crate::postgres::reason;

/// What two connections must agree about to be connections to the same server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub system_identifier: String,
    pub in_recovery: bool,
    pub timeline: u32,
    /// When the postmaster started, in seconds and fractions since 1970: unlike an address, no proxy hides it.
    pub started: String,
    /// Absent on a Unix socket. Only shown, not compared: one server may have several.
    pub address: Option<String>,
}

impl Identity {
    /// SQL that answers with one row for [`Self::of`].
    pub fn sql() -> String {
        format!(
            "SELECT (SELECT system_identifier FROM pg_control_system())::text, pg_is_in_recovery()::text,
                ({TIMELINE})::text, extract(epoch FROM pg_postmaster_start_time())::text, inet_server_addr()::text"
        )
    }

    /// `None` when the row is not an answer to [`Self::sql`].
    pub fn of(row: &SimpleQueryRow) -> Option<Self> {
        Some(Self {
            system_identifier: row.get(0)?.to_owned(),
            in_recovery: row.get(1)? == "true",
            timeline: row.get(2)?.parse().ok()?,
            started: row.get(3)?.to_owned(),
            address: row.get(4).map(str::to_owned),
        })
    }

    /// Fails when `other` answered from another server.
    pub fn agree(&self, other: &Self) -> Result<(), Box<Finding>> {
        if *self == (Self { address: self.address.clone(), ..other.clone() }) {
            return Ok(());
        }
        Err(Box::new(mixed(&self.to_string(), &other.to_string())))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.in_recovery { "standby" } else { "primary" };
        let Self { system_identifier, timeline, started, .. } = self;
        write!(formatter, "{kind} of system {system_identifier}, timeline {timeline}, started {started}")?;
        self.address.iter().try_for_each(|address| write!(formatter, ", at {address}"))
    }
}

/// The finding for connections that reached different servers.
pub fn mixed(expected: &str, observed: &str) -> Finding {
    Finding::failed(Code::SourceMixedServers, Blame::Environment, "the connections reached different servers")
        .expected(expected)
        .observed(observed)
        .hint("point `connection.host` at one instance (such as the -rw service), not at a pooler or load balancer")
}

/// Reads what does not change during a capture.
pub async fn facts(client: &Client, identity: &Identity) -> Result<Server, Box<Finding>> {
    let sql = "SELECT current_setting('server_version_num')::int8, current_setting('server_version'),
            (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size'),
            coalesce((SELECT rolname::text FROM pg_roles WHERE oid = 10), 'postgres'), current_setting('archive_mode'),
            (SELECT setting::int8 FROM pg_settings WHERE name = 'archive_timeout'),
            current_setting('data_checksums') = 'on'";
    let row = client.query_one(sql, &[]).await.map_err(|error| not_captured("ask the server about itself", &error))?;
    let sql =
        "SELECT spcname::text, oid FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY oid";
    let spaces = client.query(sql, &[]).await.map_err(|error| not_captured("list the tablespaces", &error))?;
    let tablespaces = spaces.iter().map(|row| TablespaceBaseline { name: row.get(0), oid: row.get(1) }).collect();
    let number = |index| u64::try_from(row.get::<_, i64>(index)).unwrap_or(0);
    Ok(Server {
        system_identifier: identity.system_identifier.clone(),
        version_number: u32::try_from(number(0)).unwrap_or(0),
        version: row.get(1),
        timeline: Timeline(identity.timeline),
        segment_size: SegmentSize::new(number(2)).unwrap_or(SegmentSize::DEFAULT),
        in_recovery: identity.in_recovery,
        superuser: row.get(3),
        archive_mode: row.get(4),
        archive_timeout_seconds: number(5),
        data_checksums: row.get(6),
        tablespaces,
        roles: roles(client).await.map_err(|error| not_captured("list the roles", &error))?,
        catalog: None,
    })
}

/// All roles, by OID.
pub async fn roles(client: &Client) -> Result<Vec<RoleBaseline>, tokio_postgres::Error> {
    let rows = client.query("SELECT rolname::text, oid FROM pg_roles ORDER BY oid", &[]).await?;
    Ok(rows.iter().map(|row| RoleBaseline { name: row.get(0), oid: row.get(1) }).collect())
}

/// Refuses a standby that is not up to date: its baseline would be an old one. A standby whose last commit is old is up
/// to date when its primary streams to it and has nothing more to send.
pub async fn check_lag(client: &Client, plan: &Plan) -> Result<(), Box<Finding>> {
    let sql = format!(
        "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8,
            EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'
                AND last_msg_receipt_time > clock_timestamp() - interval '2 minutes'
                AND ({LSN}) >= least(pg_last_wal_receive_lsn(), latest_end_lsn))"
    );
    let row =
        client.query_one(&sql, &[]).await.map_err(|error| not_captured("ask the standby how old it is", &error))?;
    let age: Option<f64> = row.get(0);
    let is_current: bool = row.get(1);
    let limit = plan.freshness.max_wal_age;
    if is_current || age.is_some_and(|age| age <= limit.as_secs_f64()) {
        return Ok(());
    }
    let observed = age.map_or("no commit replayed yet".to_owned(), |age| format!("a commit of {age:.0} s ago"));
    Err(Box::new(
        Finding::failed(Code::SourceReplicaLag, Blame::Source, "the standby that was asked lags behind its primary")
            .expected(format!("a last replayed commit within {} s, or nothing left to replay", limit.as_secs()))
            .observed(observed)
            .hint("point `connection.host` at the primary, or see why the standby does not replay"),
    ))
}

/// The finding for a question that the source did not answer.
pub fn not_captured(doing: &str, error: &tokio_postgres::Error) -> Finding {
    let blame = if error.is_closed() { Blame::Environment } else { Blame::Baseline };
    Finding::failed(Code::BaselineNotCaptured, blame, format!("failed to {doing}"))
        .observed(reason(error))
        .hint("the baseline's role needs pg_monitor and pg_read_all_data")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            system_identifier: "7500000000000000000".to_owned(),
            in_recovery: false,
            timeline: 1,
            started: "1800000000.123456".to_owned(),
            address: Some("10.0.0.1".to_owned()),
        }
    }

    #[test]
    fn one_server_may_have_two_addresses() {
        assert!(identity().agree(&Identity { address: None, ..identity() }).is_ok());
    }

    #[test]
    fn connections_to_different_servers_are_refused() {
        for other in [
            Identity { system_identifier: "1".to_owned(), ..identity() },
            Identity { in_recovery: true, ..identity() },
            Identity { timeline: 2, ..identity() },
            Identity { started: "1800000000.123457".to_owned(), ..identity() },
        ] {
            let finding = identity().agree(&other).unwrap_err();
            assert_eq!(finding.code, Code::SourceMixedServers);
            assert_eq!(finding.blame, Some(Blame::Environment));
        }
    }
}

//! Connections to PostgreSQL: the source's, read-only and over TLS, and the restored server's, over its Unix socket.
//! Every session gets the same settings, so that both sides write values the same way.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::authority;
use crate::error::chain;
use crate::plan::{Authority, Connection, Tls};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Covers what the connect limit does not: the TLS handshake and the log-in.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Whatever the role or the database has set: both sides write values the same way and see the same rows.
const VALUES: [(&str, &str); 9] = [
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("row_security", "off"),
    ("search_path", "pg_catalog"),
    ("standard_conforming_strings", "on"),
];

/// What a session is limited to. Zero means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Session {
    pub read_only: bool,
    pub statement: Duration,
    pub lock: Duration,
    pub idle_in_transaction: Duration,
}

impl Session {
    /// For short questions to a production server.
    pub const QUESTIONS: Self = Self {
        read_only: true,
        statement: Duration::from_mins(1),
        lock: Duration::from_secs(5),
        idle_in_transaction: Duration::from_mins(1),
    };

    /// The settings as SQL. Values are written as the baseline's are, whatever the role or database has set, and row
    /// security makes a query fail rather than see less.
    pub fn sql(self) -> String {
        let read_only = if self.read_only { "on" } else { "off" };
        let mut sql = format!(
            "SET default_transaction_read_only = {read_only}; \
             SET default_transaction_isolation = 'read committed'; {}",
            values("SET")
        );
        for (name, limit) in [
            ("statement_timeout", self.statement),
            ("lock_timeout", self.lock),
            ("idle_in_transaction_session_timeout", self.idle_in_transaction),
        ] {
            write!(sql, "; SET {name} = {}", milliseconds(limit)).expect("writing to a String succeeds");
        }
        sql
    }
}

/// Why there is no connection. The text is one line and holds no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server starts, recovers without hot standby, or shuts down: asking again may help.
    #[error("is not ready yet: {0}")]
    NotReady(String),
    #[error("refused the role: {0}")]
    Authentication(String),
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("has no such database: {0}")]
    NoSuchDatabase(String),
    #[error("{0}")]
    Other(String),
}

impl ConnectError {
    /// One thing to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "does `connection.host` and `connection.port` name the server, and does a network policy let us through?"
            }
            Self::NotReady(_) => "try again once the server has started",
            Self::Authentication(_) => "compare `connection.user` and its password with the server's pg_hba.conf",
            Self::Tls(_) => {
                "is `connection.tls` the authority that signed the server's certificate for this host name?"
            }
            Self::NoSuchDatabase(_) => "is the database's name right?",
            Self::Other(_) => "the server's log says more",
        }
    }
}

/// Connects to a database of the source with the settings of [`Session::QUESTIONS`].
pub async fn connect(connection: &Connection, database: &str) -> Result<Client, ConnectError> {
    connect_with(connection, database, Session::QUESTIONS).await
}

/// As [`connect`], with limits of the caller's.
pub async fn connect_with(connection: &Connection, database: &str, session: Session) -> Result<Client, ConnectError> {
    let mut config = remote(connection, database);
    // PostgreSQL has no TLS on a Unix socket.
    let tls = if connection.host.starts_with('/') {
        config.host_path(&connection.host);
        None
    } else {
        config.host(&connection.host);
        tls(&connection.tls)?
    };
    open(config, tls, session).await
}

/// As [`connect_with`], to this address instead of the one that the host's name stands for.
pub async fn connect_at(
    connection: &Connection,
    address: IpAddr,
    database: &str,
    session: Session,
) -> Result<Client, ConnectError> {
    let mut config = remote(connection, database);
    config.host(&connection.host).hostaddr(address);
    open(config, tls(&connection.tls)?, session).await
}

/// As [`connect_with`], over a stream that somebody else opened. Only with TLS.
pub async fn connect_through<S>(
    connection: &Connection,
    stream: S,
    database: &str,
    session: Session,
) -> Result<Client, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut config = remote(connection, database);
    config.ssl_mode(SslMode::Require);
    let Some(mut tls) = tls(&connection.tls)? else {
        return Err(ConnectError::Tls("a forwarded connection needs TLS".to_owned()));
    };
    let Ok(tls) = MakeTlsConnect::<S>::make_tls_connect(&mut tls, &connection.host);
    bounded(async {
        let (client, connection) = config.connect_raw(stream, tls).await?;
        drop(tokio::spawn(connection));
        client.batch_execute(&session.sql()).await?;
        Ok(client)
    })
    .await
}

/// Connects to a server on this machine by its Unix socket, without limits and free to write.
pub async fn connect_local(
    socket_directory: &Path,
    port: u16,
    user: &str,
    database: &str,
) -> Result<Client, ConnectError> {
    let mut config = config(user, database);
    config.host_path(socket_directory).port(port);
    open(config, None, Session::default()).await
}

/// An SQL identifier that means exactly this name.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An SQL string. Needs `standard_conforming_strings`, which [`Session`] sets.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The settings that decide how values are written, as SQL: `SET` for a session, `SET LOCAL` for a transaction.
pub fn values(set: &str) -> String {
    VALUES.map(|(name, value)| format!("{set} {name} = '{value}'")).join("; ")
}

/// A limit as PostgreSQL takes it. A limit below a millisecond is one: zero would mean none.
pub fn milliseconds(limit: Duration) -> u128 {
    if limit.is_zero() { 0 } else { limit.as_millis().clamp(1, 2_147_483_647) }
}

/// An error in one line: SQLSTATE and message. The detail is left out because it may show the content of rows.
pub fn reason(error: &tokio_postgres::Error) -> String {
    let text = match error.as_db_error() {
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => chain(error),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sends SQL text as one message, so that nothing comes between its statements. Returns the rows of all of them.
pub async fn rows(client: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
    Ok(messages.into_iter().filter_map(row).collect())
}

fn remote(connection: &Connection, database: &str) -> Config {
    let mut config = config(&connection.user, database);
    config.port(connection.port);
    if let Some(password) = &connection.password {
        config.password(password.expose_secret());
    }
    config
}

fn config(user: &str, database: &str) -> Config {
    let mut config = Config::new();
    config.user(user).dbname(database).application_name("walproof").connect_timeout(CONNECT_LIMIT);
    config.keepalives(true).keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
    config
}

async fn open(mut config: Config, tls: Option<MakeRustlsConnect>, session: Session) -> Result<Client, ConnectError> {
    config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
    bounded(async {
        // The task ends by itself when its client is dropped; what ended it earlier shows in the client's errors.
        let client = if let Some(tls) = tls {
            let (client, connection) = config.connect(tls).await?;
            drop(tokio::spawn(connection));
            client
        } else {
            let (client, connection) = config.connect(NoTls).await?;
            drop(tokio::spawn(connection));
            client
        };
        client.batch_execute(&session.sql()).await?;
        Ok(client)
    })
    .await
}

async fn bounded(
    connecting: impl Future<Output = Result<Client, tokio_postgres::Error>>,
) -> Result<Client, ConnectError> {
    match tokio::time::timeout(HANDSHAKE_LIMIT, connecting).await {
        Ok(connected) => connected.map_err(|error| classify(&error)),
        Err(_) => Err(ConnectError::Unreachable(format!("no answer within {} s", HANDSHAKE_LIMIT.as_secs()))),
    }
}

fn classify(error: &tokio_postgres::Error) -> ConnectError {
    let text = reason(error);
    if let Some(code) = error.code() {
        return match code.code() {
            _ if *code == SqlState::CANNOT_CONNECT_NOW => ConnectError::NotReady(text),
            _ if *code == SqlState::INVALID_CATALOG_NAME => ConnectError::NoSuchDatabase(text),
            code if code.starts_with("28") => ConnectError::Authentication(text),
            _ => ConnectError::Other(text),
        };
    }
    // The kind of an error is only known by its text.
    match error.to_string().as_str() {
        "error performing TLS handshake" => ConnectError::Tls(text),
        "authentication error" | "invalid configuration" => ConnectError::Authentication(text),
        "error connecting to server"
        | "error communicating with the server"
        | "connection closed"
        | "timeout waiting for server" => ConnectError::Unreachable(text),
        _ => ConnectError::Other(text),
    }
}

fn tls(tls: &Tls) -> Result<Option<MakeRustlsConnect>, ConnectError> {
    let roots = match tls {
        Tls::Disabled => return Ok(None),
        Tls::System => {
            let mut roots = RootCertStore::empty();
            let loaded = rustls_native_certs::load_native_certs();
            if roots.add_parsable_certificates(loaded.certs).0 == 0 {
                return Err(ConnectError::Tls("this system has no certificate authorities".to_owned()));
            }
            roots
        }
        Tls::Authority(authority) => {
            let (pem, name) = match authority {
                Authority::File(file) => (std::fs::read(file), file.display().to_string()),
                Authority::Pem(pem) => (Ok(pem.clone()), "the Cluster's Secret".to_owned()),
            };
            let unusable = |reason: String| ConnectError::Tls(format!("read the authorities in {name}: {reason}"));
            let pem = pem.map_err(|error| unusable(error.to_string()))?;
            authority::roots(&pem).map_err(|defect| unusable(defect.to_string()))?
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(MakeRustlsConnect::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_quotes() {
        assert_eq!(quote_identifier("a \"b\" ç"), "\"a \"\"b\"\" ç\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
    }

    #[test]
    fn a_tiny_limit_is_not_no_limit() {
        assert_eq!(milliseconds(Duration::from_micros(3)), 1);
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::MAX), 2_147_483_647);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable() {
        let error = connect_local(Path::new("/nonexistent"), 5432, "postgres", "postgres").await.err();
        assert!(matches!(error, Some(ConnectError::Unreachable(_))), "{error:?}");
    }

    #[tokio::test]
    async fn an_authority_file_that_cannot_be_read_is_a_tls_failure() {
        let error = tls(&Tls::Authority(Authority::File("/nonexistent/ca.pem".into()))).err();
        assert!(matches!(&error, Some(ConnectError::Tls(text)) if text.contains("/nonexistent/ca.pem")), "{error:?}");
    }
}

//! The restored server that the operator in memory shows: a real PostgreSQL, restored by the real barman to the
//! baseline as the operator does it, reached on 127.0.0.1 with TLS and a password.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::super::certificates::Authority;
use super::super::postgres::Stop;
use super::super::prepared::SERVER;
use super::super::process::{eventually, postgres_user};
use super::super::{ArchiveCopy, Barman, Postgres, Prepared};
use super::{SANDBOX, Server};

const PATIENCE: Duration = Duration::from_mins(2);
const PASSWORD: &str = "of-the-restored-superuser";

/// Where a recovery stops.
#[derive(Debug, Clone)]
pub struct Stopping {
    /// Exclusive; None is the archive's end.
    pub lsn: Option<String>,
}

/// A running server; dropping it ends it.
pub struct RestoredServer {
    postgres: Postgres,
    authority: Authority,
    system_identifier: u64,
    _certificate: TempDir,
}

impl RestoredServer {
    /// The newest backup of the prepared archive, recovered to its baseline. One serves a whole test binary: what
    /// probes write has a name of its own and is removed again.
    pub fn of_prepared() -> &'static Self {
        static SERVER: OnceLock<RestoredServer> = OnceLock::new();
        SERVER.get_or_init(|| {
            let prepared = Prepared::get();
            let baseline: Value = serde_json::from_slice(&fs::read(prepared.baseline()).unwrap()).unwrap();
            let lsn = Some(baseline["lsn"].as_str().unwrap().to_owned());
            Self::restore(&ArchiveCopy::copy_of(prepared), prepared.backups.last().unwrap(), &Stopping { lsn })
        })
    }

    /// Restores a backup and recovers on its own timeline.
    #[track_caller]
    pub fn restore(archive: &ArchiveCopy, backup: &str, stopping: &Stopping) -> Self {
        let s3 = archive.serve();
        let barman = Barman::new(&s3);
        let authority = Authority::new("walproof test authority");
        let files = tempfile::Builder::new().prefix("wp-tls-").tempdir().unwrap();
        let certificate = authority.issue(&[&format!("*.{SANDBOX}.svc")], files.path());
        for path in [files.path(), &certificate.certificate, &certificate.key] {
            open_to_postgres(path);
        }
        // Made as any other server, for its settings; then its data are exchanged for the restored ones.
        let mut postgres = Postgres::builder()
            .tcp()
            // Many drills at once share it.
            .setting("max_connections", "400")
            .setting("max_logical_replication_workers", "0")
            .setting("ssl", "on")
            .setting("ssl_min_protocol_version", "TLSv1.3")
            .setting("ssl_cert_file", certificate.certificate.to_str().unwrap())
            .setting("ssl_key_file", certificate.key.to_str().unwrap())
            .start();
        postgres.stop(Stop::Fast);
        let data = postgres.data_directory();
        let fresh = data.with_file_name("fresh");
        fs::rename(&data, &fresh).unwrap();
        barman.restore(SERVER, backup, &data);
        fs::copy(fresh.join("postgresql.conf"), data.join("postgresql.conf")).unwrap();
        let settings = fs::read_to_string(fresh.join("harness.conf")).unwrap();
        fs::write(data.join("harness.conf"), format!("{settings}{}", recovery(archive, stopping))).unwrap();
        fs::write(data.join("postgresql.auto.conf"), "").unwrap();
        fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all all scram-sha-256\n").unwrap();
        fs::write(data.join("recovery.signal"), "").unwrap();
        for file in ["harness.conf", "postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "recovery.signal"] {
            open_to_postgres(&data.join(file));
        }
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();

        postgres.start();
        eventually("recovery has ended", PATIENCE, || {
            (postgres.sql("postgres", "SELECT pg_is_in_recovery()") == "f").then_some(())
        });
        // As the operator does, once it is up.
        postgres.sql("postgres", &format!("ALTER ROLE postgres PASSWORD '{PASSWORD}'"));
        let system_identifier = postgres.system_identifier();
        Self { postgres, authority, system_identifier, _certificate: files }
    }

    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// What the operator in memory tells about it.
    pub fn server(&self) -> Server {
        let version: u32 = self.postgres.sql("postgres", "SHOW server_version_num").parse().unwrap();
        Server {
            host: "127.0.0.1".to_owned(),
            port: self.postgres.port(),
            password: PASSWORD.to_owned(),
            authority: self.authority.certificate(),
            major: version / 10_000,
            system_identifier: self.system_identifier,
        }
    }
}

/// WAL comes straight from the store's files: a program for each segment would take most of the time.
fn recovery(archive: &ArchiveCopy, stopping: &Stopping) -> String {
    let bucket = archive.path("");
    for directory in [bucket.parent().unwrap(), &bucket] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let wals = bucket.join(SERVER).join("wals");
    let command = format!("name=%f; gunzip -c {}/${{name%%????????}}/%f.gz >%p", wals.display());
    let target = stopping
        .lsn
        .as_ref()
        .map_or(String::new(), |lsn| format!("recovery_target_lsn = '{lsn}'\nrecovery_target_inclusive = off\n"));
    format!(
        "restore_command = '{command}'\nrecovery_target_action = 'promote'\nrecovery_target_timeline = '1'\n{target}"
    )
}

/// Nobody but PostgreSQL's user may read a key.
fn open_to_postgres(path: &Path) {
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if let Some(user) = postgres_user() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

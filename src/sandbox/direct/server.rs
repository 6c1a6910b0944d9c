//! The restored server: preparing its data directory, starting it, waiting until it has recovered, ending it.

use std::fs::File;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::Client;

use super::{Owner, Sandbox};
use crate::archive::backup_info::BackupInfo;
use crate::postgres::{self, ConnectError};

/// The port only names the socket.
pub const PORT: u16 = 5432;
/// Each attempt costs the postmaster a fork while it recovers.
const POLL: Duration = Duration::from_millis(100);
/// A postmaster that was told to quit ends within this, or is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running postmaster.
pub struct Server {
    child: Option<Child>,
    socket_directory: PathBuf,
    superuser: String,
}

/// How waiting for the server ended.
pub enum Arrival {
    /// Recovery is over and the server takes connections.
    Up(Client),
    /// The process ended first; the log says why.
    Exited(String),
    /// It answers, and no connection can be made whatever the time.
    Refused(String),
}

/// Makes an unpacked base backup ready to recover under our settings.
pub fn prepare(sandbox: &Sandbox, info: &BackupInfo) -> io::Result<()> {
    let data = sandbox.data();
    let write = |path: PathBuf, content: &str| {
        std::fs::write(&path, content)?;
        sandbox.own(&path)
    };
    // Whatever a base backup brought there: all WAL comes through the spool, which looks at it.
    match std::fs::remove_dir_all(data.join("pg_wal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for directory in [data.join("pg_wal"), data.join("pg_wal/archive_status"), data.join("pg_tblspc")] {
        std::fs::create_dir_all(&directory)?;
        sandbox.own(&directory)?;
    }
    for tablespace in &info.tablespaces {
        symlink(sandbox.tablespace(tablespace.oid), data.join("pg_tblspc").join(tablespace.oid.to_string()))?;
    }
    // It is read from the data directory whatever `config_file` says, and it may turn archiving on.
    write(data.join("postgresql.auto.conf"), "")?;
    for leftover in ["postmaster.pid", "postmaster.opts", "standby.signal", "tablespace_map"] {
        match std::fs::remove_file(data.join(leftover)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    write(data.join("recovery.signal"), "")?;
    write(sandbox.root().join("postgresql.conf"), "")?;
    // The socket lies in a directory that only the server's user can enter.
    write(sandbox.root().join("pg_hba.conf"), "local all all trust\n")?;
    write(sandbox.root().join("pg_ident.conf"), "")
}

impl Server {
    /// Starts `postgres` with `settings` on its command line.
    pub fn start(
        postgres: &Path,
        sandbox: &Sandbox,
        settings: &[(String, String)],
        superuser: &str,
    ) -> io::Result<Self> {
        let log = File::create(sandbox.log())?;
        let mut command = Command::new(postgres);
        command.arg("-D").arg(sandbox.data());
        command.arg("-c").arg(format!("config_file={}", sandbox.root().join("postgresql.conf").display()));
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // Neither the environment nor the credentials in it are PostgreSQL's business.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir(sandbox.data()).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some(Owner { uid, gid }) = sandbox.owner() {
            command.uid(uid).gid(gid);
        }
        Ok(Self {
            child: Some(command.spawn()?),
            socket_directory: sandbox.socket_directory(),
            superuser: superuser.to_owned(),
        })
    }

    /// Waits until the server has recovered. The limit of time is the caller's.
    pub async fn arrival(&mut self, log: &Path) -> Arrival {
        loop {
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                self.child = None;
                // A name of production's may be in any encoding.
                let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
                return Arrival::Exited(format!("{text}\npostgres ended: {status}"));
            }
            let mut connected = self.connect("postgres").await;
            // Not every cluster has kept it; this one cannot be dropped.
            if matches!(connected, Err(ConnectError::NoSuchDatabase(_))) {
                connected = self.connect("template1").await;
            }
            match connected {
                Ok(client) => return Arrival::Up(client),
                Err(ConnectError::Unreachable(_) | ConnectError::NotReady(_)) => {}
                Err(error) => return Arrival::Refused(error.to_string()),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A connection as superuser.
    pub async fn connect(&self, database: &str) -> Result<Client, ConnectError> {
        postgres::connect_local(&self.socket_directory, PORT, &self.superuser, database).await
    }

    /// Ends the server without a checkpoint; its files go next.
    pub fn stop(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id fits into i32"));
        let _ = kill(pid, Signal::SIGQUIT);
        let started = std::time::Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) if started.elapsed() > STOP_LIMIT => {
                    let _ = child.kill();
                    return child.wait().map(|_| ()).map_err(|error| format!("postgres {pid} does not end: {error}"));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(format!("postgres {pid} cannot be waited for: {error}")),
            }
        }
    }

    /// Lets the server outlive this program. False when there is none to do so.
    pub fn leave_running(mut self) -> bool {
        self.child.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wal_that_a_base_backup_brought_is_not_replayed() {
        let directory = tempfile::tempdir().unwrap();
        let sandbox = Sandbox { root: directory.path().to_owned(), owner: None, lock: None, server: None };
        let wal = sandbox.data().join("pg_wal");
        std::fs::create_dir_all(&wal).unwrap();
        std::fs::write(wal.join("000000010000000000000003"), "WAL").unwrap();
        prepare(&sandbox, &BackupInfo::parse("20261121T120000", "status=DONE\n").unwrap()).unwrap();
        let left: Vec<_> = std::fs::read_dir(&wal).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["archive_status"]);
    }
}

//! A real PostgreSQL server in a temporary directory, as the user `postgres` when the test runs as root. Dropping it
//! ends the server and removes the directory; a harness that is killed takes the server along, too.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{as_postgres_user, eventually, postgres_user, run, run_successfully};

/// How long a server may take to start, stop, promote or archive on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Starts the postmaster and ends it when standard input closes: on purpose, or because the harness died in whatever
/// way. Only a postmaster that still ran then takes its directory along, so that a stopped server can be started again.
const SUPERVISOR: &str = r#"
directory=$1; shift
exec 3<&0
"$@" >>"$directory/server.log" 2>&1 </dev/null 3<&- &
postmaster=$!
{
    cat <&3 >/dev/null
    kill -QUIT "$postmaster" 2>/dev/null || exit 0
    while kill -0 "$postmaster" 2>/dev/null; do sleep 0.05; done
    rm -rf "$directory"
} &
exec 3<&-
wait "$postmaster"
"#;

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// With a shutdown checkpoint; what is complete gets archived.
    Fast,
    /// As in a crash.
    Immediate,
}

/// Where to connect to: the directory of the socket (`/…`), or 127.0.0.1 for [`Builder::tcp`].
#[derive(Debug, Clone)]
pub struct Connection {
    pub host: String,
    pub port: u16,
    /// A superuser without a password.
    pub user: String,
}

/// A server that is running, or stopped to be started again.
pub struct Postgres {
    supervisor: Option<Child>,
    directory: TempDir,
    programs: PathBuf,
    port: u16,
    tcp: bool,
}

/// What a server is started with; see [`Postgres::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    archive_command: Option<String>,
    wal_segment_megabytes: u32,
    data_checksums: bool,
    tcp: bool,
    settings: Vec<(String, String)>,
}

impl Postgres {
    /// A server with data checksums, 16 MiB segments, no archiving, autovacuum off, reached by its Unix socket only.
    pub fn builder() -> Builder {
        Builder {
            archive_command: None,
            wal_segment_megabytes: 16,
            data_checksums: true,
            tcp: false,
            settings: Vec::new(),
        }
    }

    /// Runs SQL text statement by statement, each in a transaction of its own unless the text says otherwise. Returns
    /// the rows as lines, columns separated by `|`. Panics at the first error.
    #[track_caller]
    pub fn sql(&self, database: &str, text: &str) -> String {
        self.try_sql(database, text).unwrap_or_else(|error| panic!("{text}\n{error}\n{}", self.log()))
    }

    /// As [`Self::sql`], with what `psql` said as the error.
    pub fn try_sql(&self, database: &str, text: &str) -> Result<String, String> {
        let mut script = tempfile::NamedTempFile::new().unwrap();
        script.write_all(text.as_bytes()).unwrap();
        let finished = run(self.psql(database).arg("-f").arg(script.path()), Duration::from_mins(5));
        if finished.exit_code == 0 { Ok(finished.stdout.trim_end().to_owned()) } else { Err(finished.stderr) }
    }

    /// A `psql` that stops at the first error, for callers that feed or bound it themselves.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        command.arg("-h").arg(self.directory.path()).args(["-p", &self.port.to_string()]);
        command.env("PGOPTIONS", "").env("PGCONNECT_TIMEOUT", "10");
        command
    }

    pub fn connection(&self) -> Connection {
        let host = if self.tcp { "127.0.0.1".to_owned() } else { self.socket_directory().display().to_string() };
        Connection { host, port: self.port, user: "postgres".to_owned() }
    }

    /// The directory of the Unix socket, which is there with and without TCP.
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The directory of `postgres`, `pg_ctl` and the other programs of this server's version.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// What the server has logged since it was made.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default()
    }

    /// `system_identifier` of `pg_control`.
    pub fn system_identifier(&self) -> u64 {
        self.sql("postgres", "SELECT system_identifier FROM pg_control_system()").parse().unwrap()
    }

    /// Ends the current WAL segment and waits until everything up to it is archived. Returns the segment's name.
    #[track_caller]
    pub fn archive_wal(&self) -> String {
        let segment = self.switch_wal();
        self.wait_until_archived();
        segment
    }

    /// Ends the current WAL segment, unless it is empty. Returns the name of the last ended segment.
    #[track_caller]
    pub fn switch_wal(&self) -> String {
        self.sql("postgres", "SELECT pg_walfile_name(pg_switch_wal())")
    }

    /// Waits until nothing is left to archive.
    #[track_caller]
    pub fn wait_until_archived(&self) {
        let ready = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
        let last_failure = "SELECT last_failed_wal FROM pg_stat_archiver";
        eventually("the archive has every ended segment", PATIENCE, || {
            let archived = self.sql("postgres", ready) == "0";
            let given_up = self.log().matches("archiving write-ahead log file").count() > 3;
            assert!(!given_up, "archiving {} fails\n{}", self.sql("postgres", last_failure), self.log());
            archived.then_some(())
        });
    }

    /// Stops the server; its directory stays until the value is dropped.
    #[track_caller]
    pub fn stop(&mut self, how: Stop) {
        let Some(mut supervisor) = self.supervisor.take() else { return };
        let mode = if how == Stop::Fast { "fast" } else { "immediate" };
        let mut command = as_postgres_user(self.programs.join("pg_ctl"));
        run_successfully(
            command.args(["stop", "-w", "-t", "90", "-m", mode, "-D"]).arg(self.data_directory()),
            PATIENCE,
        );
        supervisor.wait().unwrap();
    }

    /// Starts the server, after [`Self::stop`] or a crash, and waits until it takes connections.
    #[track_caller]
    pub fn start(&mut self) {
        let mut command = as_postgres_user("/bin/sh");
        command.args(["-c", SUPERVISOR, "supervisor"]).arg(self.directory.path());
        command.arg(self.programs.join("postgres")).arg("-D").arg(self.data_directory());
        // Its own process group: a terminal's SIGINT must not end the supervisor before the server.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.supervisor = Some(command.spawn().unwrap());
        eventually("the server takes connections", PATIENCE, || {
            let ended = self.supervisor.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended at its start\n{}", self.log());
            run(self.psql("postgres").args(["-c", "SELECT 1"]), PATIENCE).exit_code.eq(&0).then_some(())
        });
    }

    /// A streaming standby of this server, made by `pg_basebackup`, with the same settings. It archives once it is
    /// promoted.
    #[track_caller]
    pub fn standby(&self) -> Self {
        let directory = make_directory();
        let data = directory.path().join("data");
        let mut command = as_postgres_user(self.programs.join("pg_basebackup"));
        command.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-U", "postgres", "-D"]).arg(&data);
        command.arg("-h").arg(self.directory.path()).args(["-p", &self.port.to_string()]);
        run_successfully(&mut command, PATIENCE);

        let port = if self.tcp { free_port() } else { self.port };
        let own = self.directory.path().display().to_string();
        let settings = fs::read_to_string(data.join("harness.conf")).unwrap();
        let settings = settings.replace(&own, &directory.path().display().to_string());
        let settings = settings.replace(&format!("port = {}\n", self.port), &format!("port = {port}\n"));
        fs::write(data.join("harness.conf"), settings).unwrap();

        let mut standby = Self { supervisor: None, directory, programs: self.programs.clone(), port, tcp: self.tcp };
        standby.start();
        standby
    }

    /// Waits until this standby has replayed all that `primary` has written by now.
    #[track_caller]
    pub fn wait_until_caught_up_with(&self, primary: &Self) {
        let written = primary.sql("postgres", "SELECT pg_current_wal_lsn()");
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        eventually("the standby has caught up", PATIENCE, || (self.sql("postgres", &replayed) == "t").then_some(()));
    }

    /// Makes this standby a primary on a timeline of its own.
    #[track_caller]
    pub fn promote(&self) {
        let promoted = self.sql("postgres", "SELECT pg_promote(true, 60)");
        assert_eq!(promoted, "t", "{}", self.log());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            // The supervisor ends the postmaster when its standard input closes, which `wait` does first.
            let _ = supervisor.wait();
        }
    }
}

impl Builder {
    /// Turns archiving on with this command.
    #[must_use]
    pub fn archive_command(mut self, command: impl Into<String>) -> Self {
        self.archive_command = Some(command.into());
        self
    }

    /// The size of a WAL segment: a power of two from 1 to 1024.
    #[must_use]
    pub fn wal_segment_megabytes(mut self, megabytes: u32) -> Self {
        self.wal_segment_megabytes = megabytes;
        self
    }

    #[must_use]
    pub fn without_data_checksums(mut self) -> Self {
        self.data_checksums = false;
        self
    }

    /// Listens on a free port of 127.0.0.1 as well.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// A setting of `postgresql.conf`; the last one of a name wins.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes the server and waits until it takes connections.
    #[track_caller]
    pub fn start(self) -> Postgres {
        let programs = find_programs();
        let directory = make_directory();
        let data = directory.path().join("data");
        let mut initdb = as_postgres_user(programs.join("initdb"));
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        initdb.arg(format!("--wal-segsize={}", self.wal_segment_megabytes));
        if self.data_checksums {
            initdb.arg("--data-checksums");
        }
        run_successfully(initdb.arg("-D").arg(&data), PATIENCE);

        let port = if self.tcp { free_port() } else { 5432 };
        let settings = self.settings_file(directory.path(), port);
        fs::write(data.join("harness.conf"), settings).unwrap();
        own_by_postgres(&data.join("harness.conf"));
        let mut configuration = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        configuration.write_all(b"include 'harness.conf'\n").unwrap();

        let mut postgres = Postgres { supervisor: None, directory, programs, port, tcp: self.tcp };
        postgres.start();
        postgres
    }

    fn settings_file(&self, directory: &Path, port: u16) -> String {
        let segments = |count: u32| format!("{}MB", count * self.wal_segment_megabytes);
        let mut settings = vec![
            ("listen_addresses", if self.tcp { "127.0.0.1" } else { "" }.to_owned()),
            ("unix_socket_directories", directory.display().to_string()),
            ("fsync", "off".to_owned()),
            ("shared_buffers", "32MB".to_owned()),
            ("wal_level", "replica".to_owned()),
            ("min_wal_size", segments(2)),
            ("max_wal_size", segments(64)),
            ("autovacuum", "off".to_owned()),
            ("log_line_prefix", "%m [%p] ".to_owned()),
            ("archive_mode", if self.archive_command.is_some() { "on" } else { "off" }.to_owned()),
        ];
        if let Some(command) = &self.archive_command {
            settings.push(("archive_command", command.clone()));
        }
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let mut text = format!("port = {port}\n");
        for (name, value) in settings.into_iter().chain(own) {
            writeln!(text, "{name} = '{}'", value.replace('\'', "''")).unwrap();
        }
        text
    }
}

/// The directory of the newest PostgreSQL server programs on this machine.
pub fn find_programs() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let programs = entry.path().join("bin");
            let major = entry.file_name().to_str()?.parse().ok()?;
            programs.join("postgres").exists().then_some((major, programs))
        })
        .collect();
    versions.sort();
    if let Some((_, programs)) = versions.pop() {
        return programs;
    }
    let asked = Command::new("pg_config").arg("--bindir").output().ok();
    asked
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        .filter(|programs| programs.join("postgres").exists())
        .expect("PostgreSQL's server programs are missing; run scripts/setup to install them")
}

fn make_directory() -> TempDir {
    // A short name: the path of a Unix socket has at most 107 bytes.
    let directory = tempfile::Builder::new().prefix("wp-pg-").tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    own_by_postgres(directory.path());
    directory
}

fn own_by_postgres(path: &Path) {
    if let Some(user) = postgres_user() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

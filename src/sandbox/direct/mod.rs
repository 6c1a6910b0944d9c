//! The direct sandbox: walproof downloads the base backup and the WAL itself and runs `postgres` on them, in one
//! directory that is removed on every path.

pub mod base_backup;
pub mod binaries;
pub mod diagnose;
pub mod fetch;
pub mod server;
pub mod settings;
pub mod spool;
pub mod sweep;
pub mod unpack;
pub mod wal_fetch;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::archive::inventory::Backup;
use crate::finding::{Blame, Code, Finding};
use crate::plan::DirectSandbox;
use crate::postgres::ConnectError;
use crate::run::PREFIX;
use crate::sandbox::KEPT_FOR;
use server::Server;

/// A Unix socket's path has at most 107 bytes (`sun_path`), and PostgreSQL appends `/.s.PGSQL.5432`.
const SOCKET_DIRECTORY_LIMIT: usize = 107 - "/.s.PGSQL.5432".len();
/// WAL that PostgreSQL keeps in `pg_wal` between two restartpoints.
pub const MAX_WAL_BYTES: u64 = 2 << 30;

/// Who owns the files and runs PostgreSQL; None when walproof is not root and it is oneself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// The directory of one drill, and the server in it. Named before it is made; torn down by name.
pub struct Sandbox {
    root: PathBuf,
    owner: Option<Owner>,
    /// Held as long as the drill lives, so that no sweep takes the directory for a leftover.
    lock: Option<File>,
    server: Option<Server>,
}

impl Sandbox {
    /// Names the sandbox; makes nothing yet. `run_id` has the form that [`sweep`] recognises.
    pub fn new(plan: &DirectSandbox, run_id: &str) -> Result<Self, Box<Finding>> {
        let root = std::path::absolute(plan.directory.join(format!("{PREFIX}{run_id}")))
            .map_err(|error| unusable(format!("{} is no path: {error}", plan.directory.display())))?;
        if root.join("socket").as_os_str().len() > SOCKET_DIRECTORY_LIMIT {
            return Err(Box::new(
                unusable(format!("the path {} is too long for a Unix socket", root.display()))
                    .hint("set `sandbox.direct.directory` to a shorter path"),
            ));
        }
        let owner = if nix::unistd::geteuid().is_root() { Some(owner_named(&plan.user)?) } else { None };
        Ok(Self { root, owner, lock: None, server: None })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn owner(&self) -> Option<Owner> {
        self.owner
    }

    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub fn tablespace(&self, oid: u32) -> PathBuf {
        self.root.join("tablespaces").join(oid.to_string())
    }

    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    pub fn wal_socket(&self) -> PathBuf {
        self.root.join("wal.socket")
    }

    pub fn socket_directory(&self) -> PathBuf {
        self.root.join("socket")
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("postgresql.log")
    }

    /// The copy of this program that PostgreSQL's user may execute, wherever the original lies.
    pub fn program(&self) -> PathBuf {
        self.root.join("walproof")
    }

    /// Makes the directory and everything in it that is ours.
    pub fn create(&mut self) -> std::io::Result<()> {
        std::fs::create_dir_all(self.root.parent().unwrap_or(Path::new("/")))?;
        std::fs::DirBuilder::new().mode(0o700).create(&self.root)?;
        let mut lock = File::create_new(self.root.join(sweep::LOCK))?;
        lock.lock()?;
        writeln!(lock, "pid {}", std::process::id())?;
        self.lock = Some(lock);
        self.own(&self.root)?;
        for directory in [self.data(), self.root.join("tablespaces"), self.spool(), self.socket_directory()] {
            std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
            self.own(&directory)?;
        }
        let program = std::env::current_exe()?;
        // A hard link costs nothing; across file systems, or where links are protected, it has to be a copy.
        if std::fs::hard_link(&program, self.program()).is_err() {
            std::fs::copy(&program, self.program())?;
        }
        Ok(())
    }

    /// Gives a path to the user who runs PostgreSQL.
    fn own(&self, path: &Path) -> std::io::Result<()> {
        match self.owner {
            Some(owner) => chown(path, Some(owner.uid), Some(owner.gid)),
            None => Ok(()),
        }
    }

    /// Checks that the restored backup will fit, from the inventory's sizes.
    pub fn room(&self, backup: &Backup, wal_bytes: u64, spool_bytes: u64) -> Finding {
        let directory = self.root.parent().unwrap_or(Path::new("/"));
        let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let needed = room_needed(backup, wal_bytes, spool_bytes);
        let object = directory.display().to_string();
        match nix::sys::statvfs::statvfs(existing) {
            Err(error) => {
                Finding::not_checked(Code::SandboxNoSpace, format!("the room in {object} is not known: {error}"))
                    .of(object)
            }
            Ok(space) => {
                let free = space.blocks_available() * space.fragment_size();
                let text = crate::report::text::bytes;
                if free >= needed {
                    let summary = format!("{} of room, {} needed", text(free), text(needed));
                    Finding::passed(Code::SandboxNoSpace, summary).of(object)
                } else {
                    Finding::failed(Code::SandboxNoSpace, Blame::Environment, "the restored server would not fit")
                        .of(object)
                        .expected(format!("{} free", text(needed)))
                        .observed(format!("{} free", text(free)))
                        .hint("set `sandbox.direct.directory` to a larger file system")
                }
            }
        }
    }

    /// Connects to a database of the restored server as its superuser, free to write.
    pub async fn connect(&self, database: &str) -> Result<Client, ConnectError> {
        match &self.server {
            Some(server) => server.connect(database).await,
            None => Err(ConnectError::Unreachable("the restored server never came up".to_owned())),
        }
    }

    pub fn attach(&mut self, server: Server) {
        self.server = Some(server);
    }

    pub fn server(&mut self) -> Option<&mut Server> {
        self.server.as_mut()
    }

    /// Ends the server and removes everything. Says what could not be removed. May be repeated.
    pub fn tear_down(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(server) = &mut self.server
            && let Err(reason) = server.stop()
        {
            left.push(reason);
        }
        self.server = None;
        left.extend(sweep::remove(&self.root).err());
        self.lock = None;
        left
    }

    /// Leaves the sandbox as it is for a person to look at; a later run sweeps it after a day. Returns where it is, and
    /// the command that connects when its server is up.
    pub fn keep(mut self, superuser: &str, now: Timestamp) -> std::io::Result<String> {
        let until = now + KEPT_FOR;
        std::fs::write(self.root.join(sweep::LOCK), format!("{} {until}\n", sweep::KEEP_UNTIL))?;
        let root = self.root.display();
        if !self.server.take().is_some_and(Server::leave_running) {
            return Ok(format!("{root} (until {until})"));
        }
        let socket = self.socket_directory();
        Ok(format!("psql -h {} -U {superuser} postgres   (until {until}, in {root})", socket.display()))
    }
}

impl Drop for Sandbox {
    /// The last resort, for a panic between creation and tear-down.
    fn drop(&mut self) {
        if self.server.is_some() {
            self.tear_down();
        }
    }
}

/// What a restore needs: the cluster, the WAL between two restartpoints, and the spool.
fn room_needed(backup: &Backup, wal_bytes: u64, spool_bytes: u64) -> u64 {
    let cluster = backup.info.as_ref().ok().and_then(|info| info.cluster_size).unwrap_or(0);
    // `cluster_size` is the sum of pg_database_size; indexes grow and files are added while WAL is replayed.
    cluster.max(backup.bytes) * 12 / 10 + wal_bytes.min(2 * MAX_WAL_BYTES) + wal_bytes.min(spool_bytes)
}

fn owner_named(name: &str) -> Result<Owner, Box<Finding>> {
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) if !user.uid.is_root() => Ok(Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
        Ok(Some(_)) => Err(Box::new(
            unusable(format!("PostgreSQL does not run as {name}, which is root"))
                .hint("set `sandbox.direct.user` to an unprivileged user"),
        )),
        Ok(None) => Err(Box::new(
            unusable(format!("walproof runs as root, PostgreSQL may not, and there is no user {name}"))
                .hint("set `sandbox.direct.user` to an unprivileged user, or run walproof as one"),
        )),
        Err(error) => Err(Box::new(unusable(format!("the user {name} could not be looked up: {error}")))),
    }
}

/// Trouble with the machine that the drill runs on; never the backups' fault. The hint suits most of it.
pub fn unusable(summary: impl Into<String>) -> Finding {
    Finding::failed(Code::SandboxUnusable, Blame::Environment, summary)
        .hint("look at the file system of `sandbox.direct.directory`: is there room, and may walproof write there?")
}

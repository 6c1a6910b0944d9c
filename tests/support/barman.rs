//! The real barman-cloud programs from the repository's own virtual environment (`scripts/setup` makes it), pointed at
//! the embedded S3.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{as_postgres_user, run_successfully};
use super::s3::{ACCESS_KEY, BUCKET, REGION, S3, SECRET_KEY};
use super::{Postgres, repository};

/// How long a backup of a small database may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// barman-cloud for one S3 endpoint; archives lie in `s3://<BUCKET>/<server>/`.
pub struct Barman {
    endpoint: String,
    root: PathBuf,
    programs: PathBuf,
}

impl Barman {
    pub fn new(s3: &S3) -> Self {
        // A link where the checkout is closed to PostgreSQL's user; its target is open.
        let programs = fs::canonicalize(repository().join(".tools/barman/bin"))
            .expect("barman is missing; run scripts/setup to install it into .tools/barman");
        Self { endpoint: s3.endpoint().to_owned(), root: s3.root().to_owned(), programs }
    }

    /// The value of `archive_command` that sends WAL to the archive of `server`, with options of
    /// `barman-cloud-wal-archive` such as `--gzip`.
    pub fn archive_command(&self, server: &str, options: &[&str]) -> String {
        let environment = environment().map(|(name, value)| format!("{name}={value}")).join(" ");
        let program = self.programs.join("barman-cloud-wal-archive");
        let options = options.join(" ");
        let endpoint = &self.endpoint;
        format!(
            "env {environment} '{}' --cloud-provider aws-s3 --endpoint-url {endpoint} {options} s3://{BUCKET} {server} %p",
            program.display()
        )
    }

    /// Takes a base backup, with options of `barman-cloud-backup` such as `--gzip` or `--max-archive-size 10MB`.
    /// Returns the backup's id.
    #[track_caller]
    pub fn backup(&self, postgres: &Postgres, server: &str, options: &[&str]) -> String {
        let before = self.backups(server);
        let mut command = self.command("barman-cloud-backup");
        command.arg("--immediate-checkpoint").args(options);
        command.arg("-h").arg(postgres.socket_directory()).args(["-p", &postgres.port().to_string()]);
        command.args(["-U", "postgres", "-d", "postgres", &format!("s3://{BUCKET}"), server]);
        run_successfully(&mut command, PATIENCE);
        let new: Vec<String> = self.backups(server).difference(&before).cloned().collect();
        assert_eq!(new.len(), 1, "one new backup: {new:?}");
        new[0].clone()
    }

    /// Fetches one WAL file as barman's own `restore_command` would.
    #[track_caller]
    pub fn restore_wal(&self, server: &str, name: &str, destination: &Path) {
        let mut command = self.command("barman-cloud-wal-restore");
        run_successfully(command.args([&format!("s3://{BUCKET}"), server, name]).arg(destination), PATIENCE);
    }

    /// Restores a base backup as barman does, into a new directory of the user `postgres`.
    #[track_caller]
    pub fn restore(&self, server: &str, backup: &str, destination: &Path) {
        let mut command = self.command("barman-cloud-restore");
        run_successfully(command.args([&format!("s3://{BUCKET}"), server, backup]).arg(destination), PATIENCE);
    }

    /// One of barman's programs with credentials and endpoint, as PostgreSQL's user; options and arguments are the
    /// caller's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = as_postgres_user(self.programs.join(program));
        command.envs(environment()).args(["--cloud-provider", "aws-s3", "--endpoint-url", &self.endpoint]);
        command
    }

    fn backups(&self, server: &str) -> BTreeSet<String> {
        let base = self.root.join(BUCKET).join(server).join("base");
        let entries = fs::read_dir(base).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn environment() -> [(&'static str, &'static str); 5] {
    [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_DEFAULT_REGION", REGION),
        // Newer SDKs add checksums that many S3-compatible stores reject.
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"),
    ]
}

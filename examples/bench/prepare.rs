//! The two archives that are measured: *heavy* WAL of a large database, and *light* WAL of an almost idle one. The base
//! backups are made by the real barman-cloud-backup. The segments are gzipped and stored here, under barman's keys and
//! at barman's gzip level, because one barman process for each of them would take minutes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use flate2::write::GzEncoder;
use serde_json::Value;
use walproof::archive::backup_info::BackupInfo;
use walproof::archive::wal::{Lsn, SegmentSize};

use crate::support::process::{as_postgres_user, postgres_user, run_successfully};
use crate::support::s3::BUCKET;
use crate::support::{Barman, Postgres, S3, Walproof};

/// The database and the WAL of scale 1, as in the measurements that the targets come from.
const DATABASE_BYTES: f64 = 1.26e9;
const HEAVY_SEGMENTS: f64 = 109.0;
const LIGHT_SEGMENTS: f64 = 100.0;
/// A row of `account` with its index entry, as measured.
const ROW_BYTES: f64 = 156.0;
/// barman leaves Python's default, 9.
const GZIP_LEVEL: u32 = 9;
/// barman's single-threaded gzip of the largest database.
const PATIENCE: Duration = Duration::from_mins(20);

/// One server's archive, and the same in the forms in which the limits are measured.
pub struct Archive {
    pub server: &'static str,
    pub backup: String,
    pub info: BackupInfo,
    /// A baseline taken right after the backup: a drill to it is all download.
    pub baseline_at_backup: PathBuf,
    /// A baseline at the end of the WAL.
    pub baseline: PathBuf,
    /// Where `baseline` lies.
    pub lsn: Lsn,
    /// The gzipped tar of the base backup, as a local file.
    pub tar: PathBuf,
    /// The base backup, unpacked.
    pub base: PathBuf,
    /// The WAL, not compressed.
    pub segments: PathBuf,
    pub sizes: Sizes,
}

#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub database_bytes: u64,
    pub tar_bytes: u64,
    /// Segments from the backup's first to the baseline's.
    pub segments: u64,
    pub gzipped_wal_bytes: u64,
}

/// A database of `scale` × 1.26 GB, and an UPDATE of so many of its rows as fill `scale` × 109 segments.
pub fn heavy(scale: f64, s3: &S3, work: &Path) -> Archive {
    let source = Source::start("heavy", s3, work);
    let rows = whole(DATABASE_BYTES * scale / ROW_BYTES);
    // The shape of pgbench's accounts, but with a filler: pgbench's own are blanks, which compress to nothing.
    source.postgres.sql(
        "postgres",
        &format!(
            "CREATE TABLE account (id bigint, branch int, balance int, filler char(84));
             INSERT INTO account SELECT n, n % 100, 0, left(md5(n::text) || md5((-n)::text) || md5((2 * n)::text), 84)
                 FROM generate_series(1, {rows}) n;
             ALTER TABLE account ADD PRIMARY KEY (id);"
        ),
    );
    let source = source.backed_up();
    let wanted = whole(HEAVY_SEGMENTS * scale).max(4);
    let chunk = rows / 100 + 1;
    let mut from = 0;
    while source.segments_written() < wanted {
        let to = from + chunk;
        source
            .postgres
            .sql("postgres", &format!("UPDATE account SET balance = balance + 1 WHERE id > {from} AND id <= {to}"));
        from = if to >= rows { 0 } else { to };
    }
    source.archived()
}

/// A small database with `scale` × 100 segments of a few rows each.
pub fn light(scale: f64, s3: &S3, work: &Path) -> Archive {
    let source = Source::start("light", s3, work);
    source.postgres.sql("postgres", "CREATE TABLE note (id bigint PRIMARY KEY, body text)");
    let source = source.backed_up();
    for segment in 0..whole(LIGHT_SEGMENTS * scale).max(4) {
        let insert = format!("INSERT INTO note SELECT {segment} * 10 + n, md5(n::text) FROM generate_series(1, 10) n");
        source.postgres.sql("postgres", &insert);
        source.postgres.switch_wal();
    }
    source.archived()
}

/// A server on the way to an archive.
struct Source<'a> {
    server: &'static str,
    postgres: Postgres,
    s3: &'a S3,
    work: &'a Path,
    segments: PathBuf,
    backup: String,
    begin: Lsn,
    info: Option<BackupInfo>,
}

impl<'a> Source<'a> {
    fn start(server: &'static str, s3: &'a S3, work: &'a Path) -> Self {
        let segments = directory(work, &format!("{server}-segments"));
        let directory = segments.display();
        let postgres = Postgres::builder()
            .archive_command(format!("test ! -e '{directory}/wanted' || cp '%p' '{directory}/%f'"))
            .setting("shared_buffers", "256MB")
            .setting("max_wal_size", "8GB")
            .setting("checkpoint_timeout", "1h")
            .start();
        Self { server, postgres, s3, work, segments, backup: String::new(), begin: Lsn(0), info: None }
    }

    /// Takes the base backup, and a baseline right after it.
    fn backed_up(mut self) -> Self {
        fs::write(self.segments.join("wanted"), "").unwrap();
        let mut command = Barman::new(self.s3).command("barman-cloud-backup");
        command.args(["--immediate-checkpoint", "--gzip", "-h"]).arg(self.postgres.socket_directory());
        command.args(["-p", &self.postgres.port().to_string(), "-U", "postgres", "-d", "postgres"]);
        command.args([&format!("s3://{BUCKET}"), self.server]);
        run_successfully(&mut command, PATIENCE);

        let base = self.directory().join("base");
        self.backup = fs::read_dir(base).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
        let text = fs::read_to_string(self.object("backup.info")).unwrap();
        let info = BackupInfo::parse(&self.backup, &text).expect("barman writes what walproof reads");
        self.begin = info.begin_lsn.expect("a completed backup has a begin");
        self.info = Some(info);
        self.take_baseline("at-backup");
        self
    }

    /// Takes the baseline at the end of the WAL, stores the segments, and lays out what the limits need.
    fn archived(self) -> Archive {
        let baseline = self.take_baseline("at-end");
        let document: Value = serde_json::from_slice(&fs::read(&baseline).unwrap()).unwrap();
        let lsn: Lsn = document["lsn"].as_str().unwrap().parse().unwrap();
        self.postgres.archive_wal();
        let info = self.info.clone().expect("a backup was taken");
        let size = SegmentSize::DEFAULT.bytes();
        let segments = lsn.0.saturating_sub(1) / size - self.begin.0 / size + 1;
        fs::remove_file(self.segments.join("wanted")).unwrap();

        let gzipped_wal_bytes = self.store_segments(info.begin_wal.as_deref().expect("a begin has a segment"));
        let tar = self.object("data.tar.gz");
        let base = directory(self.work, &format!("{}-base", self.server));
        fs::set_permissions(&base, fs::Permissions::from_mode(0o700)).unwrap();
        unpack(&tar, &base);
        let sizes = Sizes {
            database_bytes: info.cluster_size.unwrap_or(0),
            tar_bytes: fs::metadata(&tar).unwrap().len(),
            segments,
            gzipped_wal_bytes,
        };
        Archive {
            server: self.server,
            baseline_at_backup: self.baseline_document("at-backup"),
            baseline,
            backup: self.backup,
            info,
            lsn,
            tar,
            base,
            segments: self.segments,
            sizes,
        }
    }

    fn take_baseline(&self, when: &str) -> PathBuf {
        let document = self.baseline_document(when);
        let walproof = Walproof::new(self.s3, self.server).connection(&self.postgres);
        let outcome = walproof.run(&["baseline", "--output-file", document.to_str().unwrap()]);
        assert!(outcome.exit_code == 0, "walproof baseline: {outcome}");
        // Something behind the baseline, so that its segment ends and is archived.
        self.postgres.sql("postgres", &format!("CREATE TABLE \"after {when}\" (); SELECT pg_switch_wal()"));
        document
    }

    fn baseline_document(&self, when: &str) -> PathBuf {
        self.work.join(format!("{}-{when}.json", self.server))
    }

    fn segments_written(&self) -> u64 {
        let written: Lsn = self.postgres.sql("postgres", "SELECT pg_current_wal_insert_lsn()").parse().unwrap();
        (written.0 - self.begin.0) / SegmentSize::DEFAULT.bytes()
    }

    /// Stores everything from the segment `first` on, on two threads. Returns the stored bytes.
    fn store_segments(&self, first: &str) -> u64 {
        let entries = fs::read_dir(&self.segments).unwrap().map(|entry| entry.unwrap().path());
        let (wanted, others): (Vec<PathBuf>, Vec<PathBuf>) =
            entries.partition(|path| path.file_name().unwrap().to_str().unwrap() >= first);
        for path in others {
            fs::remove_file(path).unwrap();
        }
        let next = AtomicUsize::new(0);
        let store_some = || {
            let mut bytes = 0;
            while let Some(path) = wanted.get(next.fetch_add(1, Ordering::SeqCst)) {
                let name = path.file_name().unwrap().to_str().unwrap();
                let object = self.directory().join("wals").join(&name[..16]).join(format!("{name}.gz"));
                fs::create_dir_all(object.parent().unwrap()).unwrap();
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(&fs::read(path).unwrap()).unwrap();
                let content = encoder.finish().unwrap();
                fs::write(object, &content).unwrap();
                bytes += content.len() as u64;
            }
            bytes
        };
        thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(store_some));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    }

    fn directory(&self) -> PathBuf {
        self.s3.root().join(BUCKET).join(self.server)
    }

    fn object(&self, name: &str) -> PathBuf {
        self.directory().join("base").join(&self.backup).join(name)
    }
}

/// A new directory that PostgreSQL's user may write to.
pub fn directory(work: &Path, name: &str) -> PathBuf {
    let directory = work.join(name);
    fs::create_dir(&directory).unwrap();
    if let Some(user) = postgres_user() {
        chown(&directory, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
    directory
}

/// Unpacks a gzipped tar with the system's tar, as PostgreSQL's user.
pub fn unpack(tar: &Path, directory: &Path) {
    let mut command = as_postgres_user("tar");
    // PostgreSQL's user may not enter the store's directory.
    command.args(["-xzf", "-", "-C"]).arg(directory).stdin(fs::File::open(tar).unwrap());
    let status = command.status().unwrap();
    assert!(status.success(), "tar: {status}");
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a scaled number of rows or segments")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

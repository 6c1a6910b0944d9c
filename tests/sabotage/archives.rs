//! Archives beside the prepared one, for cases that need more than one timeline or more than one tar. Each is made once
//! a test run, by real servers and the real barman, below `target`; every case breaks a copy. The prepared one's server
//! name is theirs too.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::json;

use crate::support::prepared::{SERVER, create_databases, write_rows};
use crate::support::process::postgres_user;
use crate::support::{ArchiveCopy, Barman, Postgres, S3, Walproof, profile_directory};
use crate::trial::{AGE, Trial};

/// An archive into which two servers wrote: the source, and a standby of it that was promoted and is not the source, or
/// is: that is what a baseline says. Both wrote and archived on.
pub struct TwoTimelines {
    made: Made,
    /// The base backup that ended before the fork. Behind it the first server made another.
    pub backup: String,
    /// The segment in which timeline 2 left timeline 1, as timeline 1 names it.
    pub fork: String,
    /// The server of timeline 1, which lives to the end of the test run.
    pub first: Postgres,
}

/// An archive of one backup in several tars: the data in at least three parts, and a tablespace.
pub struct ManyTars {
    made: Made,
    pub backup: String,
    pub tablespace: u32,
}

/// A directory that is kept to the end of the test run, by a lock that other test runs wait for.
struct Made {
    directory: PathBuf,
    _lock: File,
}

impl TwoTimelines {
    pub fn get() -> &'static Self {
        static MADE: OnceLock<TwoTimelines> = OnceLock::new();
        MADE.get_or_init(Self::make)
    }

    /// A broken copy, with the baseline of the server that wrote this timeline; a drill starts from [`Self::backup`].
    pub fn trial(&self, timeline: u32, sabotage: impl FnOnce(&ArchiveCopy)) -> Trial {
        self.made.trial(&format!("{timeline}.json"), sabotage).set("/sources/0/backup", json!({"id": self.backup}))
    }

    /// As [`Self::trial`] on timeline 2, with a baseline in the segment of the fork.
    pub fn trial_at_the_fork(&self, sabotage: impl FnOnce(&ArchiveCopy)) -> Trial {
        self.made.trial("2-fork.json", sabotage).set("/sources/0/backup", json!({"id": self.backup}))
    }

    /// The segment of the fork as timeline 2 names it.
    pub fn fork_on_2(&self) -> String {
        self.fork.replacen("00000001", "00000002", 1)
    }

    /// Rewrites the history of timeline 2: `switch` gets the LSN of the fork and gives another.
    pub fn fork_at(archive: &ArchiveCopy, switch: impl FnOnce(u64) -> u64) {
        archive.rewrite(&archive.wal_key("00000002.history"), |content| {
            let text = std::str::from_utf8(content).unwrap();
            let line = text.lines().find(|line| !line.trim().is_empty()).unwrap();
            let [timeline, lsn, reason] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (high, low) = lsn.split_once('/').unwrap();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            let moved = switch(number(high) << 32 | number(low));
            *content = format!("{timeline}\t{:X}/{:X}\t{reason}\n", moved >> 32, moved & 0xFFFF_FFFF).into_bytes();
        });
    }

    /// What timeline 1 would have been without the other one.
    pub fn delete_timeline_2(archive: &ArchiveCopy) {
        for key in archive.wal_keys().iter().filter(|key| key.rsplit('/').next().unwrap().starts_with("00000002")) {
            archive.delete(key);
        }
    }

    fn make() -> Self {
        let made = Made::begin("two-timelines");
        let s3 = S3::serve(&made.directory);
        let barman = Barman::new(&s3);
        let first = Postgres::builder().archive_command(barman.archive_command(SERVER, &["--gzip"])).start();
        create_databases(&first);
        let backup = barman.backup(&first, SERVER, &["--gzip"]);
        write_rows(&first);
        first.archive_wal();

        let second = first.standby();
        write_rows(&first);
        second.wait_until_caught_up_with(&first);
        let fork = first.sql("postgres", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
        second.promote();
        write_rows(&second);
        take_baseline(&s3, &second, &made.directory.join("2-fork.json"));
        barman.backup(&first, SERVER, &["--gzip"]);
        for (timeline, server) in [("1.json", &first), ("2.json", &second)] {
            write_rows(server);
            server.archive_wal();
            write_rows(server);
            take_baseline(&s3, server, &made.directory.join(timeline));
            server.archive_wal();
        }
        Self { made, backup, fork, first }
    }
}

impl ManyTars {
    pub fn get() -> &'static Self {
        static MADE: OnceLock<ManyTars> = OnceLock::new();
        MADE.get_or_init(Self::make)
    }

    pub fn trial(&self, sabotage: impl FnOnce(&ArchiveCopy)) -> Trial {
        self.made.trial("baseline.json", sabotage)
    }

    /// The keys of the data's tars, first part first.
    pub fn data(&self, archive: &ArchiveCopy) -> Vec<String> {
        let prefix = archive.backup_key(&self.backup, "data");
        let mut parts: Vec<String> = archive.keys().into_iter().filter(|key| key.starts_with(&prefix)).collect();
        // `data.tar` is the first, but sorts behind no `data_0001.tar`.
        parts.sort_by_key(|key| key.contains("data_").then(|| key.clone()));
        parts
    }

    fn make() -> Self {
        let made = Made::begin("many-tars");
        let s3 = S3::serve(&made.directory);
        let barman = Barman::new(&s3);
        let postgres = Postgres::builder().archive_command(barman.archive_command(SERVER, &["--gzip"])).start();
        create_databases(&postgres);
        let space = postgres.socket_directory().join("space");
        fs::create_dir(&space).unwrap();
        if let Some(user) = postgres_user() {
            chown(&space, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        postgres.sql("postgres", &format!("CREATE TABLESPACE archived LOCATION '{}'", space.display()));
        postgres.sql("shop", "CREATE TABLE invoices (id bigint) TABLESPACE archived");
        postgres.sql("shop", "INSERT INTO invoices SELECT generate_series(1, 1000)");
        write_rows(&postgres);
        let backup = barman.backup(&postgres, SERVER, &["--max-archive-size", "10MB"]);
        write_rows(&postgres);
        take_baseline(&s3, &postgres, &made.directory.join("baseline.json"));
        postgres.archive_wal();
        let tablespace = postgres.sql("postgres", "SELECT oid FROM pg_tablespace WHERE spcname = 'archived'");
        Self { made, backup, tablespace: tablespace.parse().unwrap() }
    }
}

impl Made {
    fn begin(name: &str) -> Self {
        let directory = profile_directory().join("sabotage").join(name);
        fs::create_dir_all(directory.parent().unwrap()).unwrap();
        let lock = File::create(directory.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if directory.exists() {
            fs::remove_dir_all(&directory).unwrap();
        }
        fs::create_dir(&directory).unwrap();
        Self { directory, _lock: lock }
    }

    fn trial(&self, baseline: &str, sabotage: impl FnOnce(&ArchiveCopy)) -> Trial {
        let archive = ArchiveCopy::copy(&self.directory, SERVER).aged(AGE);
        sabotage(&archive);
        Trial::of_archive(archive, &self.directory.join(baseline))
    }
}

fn take_baseline(s3: &S3, postgres: &Postgres, document: &Path) {
    let document = document.to_str().unwrap();
    let outcome = Walproof::new(s3, SERVER).connection(postgres).run(&["baseline", "--output-file", document]);
    assert_eq!(outcome.exit_code, 0, "{outcome}");
}

// Without these, the cases of these archives might have another cause than the sabotage.

#[test]
fn the_promoted_servers_own_view_of_its_archive_is_whole() {
    let trial = TwoTimelines::get().trial(2, |_| ());
    trial.drill().passes();
}

#[test]
fn the_left_timeline_alone_is_whole() {
    let trial = TwoTimelines::get().trial(1, TwoTimelines::delete_timeline_2);
    trial.drill().passes();
}

#[test]
fn the_archive_of_many_tars_is_whole() {
    let many = ManyTars::get();
    let mut parts = 0;
    let trial = many.trial(|archive| parts = many.data(archive).len());
    assert!(parts >= 3, "{parts} parts");
    trial.drill().passes();
}

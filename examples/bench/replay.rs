//! The restores that are compared: barman's, the local limits, and walproof's drill. Every WAL phase runs on a fresh
//! copy of the same base backup, with walproof's own settings, start and wait; only `restore_command` differs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use walproof::archive::timeline::History;
use walproof::archive::wal::{Segment, SegmentSize};
use walproof::plan::DirectSandbox;
use walproof::sandbox::direct::Sandbox;
use walproof::sandbox::direct::server::{Arrival, Server, prepare};
use walproof::sandbox::direct::settings::{ControlFile, settings};
use walproof::target::{Choice, Stop};

use super::measure::{Figure, figure, is_long, median, settled, watch};
use super::prepare::{Archive, directory, unpack};
use crate::support::postgres::find_programs;
use crate::support::process::{as_postgres_user, run_successfully};
use crate::support::s3::BUCKET;
use crate::support::{Barman, S3, Walproof};

/// Copying a large base backup on a slow disk.
const PATIENCE: Duration = Duration::from_mins(5);

/// Where WAL comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a spool of decompressed segments on the same file system, by renaming: the limit.
    Rename,
    /// From decompressed segments, by copying.
    Copy,
    Barman,
    BarmanParallel,
}

/// What the drills of one kind took.
pub struct Drills {
    pub download: Figure,
    pub replay: Figure,
    /// From the first byte of the download to the first accepted connection.
    pub recovery: Figure,
    pub peak_bytes: u64,
    pub verdict: String,
}

/// What is common to all restores of one run of the benchmark.
pub struct Bench<'a> {
    pub s3: &'a S3,
    /// The store that all restores read from.
    pub endpoint: &'a str,
    pub work: &'a Path,
}

impl Bench<'_> {
    /// The base backup by barman-cloud-restore, the whole process.
    pub fn base_by_barman(&self, archive: &Archive) -> Figure {
        figure(|| {
            let target = directory(self.work, "restored");
            let mut command = self.barman("barman-cloud-restore");
            command.args([&format!("s3://{BUCKET}"), archive.server, &archive.backup]).arg(&target);
            let ran = watch(command);
            assert!(ran.exit_code == 0, "barman-cloud-restore: {}{}", ran.stdout, ran.stderr);
            fs::remove_dir_all(target).unwrap();
            ran.elapsed
        })
    }

    /// The base backup from a local file by tar and gzip.
    pub fn base_by_tar(&self, archive: &Archive) -> Figure {
        figure(|| {
            let target = directory(self.work, "restored");
            let start = Instant::now();
            unpack(&archive.tar, &target);
            let elapsed = start.elapsed();
            fs::remove_dir_all(target).unwrap();
            elapsed
        })
    }

    /// From the start of `postgres` to its first accepted connection.
    pub fn replay(&self, archive: &Archive, way: Way) -> Figure {
        let mut durations = vec![self.replay_once(archive, way)];
        if !is_long(durations[0]) {
            durations.extend([self.replay_once(archive, way), self.replay_once(archive, way)]);
        }
        median(durations)
    }

    /// Drills to a baseline, with a spool of this size.
    pub fn drill(&self, archive: &Archive, baseline: &Path, spool: &str) -> Drills {
        let walproof = Walproof::new(self.s3, archive.server)
            .set("/sources/0/archive/s3/endpoint", json!(self.endpoint))
            .set("/sandbox/direct/spool", json!(spool))
            .baseline(baseline);
        let (mut downloads, mut replays, mut recoveries) = (Vec::new(), Vec::new(), Vec::new());
        let mut peak_bytes = 0;
        let verdict = loop {
            let ran = settled(|| watch(walproof.command(&["drill", "--output", "json"])));
            let report: Value = serde_json::from_str(&ran.stdout)
                .unwrap_or_else(|_| panic!("no report: {}\n{}", ran.stdout, ran.stderr));
            downloads.push(phase(&report, "download"));
            replays.push(phase(&report, "replay"));
            recoveries.push(milliseconds(&report["restore"]["recovery_time_ms"]));
            peak_bytes = peak_bytes.max(ran.peak_bytes);
            if is_long(recoveries[0]) || recoveries.len() == 3 {
                break report["verdict"].as_str().unwrap_or_default().to_owned();
            }
        };
        Drills {
            download: median(downloads),
            replay: median(replays),
            recovery: median(recoveries),
            peak_bytes,
            verdict,
        }
    }

    fn replay_once(&self, archive: &Archive, way: Way) -> Duration {
        let plan =
            DirectSandbox { directory: self.work.to_owned(), binaries: None, user: "postgres".to_owned(), spool: 0 };
        let run_id = walproof::run::new_run_id(jiff::Timestamp::now());
        let sandbox = Sandbox::new(&plan, &run_id).unwrap_or_else(|finding| panic!("{finding:?}"));
        let mut guard = TearDown(sandbox);
        let sandbox = &mut guard.0;
        sandbox.create().unwrap();
        copy(&archive.base, &sandbox.data());
        if way == Way::Rename {
            copy(&archive.segments, &sandbox.spool());
        }
        let programs = find_programs();
        settled(|| prepare(sandbox, &archive.info)).unwrap();
        let control = ControlFile::read(&programs.join("pg_controldata"), &sandbox.data());
        let control = control.unwrap_or_else(|finding| panic!("{finding:?}"));
        let timeline = archive.info.timeline.expect("a completed backup has a timeline");
        let size = SegmentSize::DEFAULT;
        let choice = Choice {
            backup: archive.backup.clone(),
            stop: Stop::BeforeLsn(archive.lsn),
            history: History::root(timeline),
            last_segment: Segment::ending_at(timeline, archive.lsn, size),
            short_of_baseline: false,
        };
        let mut settings = settings(sandbox, &control, size, &choice, &archive.info);
        let command = self.restore_command(archive, way, sandbox);
        settings.iter_mut().filter(|(name, _)| name == "restore_command").for_each(|it| it.1.clone_from(&command));

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Instant::now();
        let server = Server::start(&programs.join("postgres"), sandbox, &settings, "postgres").unwrap();
        let log = sandbox.log();
        sandbox.attach(server);
        let arrival = runtime.block_on(sandbox.server().expect("it was attached").arrival(&log));
        let elapsed = start.elapsed();
        match arrival {
            Arrival::Up(_) => elapsed,
            Arrival::Exited(reason) | Arrival::Refused(reason) => panic!("{way:?}: {reason}"),
        }
    }

    fn restore_command(&self, archive: &Archive, way: Way, sandbox: &Sandbox) -> String {
        match way {
            Way::Rename => format!("mv '{}/%f' '%p'", sandbox.spool().display()),
            Way::Copy => format!("cp '{}/%f' '%p'", archive.segments.display()),
            Way::Barman => self.barman_restore_command(archive, ""),
            Way::BarmanParallel => {
                let spool = sandbox.spool();
                self.barman_restore_command(archive, &format!("--parallel 8 --spool-dir '{}'", spool.display()))
            }
        }
    }

    fn barman_restore_command(&self, archive: &Archive, options: &str) -> String {
        let command = self.barman("barman-cloud-wal-restore");
        let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().expect("barman's path is text"));
        let environment =
            command.get_envs().filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, quoted(value?))));
        let mut words: Vec<String> = std::iter::once("env".to_owned()).chain(environment).collect();
        words.push(quoted(command.get_program()));
        words.extend(command.get_args().map(quoted));
        format!("{} {options} s3://{BUCKET} {} %f %p", words.join(" "), archive.server)
    }

    /// One of barman's programs, reading from the measured store.
    fn barman(&self, program: &str) -> Command {
        let mut command = Barman::new(self.s3).command(program);
        // The last of an option's values counts.
        command.args(["--endpoint-url", self.endpoint]);
        command
    }
}

/// Removes a sandbox whatever happens.
struct TearDown(Sandbox);

impl Drop for TearDown {
    fn drop(&mut self) {
        let left = self.0.tear_down();
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {left:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    let from: PathBuf = from.join(".");
    run_successfully(as_postgres_user("cp").arg("-a").arg(from).arg(to), PATIENCE);
}

fn phase(report: &Value, name: &str) -> Duration {
    let phases = report["restore"]["phases"].as_array().unwrap_or_else(|| panic!("no restore: {report:#}"));
    let found = phases.iter().find(|phase| phase["name"] == name);
    milliseconds(&found.unwrap_or_else(|| panic!("no phase {name}: {report:#}"))["duration_ms"])
}

fn milliseconds(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap_or_else(|| panic!("the restore did not come so far: {value}")))
}

//! `make bench`: restores the same archives with barman, with the local limits, and with walproof, measures walproof's
//! memory, lets it check an archive of a million segments, and writes docs/benchmarks.md. A missed target is said, and
//! is no error.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

#[path = "bench/machine.rs"]
mod machine;
#[path = "bench/measure.rs"]
mod measure;
#[path = "bench/million.rs"]
mod million;
#[path = "bench/prepare.rs"]
mod prepare;
#[path = "bench/replay.rs"]
mod replay;
#[path = "bench/store.rs"]
mod store;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "bench/table.rs"]
mod table;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::Parser;
use jiff::Zoned;

use measure::Figure;
use million::Checked;
use prepare::{Archive, Sizes};
use replay::{Bench, Drills, Way};
use store::{Files, Server};
use support::S3;
use support::process::{is_interrupted, stop_on_signals};
use table::{Line, Target, megabytes};

/// What a source gets when it says nothing.
const DEFAULT_SPOOL: &str = "1Gi";
/// Eight segments: what is fetched during the download then hardly counts.
const SMALL_SPOOL: &str = "128Mi";

/// Measures speed and memory, and writes docs/benchmarks.md.
#[derive(Debug, Parser)]
struct Options {
    /// How large the input is: 1 is a database of 1.26 GB with 109 heavy and 100 light WAL segments.
    #[arg(long, default_value_t = 0.4)]
    scale: f64,
    /// Where the figures go; left out: docs/benchmarks.md, and nowhere from a debug build.
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    stop_on_signals();
    // The measuring thread owns everything that is started: however it ends, its guards stop all of it.
    if thread::spawn(move || run(&options)).join().is_ok() {
        return ExitCode::SUCCESS;
    }
    let why = if is_interrupted() { "interrupted by a signal" } else { "the benchmark failed" };
    eprintln!("{why}; everything it started is stopped");
    ExitCode::FAILURE
}

fn run(options: &Options) {
    let start = Instant::now();
    let say = |text: &str| println!("{:>4} s  {text}", start.elapsed().as_secs());
    let work = tempfile::Builder::new().prefix("wp-bench-").tempdir().unwrap();
    // PostgreSQL's user must get to what is in it.
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).unwrap();

    let s3 = S3::temporary();
    say("a large database, its base backup by barman-cloud-backup, heavy WAL");
    let heavy = prepare::heavy(options.scale, &s3, work.path());
    say(&format!("... {}", describe(&heavy.sizes)));
    say("a small database, its base backup, light WAL");
    let light = prepare::light(options.scale, &s3, work.path());
    say(&format!("... {}", describe(&light.sizes)));

    let server = Server::start(Files::of_bucket(s3.root()));
    let bench = Bench { s3: &s3, endpoint: server.endpoint(), work: work.path() };
    let figures = measure_all(&bench, &heavy, &light, &s3, &say);
    let facts = machine::describe(&s3, work.path());
    let text = render(&figures, &heavy.sizes, &light.sizes, &facts, options.scale);
    println!("\n{text}");

    let default = (!cfg!(debug_assertions)).then(|| support::repository().join("docs/benchmarks.md"));
    match options.output.clone().or(default) {
        Some(file) => {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            say(&format!("written to {}", file.display()));
        }
        None => say("not written anywhere: this is a debug build"),
    }
}

/// All that is measured.
struct Figures {
    base_barman: Figure,
    base_tar: Figure,
    base: Drills,
    heavy_rename: Figure,
    heavy_copy: Figure,
    heavy_barman: Figure,
    heavy_parallel: Figure,
    heavy_small_spool: Drills,
    heavy: Drills,
    light_rename: Figure,
    light_copy: Figure,
    light_barman: Figure,
    light_parallel: Figure,
    light: Drills,
    checks: [Checked; 2],
}

fn measure_all(bench: &Bench, heavy: &Archive, light: &Archive, s3: &S3, say: &dyn Fn(&str)) -> Figures {
    let replay = |archive: &Archive, way: Way| {
        say(&format!("WAL, {}: {way:?}", archive.server));
        bench.replay(archive, way)
    };
    let drill = |archive: &Archive, baseline: &PathBuf, spool: &str| {
        say(&format!("{}: walproof drill, spool {spool}", archive.server));
        bench.drill(archive, baseline, spool)
    };
    say("base backup: barman-cloud-restore, then tar");
    Figures {
        base_barman: bench.base_by_barman(heavy),
        base_tar: bench.base_by_tar(heavy),
        base: drill(heavy, &heavy.baseline_at_backup, DEFAULT_SPOOL),
        heavy_rename: replay(heavy, Way::Rename),
        heavy_copy: replay(heavy, Way::Copy),
        heavy_small_spool: drill(heavy, &heavy.baseline, SMALL_SPOOL),
        heavy: drill(heavy, &heavy.baseline, DEFAULT_SPOOL),
        heavy_barman: replay(heavy, Way::Barman),
        heavy_parallel: replay(heavy, Way::BarmanParallel),
        light_rename: replay(light, Way::Rename),
        light_copy: replay(light, Way::Copy),
        light: drill(light, &light.baseline, DEFAULT_SPOOL),
        light_barman: replay(light, Way::Barman),
        light_parallel: replay(light, Way::BarmanParallel),
        checks: {
            say("walproof check of a million segments");
            million::check(s3)
        },
    }
}

impl Figures {
    fn drills(&self) -> [&Drills; 4] {
        [&self.base, &self.heavy_small_spool, &self.heavy, &self.light]
    }

    fn targets(&self) -> Vec<Target> {
        let ratio = |slow: Figure, fast: Figure| slow.seconds / fast.seconds;
        let peak = self.drills().iter().map(|drills| drills.peak_bytes).max().unwrap_or(0);
        let [full, freshness] = &self.checks;
        vec![
            Target::at_least(
                "base backup: ≥ 1.5× faster than barman-cloud-restore",
                ratio(self.base_barman, self.base.download),
                1.5,
            ),
            Target::at_most("heavy WAL: ≤ 1.3× the rename limit", ratio(self.heavy.replay, self.heavy_rename), 1.3),
            Target::at_least("heavy WAL: faster than `cp`", ratio(self.heavy_copy, self.heavy.replay), 1.0),
            Target::at_least(
                "heavy WAL: ≥ 3.8× faster than barman-cloud-wal-restore",
                ratio(self.heavy_barman, self.heavy.replay),
                3.8,
            ),
            Target::at_least(
                "light WAL: ≥ 15× faster than barman-cloud-wal-restore",
                ratio(self.light_barman, self.light.replay),
                15.0,
            ),
            Target::memory("every drill: < 150 MB resident", peak, 150),
            Target::requests("check --depth full, 1,000,000 segments: ≤ 1,200 LIST requests", full.list_requests, 1200),
            Target::memory("check --depth full, 1,000,000 segments: < 64 MB resident", full.peak_bytes, 64),
            Target::requests(
                "check --depth freshness, 1,000,000 segments: ≤ 12 requests",
                freshness.list_requests + freshness.other_requests,
                12,
            ),
        ]
    }
}

fn render(figures: &Figures, heavy: &Sizes, light: &Sizes, facts: &[(&str, String)], scale: f64) -> String {
    let line = |what: &str, figure: Figure| Line { what: what.to_owned(), figure };
    let total =
        |one: Figure, other: Figure| Figure { seconds: one.seconds + other.seconds, runs: one.runs.min(other.runs) };
    let mut text = String::new();
    let mut add = |paragraph: &str| {
        let _ = writeln!(text, "{}\n", paragraph.trim_end());
    };
    add("# Benchmarks");
    add(&format!(
        "Written by `make bench` on {} at scale {scale}, in one run on one machine. The ratios are what counts; the \
         seconds are this machine's. What takes under five seconds is the median of three runs, all else one run.",
        Zoned::now().strftime("%Y-%m-%d")
    ));
    add(&table::targets(&figures.targets()));
    add("## Machine");
    add(&table::facts(facts));
    add("## Input");
    add(&format!("- heavy: {}\n- light: {}", describe(heavy), describe(light)));
    add("Each base backup was made by the real `barman-cloud-backup --gzip`. The WAL segments were collected from \
         PostgreSQL's `archive_command` and stored by the benchmark under barman's keys, gzipped at barman's level, \
         because one barman process for each would take minutes. Heavy segments come from an UPDATE of a large table \
         with full page writes; light ones hold ten small rows and the zeros of an early switch. An S3 server in the \
         benchmark's own process serves walproof and barman alike, on loopback and from the same cores.");
    add("## Base backup");
    add(&table::comparison(&[
        line("`barman-cloud-restore`, the whole process", figures.base_barman),
        line("`tar -xzf` of the local file", figures.base_tar),
        line("walproof's download phase", figures.base.download),
    ]));
    add(
        "The drill goes to a baseline that was taken right after the backup, so that there is hardly any WAL to fetch \
         beside it.",
    );
    let wal = |rename, copy, barman, parallel, small_spool: Option<&Drills>, own: &Drills| {
        let mut lines = vec![
            line("rename from a ready spool: the limit", rename),
            line("`cp` of ready segments", copy),
            line("`barman-cloud-wal-restore`", barman),
            line("`barman-cloud-wal-restore --parallel 8`", parallel),
        ];
        lines.extend(small_spool.map(|drills| line("walproof's replay phase, spool of 128 MiB", drills.replay)));
        lines.push(line("walproof's replay phase", own.replay));
        table::comparison(&lines)
    };
    add(&format!("## Heavy WAL, {} segments", heavy.segments));
    let small = Some(&figures.heavy_small_spool);
    add(&wal(
        figures.heavy_rename,
        figures.heavy_copy,
        figures.heavy_barman,
        figures.heavy_parallel,
        small,
        &figures.heavy,
    ));
    add(
        "From the start of `postgres` to its first connection, each on a fresh copy of the same base backup, with the \
         same settings. walproof fetches WAL ahead from the beginning of the download on, so its download gets \
         slower and its replay finds a part of the WAL ready: up to 1 GiB by default. With the small spool hardly \
         anything is ready, as for far more WAL. Both phases together:",
    );
    add(&table::comparison(&[
        line("barman: base backup and WAL", total(figures.base_barman, figures.heavy_barman)),
        line("local `tar` and rename: the limit", total(figures.base_tar, figures.heavy_rename)),
        line("walproof, spool of 128 MiB", figures.heavy_small_spool.recovery),
        line("walproof", figures.heavy.recovery),
    ]));
    add(&format!("## Light WAL, {} segments", light.segments));
    add(&wal(
        figures.light_rename,
        figures.light_copy,
        figures.light_barman,
        figures.light_parallel,
        None,
        &figures.light,
    ));
    add("## Memory");
    add(&memory(figures));
    add("The largest `VmHWM` of the walproof process in all runs of a kind; PostgreSQL's memory is not in it.");
    add("## A million segments");
    add(&checks(&figures.checks));
    add("The archive is made up on the spot: 1,000,000 segments at one a minute and seven daily backups. A segment's \
         object is only as real as its first page, which is all that a check reads.");
    text.trim_end().to_owned() + "\n"
}

fn memory(figures: &Figures) -> String {
    let names = ["to the end of the base backup", "heavy WAL, spool of 128 MiB", "heavy WAL", "light WAL"];
    let mut rows = vec![["drill".to_owned(), "resident at most".to_owned(), "verdict".to_owned()]];
    rows.extend(
        names
            .iter()
            .zip(figures.drills())
            .map(|(name, drills)| [(*name).to_owned(), megabytes(drills.peak_bytes), drills.verdict.clone()]),
    );
    table::table(&rows)
}

fn checks(checks: &[Checked]) -> String {
    let head = ["walproof check", "seconds", "LIST requests", "other requests", "resident at most", "verdict"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(checks.iter().map(|checked| {
        [
            format!("`--depth {}`", checked.depth),
            format!("{:.2}", checked.seconds),
            checked.list_requests.to_string(),
            checked.other_requests.to_string(),
            megabytes(checked.peak_bytes),
            checked.verdict.clone(),
        ]
    }));
    table::table(&rows)
}

fn describe(sizes: &Sizes) -> String {
    format!(
        "a database of {} ({} gzipped), {} segments of WAL ({}, {} gzipped)",
        megabytes(sizes.database_bytes),
        megabytes(sizes.tar_bytes),
        sizes.segments,
        megabytes(sizes.segments * (16 << 20)),
        megabytes(sizes.gzipped_wal_bytes)
    )
}

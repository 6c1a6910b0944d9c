//! `make bench`: restores the same archives with barman, with the local limits, and with walproof, measures walproof's
//! memory, lets it check an archive of a million segments, and writes docs/benchmarks.md. A missed target is said, and
//! is no error.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

#[path = "bench/document.rs"]
mod document;
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
#[path = "bench/server.rs"]
mod server;
#[path = "bench/store.rs"]
mod store;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "bench/table.rs"]
mod table;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::Parser;

use document::{Figures, describe, render};
use prepare::Archive;
use replay::{Bench, Way};
use server::Server;
use store::Files;
use support::S3;
use support::process::{is_interrupted, stop_on_signals};

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
    let print_panic = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // After a signal every waiting thread panics, which is how it ends here and no news.
        if !is_interrupted() {
            print_panic(panic);
        }
    }));
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

//! The main job on real input, narrated (`make demo`): a PostgreSQL under a write load, backed up by the real barman
//! into an embedded S3; walproof proves that it comes back, then finds the one WAL segment that we delete.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use support::archive::archived_segments;
use support::prepared::create_databases;
use support::process::{eventually, is_interrupted, run, stop_on_signals};
use support::pushgateway::Pushgateway;
use support::{ArchiveCopy, Barman, Outcome, Postgres, S3, Walproof};

const SERVER: &str = "pal-e-postgres";
/// How old a gap must be before it counts: archiving is parallel, so a younger one may yet be filled.
const MAX_WAL_AGE: Duration = Duration::from_secs(20);
/// How many segments lie between the backup and the baseline.
const SEGMENTS: usize = 6;

fn main() -> ExitCode {
    stop_on_signals();
    let print_panic = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // After a signal every waiting thread panics, which is how it ends here and no news.
        if !is_interrupted() {
            print_panic(panic);
        }
    }));
    // The recipe's thread owns everything that is started: however it ends, its guards stop all of it.
    if thread::spawn(demonstrate).join().is_ok() {
        return ExitCode::SUCCESS;
    }
    let why = if is_interrupted() { "interrupted by a signal" } else { "the demo failed" };
    eprintln!("{why}; everything it started is stopped");
    ExitCode::FAILURE
}

fn demonstrate() {
    let start = Instant::now();
    let reports = support::repository().join(".demo");
    let _ = fs::remove_dir_all(&reports);
    fs::create_dir_all(&reports).unwrap();

    let s3 = S3::temporary();
    say(&format!("An S3 server (s3s-fs, in this process) listens on {}.", s3.endpoint()));
    let barman = Barman::new(&s3);
    let source = Postgres::builder()
        .archive_command(barman.archive_command(SERVER, &["--gzip"]))
        .setting("archive_timeout", "2s")
        .setting("autovacuum", "on")
        .start();
    let source = Arc::new(source);
    create_databases(&source);
    let load = WriteLoad::start(&source);
    let version = source.sql("postgres", "SHOW server_version");
    say(&format!("A PostgreSQL {version} is up and written to; its WAL goes to S3 by barman-cloud-wal-archive."));

    let backup = barman.backup(&source, SERVER, &["--gzip"]);
    say(&format!("barman-cloud-backup has taken the base backup {backup}."));
    let archived = || archived_segments(s3.root(), SERVER).len();
    let enough = archived() + SEGMENTS;
    eventually("the load fills WAL segments", Duration::from_mins(1), || (archived() >= enough).then_some(()));

    let walproof = Walproof::new(&s3, SERVER)
        .connection(&source)
        .set("/sources/0/freshness/maxWalAge", json!(format!("{}s", MAX_WAL_AGE.as_secs())))
        .set("/limits/archiveWait", json!("1m"))
        .set("/history", json!({"directory": reports.join("history")}));
    let pushgateway = std::env::var_os("PUBLISH").map(|_| Pushgateway::start());
    let walproof = match &pushgateway {
        Some(pushgateway) => walproof.set("/publish/pushgateway/url", json!(pushgateway.url())),
        None => walproof,
    };
    fs::write(reports.join("walproof.yaml"), walproof.configuration()).unwrap();
    let baseline = reports.join("baseline.json");
    say("walproof reads the baseline from the source, read-only, in one snapshot, while the load goes on:");
    show(&walproof, &["baseline", "--output-file", baseline.to_str().unwrap()], 0, None);
    let baseline_segment = source.sql("postgres", "SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
    let walproof = walproof.baseline(&baseline);

    say("Is WAL arriving, unbroken, and is there a base backup to start from?");
    show(&walproof, &["check"], 0, Some(&reports.join("check-pass.txt")));
    say("Does it come back? A drill restores the archive to the baseline's point and compares:");
    show(&walproof, &drill(&reports.join("drill-pass.json")), 0, Some(&reports.join("drill-pass.txt")));
    say("May a pipeline go on that wants a restore which worked within the last day?");
    show(&walproof, &["gate", "--max-age", "26h"], 0, None);

    let victim = delete_segment_in_the_middle(&s3, &baseline_segment);
    say(&format!("Now {victim}, one WAL segment in the middle, is deleted from the archive. The same check:"));
    let check = show(&walproof, &["check"], 1, Some(&reports.join("check-fail.txt")));
    assert!(check.stdout.contains(&victim), "the check names the segment");
    say("And the same drill:");
    let drilled = show(&walproof, &drill(&reports.join("drill-fail.json")), 1, Some(&reports.join("drill-fail.txt")));
    assert!(drilled.stdout.contains(&victim), "the drill names the segment");
    assert!(walproof.left_behind().is_empty(), "left behind: {:?}", walproof.left_behind());

    say("When did it last work? The history, and the last report as a page and as a note:");
    let (page, note) = (reports.join("report.html"), reports.join("report.md"));
    let files = ["report", "--html", page.to_str().unwrap(), "--markdown", note.to_str().unwrap()];
    show(&walproof, &files, 0, Some(&reports.join("history.txt")));
    show(&walproof, &["gate", "--max-age", "26h"], 1, None);

    if let Some(pushgateway) = &pushgateway {
        say("What Prometheus scrapes of the Pushgateway by now:");
        let told = ["walproof_verdict{", "walproof_last_success_timestamp_seconds{", "walproof_wal_gaps{"];
        let samples = pushgateway.samples();
        let shown: Vec<&String> =
            samples.iter().filter(|line| told.iter().any(|name| line.starts_with(name))).collect();
        assert!(shown.iter().any(|line| line.contains("verdict=\"FAIL\"") && line.ends_with(" 1")), "{samples:#?}");
        for line in shown {
            println!("    {line}");
        }
    }

    let transactions = load.stop();
    let seconds = start.elapsed().as_secs();
    say(&format!(
        "Done in {seconds} s; {transactions} transactions were written meanwhile. PASS, then FAIL, as it must be."
    ));
    println!("    configuration     .demo/walproof.yaml");
    println!("    baseline          .demo/baseline.json");
    println!("    report of PASS    .demo/drill-pass.txt   .demo/drill-pass.json");
    println!("    report of FAIL    .demo/drill-fail.txt   .demo/drill-fail.json");
    println!("    the same          .demo/report.html      .demo/report.md");
}

fn drill(report: &Path) -> [&str; 3] {
    ["drill", "--report-file", report.to_str().unwrap()]
}

fn say(text: &str) {
    println!("\n==> {text}");
}

/// Runs a command of walproof, shows what a user would see, and insists on its exit code.
fn show(walproof: &Walproof, arguments: &[&str], expected: i32, kept_as: Option<&PathBuf>) -> Outcome {
    let here = format!("{}/", support::repository().display());
    let (command, rest) = arguments.split_first().unwrap();
    let rest: Vec<String> = rest.iter().map(|argument| argument.replace(&here, "")).collect();
    println!("$ walproof {command} --config .demo/walproof.yaml {}", rest.join(" "));
    let outcome = walproof.run(arguments);
    for line in outcome.stdout.lines() {
        println!("    {line}");
    }
    println!("    (exit code {})", outcome.exit_code);
    if let Some(file) = kept_as {
        fs::write(file, &outcome.stdout).unwrap();
    }
    assert!(outcome.exit_code == expected, "expected exit code {expected}; on stderr:\n{}", outcome.stderr);
    outcome
}

/// Deletes a segment between the backup and the baseline's segment, once its absence is old enough to count.
fn delete_segment_in_the_middle(s3: &S3, baseline_segment: &str) -> String {
    let archive = ArchiveCopy::copy(s3.root(), SERVER);
    let before: Vec<String> = archive.segments().into_iter().filter(|it| it.as_str() < baseline_segment).collect();
    let victim = before[before.len() - SEGMENTS / 2].clone();
    let newest_neighbour = archive.modified(&archive.wal_key(&before[before.len() - SEGMENTS / 2 + 1]));
    eventually("the gap is old enough to count", Duration::from_mins(1), || {
        let age = SystemTime::now().duration_since(newest_neighbour).unwrap_or_default();
        (age > MAX_WAL_AGE + Duration::from_secs(1)).then_some(())
    });
    let key = archive.wal_key(&victim);
    fs::remove_file(s3.root().join(support::s3::BUCKET).join(key)).unwrap();
    victim
}

/// Connections that insert, change and delete rows until they are stopped.
struct WriteLoad {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<u64>>,
}

impl WriteLoad {
    fn start(source: &Arc<Postgres>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..3).map(|_| {
            let (source, stop) = (Arc::clone(source), Arc::clone(&stop));
            thread::spawn(move || write_until(&source, &stop))
        });
        let threads = threads.collect();
        Self { stop, threads }
    }

    /// Stops and returns how many transactions there were.
    fn stop(mut self) -> u64 {
        self.join()
    }

    fn join(&mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).map(|thread| thread.join().unwrap_or_default()).sum()
    }
}

impl Drop for WriteLoad {
    fn drop(&mut self) {
        self.join();
    }
}

fn write_until(source: &Postgres, stop: &AtomicBool) -> u64 {
    // Each batch is one session of small transactions with pauses, as an application's.
    const BATCH: &str = "
        SELECT 'INSERT INTO notes (author, body) SELECT 1 + n % 20, repeat(md5(random()::text), 20)'
            || ' FROM generate_series(1, 40) n; SELECT pg_sleep(0.02);'
            || ' UPDATE notes SET updated_at = clock_timestamp() WHERE id % 101 = ' || n
            || ' AND id > (SELECT max(id) FROM notes) - 2000;'
            || ' DELETE FROM notes WHERE id % 499 = ' || n || ' AND id > (SELECT max(id) FROM notes) - 2000;'
        FROM generate_series(1, 20) n";
    let script = source.sql("paledocs", BATCH);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("batch.sql");
    fs::write(&file, script).unwrap();
    let mut transactions = 0;
    while !stop.load(Ordering::SeqCst) {
        // A deadlock between two sessions ends a batch early; an application would try again, too.
        let finished = run(source.psql("paledocs").arg("-f").arg(&file), Duration::from_mins(1));
        transactions += if finished.exit_code == 0 { 60 } else { 0 };
    }
    transactions
}

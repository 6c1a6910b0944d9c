//! docs/benchmarks.md: the figures, the targets, and what was measured how.

use std::fmt::Write as _;

use jiff::Zoned;

use super::measure::Figure;
use super::million::Checked;
use super::prepare::Sizes;
use super::replay::Drills;
use super::table::{self, Line, Target, megabytes};

/// All that is measured.
pub struct Figures {
    pub base_barman: Figure,
    pub base_tar: Figure,
    pub base: Drills,
    pub heavy_rename: Figure,
    pub heavy_copy: Figure,
    pub heavy_barman: Figure,
    pub heavy_parallel: Figure,
    pub heavy_small_spool: Drills,
    pub heavy: Drills,
    pub light_rename: Figure,
    pub light_copy: Figure,
    pub light_barman: Figure,
    pub light_parallel: Figure,
    pub light: Drills,
    pub checks: [Checked; 2],
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
            Target::at_most("heavy WAL: ≤ 1.3× the rename limit", ratio(self.heavy.replay, self.heavy_rename), 1.3)
                .beside("with a spool of 128 MiB", ratio(self.heavy_small_spool.replay, self.heavy_rename)),
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

/// docs/benchmarks.md.
pub fn render(figures: &Figures, heavy: &Sizes, light: &Sizes, facts: &[(&str, String)], scale: f64) -> String {
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
         seconds are this machine's. What takes under five seconds is the median of three runs, all else one run. \
         Another scale: `cargo run --release --example bench -- --scale 1`.",
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

/// An archive in a line.
pub fn describe(sizes: &Sizes) -> String {
    format!(
        "a database of {} ({} gzipped), {} segments of WAL ({}, {} gzipped)",
        megabytes(sizes.database_bytes),
        megabytes(sizes.tar_bytes),
        sizes.segments,
        megabytes(sizes.segments * (16 << 20)),
        megabytes(sizes.gzipped_wal_bytes)
    )
}

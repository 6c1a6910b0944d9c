//! What the figures were measured on and with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::postgres::find_programs;
use crate::support::process::run_successfully;
use crate::support::{Barman, S3};

/// Name and value of each fact.
pub fn describe(s3: &S3, work: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kilobytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
    vec![
        ("CPU", field("/proc/cpuinfo", "model name").unwrap_or_else(|| "not known".to_owned())),
        ("cores", cores.to_string()),
        ("memory", format!("{} GiB", (kilobytes + (1 << 19)) >> 20)),
        ("kernel", format!("Linux {}", kernel.trim())),
        ("disk", disk(work)),
        ("PostgreSQL", version(Command::new(find_programs().join("postgres")))),
        ("barman", version(Barman::new(s3).command("barman-cloud-restore"))),
        ("walproof", format!("{} ({})", env!("CARGO_PKG_VERSION"), build())),
    ]
}

/// How this program and walproof beside it were built.
pub fn build() -> &'static str {
    if cfg!(debug_assertions) { "debug build: the figures mean nothing" } else { "release build" }
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// The device and file system below a directory.
fn disk(directory: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, place, kind) = (words.next()?, words.next()?, words.next()?);
        directory.starts_with(place).then(|| (place.len(), format!("{kind} on {device}")))
    });
    // Of mounts over one another the last one is seen.
    let found = mounts.max_by_key(|(length, _)| *length).map_or("not known".to_owned(), |(_, text)| text);
    format!("{found}; the archive is in the page cache")
}

fn version(mut command: Command) -> String {
    run_successfully(command.arg("--version"), Duration::from_mins(1)).trim().to_owned()
}

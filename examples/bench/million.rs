//! An archive of a million WAL segments that exists only as a rule, and what `walproof check` needs for it.

use std::io::{self, Write};
use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value, json};
use walproof::archive::compression::Compression;
use walproof::archive::layout::{backup_info_key, segment_key, tar_key};
use walproof::archive::wal::{Segment, SegmentSize, Timeline};

use super::measure::{Ran, watch};
use super::server::Server;
use super::store::Objects;
use crate::support::{S3, Walproof};

const SERVER: &str = "million";
/// How many WAL objects the archive has.
pub const SEGMENTS: usize = 1_000_000;
/// One base backup a day.
const BACKUPS: usize = 7;
/// A segment a minute, the newest half a minute old.
const PERIOD: Duration = Duration::from_mins(1);
const SEGMENTS_A_DAY: usize = 1440;
const SYSTEM_IDENTIFIER: u64 = 7_710_429_258_705_097_786;
/// What listings say of a segment; only its head is ever made.
const SEGMENT_BYTES: u64 = 4 << 20;
const TAR_BYTES: u64 = 1 << 30;
const SIZE: SegmentSize = SegmentSize::DEFAULT;

/// What one depth of the check needed.
pub struct Checked {
    pub depth: &'static str,
    pub seconds: f64,
    pub list_requests: u64,
    pub other_requests: u64,
    pub peak_bytes: u64,
    pub verdict: String,
}

/// Runs `walproof check` with both depths.
pub fn check(s3: &S3) -> [Checked; 2] {
    let server = Server::start(Million { now: SystemTime::now() });
    let walproof = Walproof::new(s3, SERVER).set("/sources/0/archive/s3/endpoint", json!(server.endpoint()));
    ["full", "freshness"].map(|depth| {
        server.take_requests();
        let ran = watch(walproof.command(&["check", "--depth", depth, "--output", "json"]));
        let (list_requests, other_requests) = server.take_requests();
        let Ran { elapsed, peak_bytes, stdout, stderr, .. } = ran;
        let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("no report: {stdout}\n{stderr}"));
        if depth == "full" {
            assert_eq!(report["inventory"]["segments"], SEGMENTS, "every key was seen: {report:#}");
        }
        let verdict = report["verdict"].as_str().unwrap_or_default().to_owned();
        Checked { depth, seconds: elapsed.as_secs_f64(), list_requests, other_requests, peak_bytes, verdict }
    })
}

/// In key order: each backup's two objects, then the segments.
struct Million {
    now: SystemTime,
}

enum Which {
    BackupInfo(usize),
    Tar(usize),
    Segment(usize),
}

fn which(index: usize) -> Which {
    match (index / 2, index % 2) {
        (backup, 0) if backup < BACKUPS => Which::BackupInfo(backup),
        (backup, _) if backup < BACKUPS => Which::Tar(backup),
        _ => Which::Segment(index - 2 * BACKUPS),
    }
}

fn segment(index: usize) -> Segment {
    Segment { timeline: Timeline(1), number: index as u64 + 1 }
}

/// The segment in which a backup begins and ends.
fn begin(backup: usize) -> usize {
    SEGMENTS - (BACKUPS - backup) * SEGMENTS_A_DAY + SEGMENTS_A_DAY / 2
}

impl Million {
    fn written(&self, segment: usize) -> SystemTime {
        let later = u32::try_from(SEGMENTS - 1 - segment).expect("a million fits");
        self.now - PERIOD / 2 - PERIOD * later
    }

    fn time(&self, segment: usize) -> Timestamp {
        self.written(segment).try_into().expect("two years ago is a time")
    }

    fn backup_id(&self, backup: usize) -> String {
        self.time(begin(backup)).strftime("%Y%m%dT%H%M%S").to_string()
    }

    fn content(&self, index: usize) -> Bytes {
        match which(index) {
            Which::BackupInfo(backup) => self.backup_info(backup).into(),
            Which::Segment(index) => first_page(index).into(),
            Which::Tar(_) => Bytes::new(),
        }
    }

    fn backup_info(&self, backup: usize) -> String {
        let segment = segment(begin(backup));
        let (name, start) = (segment.name(SIZE), segment.start(SIZE).0);
        let (high, low) = (start >> 32, start & 0xFFFF_FFFF);
        let time = self.time(begin(backup)).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let id = self.backup_id(backup);
        format!(
            "backup_label='START WAL LOCATION: {high:X}/{:X} (file {name})\\n\
             CHECKPOINT LOCATION: {high:X}/{:X}\\nBACKUP METHOD: streamed\\nBACKUP FROM: primary\\n\
             START TIME: {time} UTC\\nLABEL: Barman backup cloud {id}\\nSTART TIMELINE: 1\\n'\n\
             begin_offset=40\nbegin_time={time}.000000+00:00\nbegin_wal={name}\nbegin_xlog={high:X}/{:X}\n\
             cluster_size=1260000000\nend_offset=256\nend_time={time}.000000+00:00\nend_wal={name}\n\
             end_xlog={high:X}/{:X}\nstatus=DONE\nsystemid={SYSTEM_IDENTIFIER}\ntablespaces=None\ntimeline=1\n\
             version=170000\nxlog_segment_size={}\n",
            low + 0x28,
            low + 0x60,
            low + 0x28,
            low + 0x100,
            SIZE.bytes()
        )
    }
}

impl Objects for Million {
    fn count(&self) -> usize {
        2 * BACKUPS + SEGMENTS
    }

    fn key(&self, index: usize) -> String {
        let key = match which(index) {
            Which::BackupInfo(backup) => backup_info_key(&self.backup_id(backup)),
            Which::Tar(backup) => tar_key(&self.backup_id(backup), None, 0, Compression::Gzip),
            Which::Segment(index) => segment_key(segment(index), SIZE, Compression::Gzip),
        };
        format!("{SERVER}/{key}")
    }

    fn describe(&self, index: usize) -> (u64, SystemTime) {
        match which(index) {
            Which::BackupInfo(backup) => (self.content(index).len() as u64, self.written(begin(backup))),
            Which::Tar(backup) => (TAR_BYTES, self.written(begin(backup))),
            Which::Segment(segment) => (SEGMENT_BYTES, self.written(segment)),
        }
    }

    /// Behind what was made, an object goes on with zeros.
    fn read(&self, index: usize, range: Range<u64>) -> io::Result<Bytes> {
        let content = self.content(index);
        let inside = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(content.len());
        let mut bytes = content.slice(inside(range.start)..inside(range.end)).to_vec();
        bytes.resize(usize::try_from(range.end - range.start).expect("a chunk fits into memory"), 0);
        Ok(bytes.into())
    }
}

/// The gzipped first page of a segment, as PostgreSQL 17 writes it.
fn first_page(index: usize) -> Vec<u8> {
    let mut page = Vec::with_capacity(8192);
    page.extend(0xD116_u16.to_le_bytes());
    page.extend(0x0002_u16.to_le_bytes());
    page.extend(1_u32.to_le_bytes());
    page.extend(segment(index).start(SIZE).0.to_le_bytes());
    page.extend([0; 8]);
    page.extend(SYSTEM_IDENTIFIER.to_le_bytes());
    page.extend((16_u32 << 20).to_le_bytes());
    page.extend(8192_u32.to_le_bytes());
    page.resize(8192, 0);
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(&page).and_then(|()| encoder.finish()).expect("a vector takes every byte")
}

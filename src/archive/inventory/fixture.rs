//! Inventories in a line, for tests of what is concluded from them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::super::backup_info::BackupInfo;
use super::super::compression::Compression;
use super::super::store::ObjectMeta;
use super::super::wal::{Lsn, Segment, SegmentSize, Timeline};
use super::super::wal_listing::{Examples, WalListing};
use super::{Backup, Inventory, NoInfo, Tar};

pub const SIZE: SegmentSize = SegmentSize::DEFAULT;

/// When every inventory was taken and every object stored; day 20,778 since 1970.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A completed backup on `timeline` that fills segment `number`, and ended at minute `number` of the day.
pub fn backup(timeline: u32, number: u64) -> Backup {
    let id = format!("20261121T00{number:02}00");
    let (begin, end) = (Lsn(number * SIZE.bytes() + 0x28), Lsn(number * SIZE.bytes() + 0x100));
    let segment = Segment { timeline: Timeline(timeline), number }.name(SIZE);
    let text = format!(
        "backup_label='START WAL LOCATION: {begin} (file {segment})\\nCHECKPOINT LOCATION: {begin}\\nBACKUP METHOD: streamed\\n\
         BACKUP FROM: primary\\nSTART TIME: 2026-11-21 00:00:00 UTC\\nLABEL: x\\nSTART TIMELINE: {timeline}\\n'\n\
         begin_time=2026-11-21 00:{number:02}:00+00:00\nbegin_wal={segment}\nbegin_xlog={begin}\n\
         end_time=2026-11-21 00:{number:02}:30+00:00\nend_wal={segment}\nend_xlog={end}\n\
         status=DONE\nsystemid=7\ntimeline={timeline}\nversion=150018\nxlog_segment_size=16777216\n"
    );
    let tar = Tar { key: "data.tar".into(), tablespace: None, part: 0, compression: Compression::None, bytes: 1 };
    let info = BackupInfo::parse(&id, &text).map_err(|defect| NoInfo::Unreadable(defect.to_string()));
    let backup = Backup { id, info, tars: vec![tar], bytes: 1, newest_object: now() };
    assert_eq!(backup.defect(), None);
    backup
}

/// Backups as (timeline, segment) and segments as (timeline, range).
pub fn inventory(backups: &[(u32, u64)], segments: &[(u32, RangeInclusive<u64>)]) -> Inventory {
    let mut wal = WalListing::new(SIZE);
    for (timeline, numbers) in segments {
        for number in numbers.clone() {
            let segment = Segment { timeline: Timeline(*timeline), number };
            let key = format!("wals/{}/{}.gz", segment.directory(SIZE), segment.name(SIZE));
            wal.add(&ObjectMeta { key, bytes: 1, modified: now(), frozen: false });
        }
    }
    wal.finish();
    Inventory {
        taken_at: now(),
        backups: backups.iter().map(|&(timeline, number)| backup(timeline, number)).collect(),
        wal,
        histories: BTreeMap::new(),
        orphans: Examples::default(),
        frozen: Examples::default(),
    }
}

//! The inventory: what one listing of the archive shows. Backups, each with whether it can be restored; WAL per
//! timeline; gaps; the recovery window.

#[cfg(test)]
pub mod fixture;
mod freshness;

use std::collections::BTreeMap;

use freshness::{Budget, newest_backups, newest_wal};
use futures_util::StreamExt;
use jiff::Timestamp;

use super::backup_info::{BackupInfo, Status};
use super::compression::{self, Compression};
use super::gaps::{Gap, gaps};
use super::layout::{Object, classify};
use super::store::{ObjectMeta, Store, StoreError};
use super::timeline::History;
use super::wal::{Segment, SegmentSize, Timeline};
use super::wal_listing::{Examples, WalListing};

/// A backup.info has a few kilobytes; with many tablespaces some more.
const INFO_LIMIT: usize = 4 << 20;
/// A line per timeline, and timelines are few.
const HISTORY_LIMIT: usize = 1 << 20;

/// How much of the archive is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A handful of requests, whatever the archive's size: the newest backups and the newest WAL.
    Freshness,
    /// One pass over all keys.
    Full,
}

#[derive(Debug, Clone)]
pub struct Inventory {
    pub taken_at: Timestamp,
    /// Oldest first.
    pub backups: Vec<Backup>,
    pub wal: WalListing,
    pub histories: BTreeMap<Timeline, Result<History, String>>,
    /// Objects below `base/` that belong to no backup.
    pub orphans: Examples,
    /// Objects below `base/` that must be thawed before they can be read.
    pub frozen: Examples,
}

/// The objects of one base backup.
#[derive(Debug, Clone)]
pub struct Backup {
    pub id: String,
    /// The parsed backup.info, or why there is none.
    pub info: Result<BackupInfo, NoInfo>,
    /// In the order in which they are unpacked: data and its parts, then each tablespace and its parts.
    pub tars: Vec<Tar>,
    /// Stored bytes of all tars.
    pub bytes: u64,
    pub newest_object: Timestamp,
}

#[derive(Debug, Clone)]
pub struct Tar {
    pub key: String,
    /// None is the data directory itself.
    pub tablespace: Option<u32>,
    /// 0 for the first, then 1, 2, …
    pub part: u32,
    pub compression: Compression,
    pub bytes: u64,
}

/// A stretch of time to any moment of which the listing says that recovery is possible: from the oldest backup with an
/// unbroken way to the end of the archive, or, when there is none, from the newest backup to the gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryWindow {
    pub timeline: Timeline,
    /// When the backup ended.
    pub from: Timestamp,
    pub backup: String,
    /// When the last segment of the unbroken run was stored.
    pub to: Timestamp,
    pub last_segment: Segment,
    /// The gap that ends the window before the archive's end.
    pub broken_by: Option<Gap>,
}

/// Why a backup has no parsed backup.info.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoInfo {
    /// Its upload was cut off or is still running, or it is being removed.
    #[error("it has no backup.info: its upload was cut off or is still running")]
    Missing,
    #[error("its backup.info cannot be read: {0}")]
    Unreadable(String),
}

impl Backup {
    /// Why this backup cannot be restored, as far as backup.info and the listing of its tars tell.
    pub fn defect(&self) -> Option<String> {
        let info = match &self.info {
            Ok(info) => info,
            Err(reason) => return Some(reason.to_string()),
        };
        match &info.status {
            Status::Done => {}
            Status::Failed => {
                let error = info.error.as_deref().unwrap_or("no error given");
                return Some(format!("its status is FAILED: {error}"));
            }
            other => return Some(format!("its status is {other}")),
        }
        if info.parent_backup_id.is_some() {
            return Some("it is an incremental backup, which needs its parent".to_owned());
        }
        if info.is_snapshot {
            return Some("it is a volume snapshot, the archive holds no data of it".to_owned());
        }
        if info.begin_lsn.is_none() || info.end_lsn.is_none() || info.timeline.is_none() {
            return Some("backup.info lacks begin_xlog, end_xlog or timeline".to_owned());
        }
        if let Err(defect) = info.labels_agree() {
            return Some(defect.to_string());
        }
        self.tar_defect(info)
    }

    fn tar_defect(&self, info: &BackupInfo) -> Option<String> {
        let wanted = std::iter::once(None).chain(info.tablespaces.iter().map(|tablespace| Some(tablespace.oid)));
        for tablespace in wanted {
            let name = tablespace.map_or("data".to_owned(), |oid| oid.to_string());
            let parts: Vec<&Tar> = self.tars.iter().filter(|tar| tar.tablespace == tablespace).collect();
            if parts.is_empty() {
                return Some(format!("{name}.tar is missing"));
            }
            for (expected, tar) in (0..).zip(&parts) {
                if tar.part != expected {
                    return Some(format!("part {expected} of {name}.tar is missing"));
                }
                if tar.bytes == 0 {
                    return Some(format!("{} is empty", tar.key));
                }
            }
        }
        None
    }

    pub fn is_restorable(&self) -> bool {
        self.defect().is_none()
    }

    /// The segments that make the restored copy consistent: from its begin to its end on its own timeline.
    pub fn needed(&self, size: SegmentSize) -> Option<(Timeline, u64, u64)> {
        let info = self.info.as_ref().ok()?;
        let (timeline, begin, end) = (info.timeline?, info.begin_lsn?, info.end_lsn?);
        Some((timeline, begin.0 / size.bytes(), Segment::ending_at(timeline, end, size).number))
    }

    /// True when recovery along `history` can start from this backup: its timeline is the history's own or an ancestor,
    /// and it ended before the fork.
    pub fn lies_on(&self, history: &History) -> bool {
        let Ok(info) = &self.info else { return false };
        let (Some(timeline), Some(end)) = (info.timeline, info.end_lsn) else { return false };
        history.spans().iter().any(|span| span.timeline == timeline && span.end.is_none_or(|fork| end <= fork))
    }

    /// When the backup ended: the first moment to which it can be recovered.
    pub fn end_time(&self) -> Option<Timestamp> {
        self.info.as_ref().ok()?.end_time
    }
}

impl Inventory {
    /// Lists the archive. `taken_at` is now.
    pub async fn take(store: &Store, depth: Depth, taken_at: Timestamp) -> Result<Self, StoreError> {
        let mut budget = Budget::new();
        let (backups, orphans, frozen) = match depth {
            Depth::Full => list_backups(store).await?,
            Depth::Freshness => (newest_backups(store, &mut budget).await?, Examples::default(), Examples::default()),
        };
        let known_size = backups.iter().rev().find_map(|backup| backup.info.as_ref().ok()).map(|i| i.segment_size);
        let mut wal = WalListing::new(known_size.unwrap_or(SegmentSize::DEFAULT));
        match depth {
            Depth::Full => store.for_each("wals/", |object| wal.add(&object)).await?,
            Depth::Freshness => newest_wal(store, &backups, &mut budget, &mut wal).await?,
        }
        wal.finish();
        let histories = match depth {
            Depth::Full => read_histories(store, &wal).await?,
            Depth::Freshness => BTreeMap::new(),
        };
        Ok(Self { taken_at, backups, wal, histories, orphans, frozen })
    }

    pub fn is_empty(&self) -> bool {
        self.backups.is_empty() && self.wal.timelines.is_empty() && self.orphans.count == 0
    }

    pub fn backup(&self, id: &str) -> Option<&Backup> {
        self.backups.iter().find(|backup| backup.id == id)
    }

    pub fn restorable(&self) -> impl DoubleEndedIterator<Item = &Backup> {
        self.backups.iter().filter(|backup| backup.is_restorable())
    }

    /// The restorable backups of one system from which recovery along `history` can start, oldest first. After an
    /// upgrade in place an archive holds backups of two systems, and no WAL leads from one to the other.
    pub fn leading_along<'a>(
        &'a self,
        history: &'a History,
        system_identifier: Option<u64>,
    ) -> impl DoubleEndedIterator<Item = &'a Backup> {
        let of_system = move |backup: &&Backup| {
            let own = backup.info.as_ref().ok().and_then(|info| info.system_identifier);
            system_identifier.is_none() || own.is_none() || own == system_identifier
        };
        self.restorable().filter(|backup| backup.lies_on(history)).filter(of_system)
    }

    /// The last segment that the listing shows on the way along `history`, and when it was stored.
    pub fn newest_along(&self, history: &History) -> Option<(Segment, Timestamp)> {
        history.spans().iter().rev().find_map(|span| self.wal.newest(span.timeline))
    }

    /// What the newest backup says.
    pub fn system_identifier(&self) -> Option<u64> {
        self.backups.iter().rev().find_map(|backup| backup.info.as_ref().ok()?.system_identifier)
    }

    /// True when WAL of a later timeline is there and its history is not: no backup of an earlier timeline leads there.
    pub fn lacks_history(&self, timeline: Timeline) -> bool {
        timeline > Timeline(1) && !self.wal.histories.contains_key(&timeline) && self.wal.newest(timeline).is_some()
    }

    /// The ancestry of a timeline, from its history file; None known where there is none. Of a full listing.
    pub fn history(&self, timeline: Timeline) -> Result<History, String> {
        match self.histories.get(&timeline) {
            Some(history) => history.clone(),
            // The first timeline has none; a backup on another one needs none for a way that never leaves it.
            None => Ok(History::root(timeline)),
        }
    }

    /// The gaps on the way from a backup along `history` to the segment `to`.
    pub fn gaps_from(&self, backup: &Backup, history: &History, to: u64) -> Vec<Gap> {
        let Some((_, begin, end)) = backup.needed(self.wal.segment_size) else { return Vec::new() };
        gaps(&self.wal, history, begin, to.max(end))
    }

    /// The recovery window of a timeline; None without a backup on its way.
    pub fn recovery_window(&self, timeline: Timeline) -> Option<RecoveryWindow> {
        let history = self.history(timeline).ok()?;
        let (last_segment, to) = self.newest_along(&history)?;
        let gap = |backup: &Backup| self.gaps_from(backup, &history, last_segment.number).into_iter().next();
        let leading = || self.leading_along(&history, self.system_identifier());
        let backup = leading().find(|backup| gap(backup).is_none()).or_else(|| leading().next_back())?;
        let from = backup.end_time().unwrap_or(backup.newest_object);
        let broken_by = gap(backup);
        let (to, last_segment) = match &broken_by {
            None => (to, last_segment),
            // A gap within the backup's own WAL leaves nothing at all.
            Some(gap) => (gap.before?, Segment { timeline: gap.timeline, number: gap.first.checked_sub(1)? }),
        };
        Some(RecoveryWindow { timeline, from, backup: backup.id.clone(), to: to.max(from), last_segment, broken_by })
    }
}

async fn list_backups(store: &Store) -> Result<(Vec<Backup>, Examples, Examples), StoreError> {
    let mut objects = Vec::new();
    store.for_each("base/", |object| objects.push(object)).await?;
    let mut frozen = Examples::default();
    objects.iter().filter(|object| object.frozen).for_each(|object| frozen.add(&object.key));
    let (backups, orphans) = gather(store, objects).await?;
    Ok((backups, orphans, frozen))
}

/// The objects of one backup, as they are gathered.
#[derive(Default)]
struct Parts {
    info_key: Option<String>,
    tars: Vec<Tar>,
    newest: Option<Timestamp>,
}

/// Sorts objects below `base/` into backups and reads each backup.info.
async fn gather(store: &Store, objects: Vec<ObjectMeta>) -> Result<(Vec<Backup>, Examples), StoreError> {
    let mut backups: BTreeMap<String, Parts> = BTreeMap::new();
    let mut orphans = Examples::default();
    for object in objects {
        let kind = classify(&object.key);
        let id = match &kind {
            Object::BackupInfo { backup }
            | Object::Tar { backup, .. }
            | Object::BackupLabel { backup }
            | Object::Annotation { backup } => backup.clone(),
            _ => {
                orphans.add(&object.key);
                continue;
            }
        };
        let parts = backups.entry(id).or_default();
        parts.newest = parts.newest.max(Some(object.modified));
        match kind {
            Object::BackupInfo { .. } => parts.info_key = Some(object.key),
            Object::Tar { tablespace, part, compression, .. } => {
                parts.tars.push(Tar { key: object.key, tablespace, part, compression, bytes: object.bytes });
            }
            _ => {}
        }
    }
    let read_one = |(id, mut parts): (String, Parts)| async move {
        let info = match &parts.info_key {
            Some(key) => read_info(store, &id, key).await?,
            None => Err(NoInfo::Missing),
        };
        parts.tars.sort_by_key(|tar| (tar.tablespace, tar.part));
        let bytes = parts.tars.iter().map(|tar| tar.bytes).sum();
        Ok::<_, StoreError>(Backup {
            id,
            info,
            tars: parts.tars,
            bytes,
            newest_object: parts.newest.unwrap_or(Timestamp::UNIX_EPOCH),
        })
    };
    let read: Vec<_> = futures_util::stream::iter(backups).map(read_one).buffered(4).collect().await;
    Ok((read.into_iter().collect::<Result<_, _>>()?, orphans))
}

/// Two results: the store could not be read (outer), or what was read is no backup.info (inner).
async fn read_info(store: &Store, id: &str, key: &str) -> Result<Result<BackupInfo, NoInfo>, StoreError> {
    match store.get_small(key, INFO_LIMIT).await {
        Ok(bytes) => Ok(match std::str::from_utf8(&bytes) {
            Ok(text) => BackupInfo::parse(id, text).map_err(|defect| NoInfo::Unreadable(defect.to_string())),
            Err(_) => Err(NoInfo::Unreadable("it is not text".to_owned())),
        }),
        Err(error) if error.is_absent() => Ok(Err(NoInfo::Missing)),
        Err(error) => Err(error),
    }
}

async fn read_histories(
    store: &Store,
    wal: &WalListing,
) -> Result<BTreeMap<Timeline, Result<History, String>>, StoreError> {
    let mut histories = BTreeMap::new();
    for (&timeline, object) in &wal.histories {
        let read = match store.get_small(&object.key, HISTORY_LIMIT).await {
            Ok(bytes) => parse_history(timeline, object.compression, bytes),
            // Retention removes histories too.
            Err(error) if error.is_absent() => continue,
            Err(error) => return Err(error),
        };
        histories.insert(timeline, read);
    }
    Ok(histories)
}

fn parse_history(timeline: Timeline, codec: Compression, bytes: bytes::Bytes) -> Result<History, String> {
    let decoder = compression::open(codec, std::io::Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(decoder, HISTORY_LIMIT as u64), &mut text)
        .map_err(|error| error.to_string())?;
    History::parse(timeline, &text).map_err(|defect| defect.to_string())
}

//! A listing of the archive's end: a handful of requests, whatever the archive's size.

use std::collections::BTreeMap;

use super::{Backup, gather};
use crate::archive::store::{Listing, ObjectMeta, Store, StoreError};
use crate::archive::wal::Segment;
use crate::archive::wal_listing::{Extent, WalListing};

/// How many of the newest backups are looked at before the search for a completed one is given up.
const NEWEST_BACKUPS: usize = 2;
/// How many of the highest timelines' newest directories are listed.
const TIMELINES: usize = 3;
/// Where the timeline ends in `wals/0000000100000000/`.
const TIMELINE_END: usize = "wals/00000001".len();
/// Requests of one listing. The sampled segment that `check` reads afterwards is the twelfth.
const REQUESTS: u32 = 11;

/// The newest completed backup and what is newer than it, without listing the objects of the others.
pub(super) async fn newest_backups(store: &Store, budget: &mut Budget) -> Result<Vec<Backup>, StoreError> {
    let (directories, _) = directories(store, Listing::Level { prefix: "base/", after: None }, budget, |_| {}).await?;
    let mut backups = Vec::new();
    for directory in directories.iter().rev().take(NEWEST_BACKUPS) {
        budget.spend();
        budget.spend();
        let page = store.list(Listing::All { prefix: directory }).await?;
        let (gathered, _) = gather(store, page.objects).await?;
        let found = gathered.iter().any(Backup::is_restorable);
        backups.splice(0..0, gathered);
        if found {
            break;
        }
    }
    Ok(backups)
}

/// The end of the WAL: the directories from the newest backup's first one on, and the objects of the last of them.
pub(super) async fn newest_wal(
    store: &Store,
    backups: &[Backup],
    budget: &mut Budget,
    wal: &mut WalListing,
) -> Result<(), StoreError> {
    let size = wal.segment_size;
    let begin = backups.iter().rev().find_map(|backup| {
        let (timeline, number, _) = backup.needed(size)?;
        Some(Segment { timeline, number })
    });
    // The directory itself sorts after its name without the closing slash.
    let after = begin.map(|begin| format!("wals/{}", begin.directory(size)));
    let listing = Listing::Level { prefix: "wals/", after: after.as_deref() };
    let (directories, whole) = directories(store, listing, budget, |object| wal.add(object)).await?;
    wal.extent = if whole { Extent::End } else { Extent::Unknown };
    // A copy that archived here leaves a higher timeline behind; the source's own end is in another directory then.
    let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
    for directory in &directories {
        newest.insert(&directory[..directory.len().min(TIMELINE_END)], directory);
    }
    let newest: Vec<&str> = newest.into_values().rev().take(TIMELINES).collect();
    // What the newest backup needs to become consistent lies at its begin, which may be some directories back.
    if let Some(begin) = begin
        && !newest.contains(&format!("wals/{}/", begin.directory(size)).as_str())
        && budget.spend()
    {
        let prefix = format!("wals/{}/", begin.directory(size));
        // Keys from the first segment on: its own name sorts before the same name with an extension.
        let before = Segment { number: begin.number.saturating_sub(1), ..begin }.name(size) + "/";
        let after = format!("{prefix}{before}");
        let page = store.list(Listing::Level { prefix: &prefix, after: Some(&after) }).await?;
        page.objects.iter().for_each(|object| wal.add(object));
    }
    for directory in newest {
        let listing = Listing::All { prefix: directory };
        let mut page = if budget.spend() { Some(store.list(listing).await?) } else { None };
        wal.extent = if page.is_none() { Extent::Unknown } else { wal.extent };
        while let Some(current) = page {
            current.objects.iter().for_each(|object| wal.add(object));
            page = match current.has_next() {
                true if budget.spend() => store.next_page(listing, &current).await?,
                true => {
                    wal.extent = Extent::Unknown;
                    None
                }
                false => None,
            };
        }
    }
    Ok(())
}

/// The directories of one level, and whether the budget sufficed for all of them.
async fn directories(
    store: &Store,
    listing: Listing<'_>,
    budget: &mut Budget,
    mut each_object: impl FnMut(&ObjectMeta),
) -> Result<(Vec<String>, bool), StoreError> {
    let mut found = Vec::new();
    budget.spend();
    let mut page = store.list(listing).await?;
    loop {
        found.append(&mut page.directories);
        page.objects.iter().for_each(&mut each_object);
        if !page.has_next() {
            return Ok((found, true));
        }
        if !budget.spend() {
            return Ok((found, false));
        }
        match store.next_page(listing, &page).await? {
            Some(next) => page = next,
            None => return Ok((found, true)),
        }
    }
}

/// How many requests may still be sent.
pub(super) struct Budget(u32);

impl Budget {
    pub(super) fn new() -> Self {
        Self(REQUESTS)
    }

    /// True while there was one left to spend.
    fn spend(&mut self) -> bool {
        let left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        left
    }
}

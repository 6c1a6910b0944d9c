//! The spool: segments are fetched and decompressed ahead of replay, in parallel and bounded, and renamed to where
//! PostgreSQL asks for them. One process answers every `restore_command`. A segment whose replay would write outside of
//! the sandbox is not served.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use super::fetch::{Fetch, FetchError, fetch};
use super::wal_fetch::{ABSENT, FAILED, SERVED};
use super::{Owner, Sandbox};
use crate::archive::inventory::Inventory;
use crate::archive::layout;
use crate::archive::store::Store;
use crate::archive::timeline::History;
use crate::archive::wal::{Lsn, Segment, Timeline};
use crate::archive::wal_records::{Cut, Walked};
use crate::drill::progress::Progress;

/// Segments fetched at once. Each may hold four ranges of 4 MiB, and memory stays below 150 MB.
const MOST_WORKERS: usize = 4;
/// PostgreSQL's request is a file name and a short path.
const REQUEST_LIMIT: u64 = 4096;

/// Serves WAL until it is dropped.
pub struct Spool {
    state: Arc<State>,
    tasks: JoinSet<()>,
}

/// What the spool saw, for the evidence.
#[derive(Debug, Clone, Default)]
pub struct Served {
    pub segments: u64,
    pub first: Option<Segment>,
    pub last: Option<Segment>,
    /// The first object that recovery asked for and did not get although it is listed.
    pub failure: Option<(String, FetchError)>,
}

struct State {
    store: Store,
    inventory: Arc<Inventory>,
    directory: PathBuf,
    data: PathBuf,
    owner: Option<Owner>,
    /// The LSNs of the records that are replayed.
    replayed: Range<Lsn>,
    progress: Arc<Progress>,
    ledger: Mutex<Ledger>,
    changed: Notify,
    /// One permit for each segment that may lie in the spool or be on its way there.
    room: Semaphore,
}

#[derive(Default)]
struct Ledger {
    /// Segments that replay will ask for, in its order.
    ahead: Vec<Segment>,
    /// The first of `ahead` that no task has taken up.
    next: usize,
    slots: BTreeMap<Segment, Slot>,
    /// By number, of the segments that were served: the header of their last record, where it goes on in the next one.
    cuts: BTreeMap<u64, Cut>,
    served: Served,
}

enum Slot {
    Coming,
    Ready(Walked),
    Failed(FetchError),
}

impl Spool {
    /// Listens on the sandbox's socket and begins to fetch the segments `ahead`, which replay will ask for in this
    /// order. At most `bytes` of them wait in the spool. `replayed` are the LSNs of the records that will be replayed: what
    /// the others would do is of no account.
    pub fn start(
        store: Store,
        inventory: Arc<Inventory>,
        ahead: Vec<Segment>,
        replayed: Range<Lsn>,
        bytes: u64,
        sandbox: &Sandbox,
        progress: Arc<Progress>,
    ) -> std::io::Result<Self> {
        let listener = UnixListener::bind(sandbox.wal_socket())?;
        sandbox.own(&sandbox.wal_socket())?;
        progress.expect_segments(ahead.len() as u64);
        let room = (bytes / inventory.wal.segment_size.bytes()).max(2);
        let state = Arc::new(State {
            store,
            inventory,
            directory: sandbox.spool(),
            data: sandbox.data(),
            owner: sandbox.owner(),
            replayed,
            progress,
            ledger: Mutex::new(Ledger { ahead, ..Ledger::default() }),
            changed: Notify::new(),
            room: Semaphore::new(usize::try_from(room).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)),
        });
        let mut tasks = JoinSet::new();
        let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, MOST_WORKERS);
        for _ in 0..workers {
            tasks.spawn(fetch_ahead(Arc::clone(&state)));
        }
        tasks.spawn(listen(Arc::clone(&state), listener));
        Ok(Self { state, tasks })
    }

    pub fn served(&self) -> Served {
        self.state.ledger().served.clone()
    }

    /// Ends all fetching; what was still on its way is dropped.
    pub async fn stop(mut self) -> Served {
        self.tasks.shutdown().await;
        self.served()
    }
}

/// The segments of the way in replay's order: of each number the newest timeline that has it.
pub fn way(inventory: &Inventory, history: &History, first: u64, last: u64) -> Vec<Segment> {
    let is_listed = |segment: &Segment| inventory.wal.run_of(*segment).is_some();
    let of_number =
        |number| history.candidates(number, inventory.wal.segment_size).into_iter().find(|segment| is_listed(segment));
    (first..=last).filter_map(of_number).collect()
}

async fn fetch_ahead(state: Arc<State>) {
    loop {
        let Ok(permit) = state.room.acquire().await else { return };
        let Some(segment) = state.take_next() else { return };
        // Given back when the segment is served.
        permit.forget();
        state.bring(segment).await;
    }
}

async fn listen(state: Arc<State>, listener: UnixListener) {
    let mut answers = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        answers.spawn(answer(Arc::clone(&state), stream));
        while answers.try_join_next().is_some() {}
    }
}

async fn answer(state: Arc<State>, mut stream: UnixStream) {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut reader = BufReader::new(tokio::io::AsyncReadExt::take(reader, REQUEST_LIMIT));
    let answer = match reader.read_line(&mut line).await {
        Ok(_) => match line.trim_end_matches('\n').split_once('\t') {
            Some((name, destination)) => state.serve(name, destination).await,
            None => FAILED,
        },
        Err(_) => FAILED,
    };
    let _ = writer.write_all(&[answer]).await;
}

impl State {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no holder of this lock panics")
    }

    fn take_next(&self) -> Option<Segment> {
        let mut ledger = self.ledger();
        loop {
            let segment = *ledger.ahead.get(ledger.next)?;
            ledger.next += 1;
            if let Entry::Vacant(slot) = ledger.slots.entry(segment) {
                slot.insert(Slot::Coming);
                return Some(segment);
            }
        }
    }

    /// Fetches a segment whose slot says that it is coming.
    async fn bring(&self, segment: Segment) {
        let mut result = self.fetch_segment(segment).await;
        // One read is no proof of damage: the object may have been stored anew between two of its ranges.
        if matches!(result, Err(FetchError::Damaged(_))) {
            result = self.fetch_segment(segment).await;
        }
        let slot = match result {
            Ok(walked) => Slot::Ready(walked),
            Err(error) => Slot::Failed(error),
        };
        self.ledger().slots.insert(segment, slot);
        self.changed.notify_waiters();
    }

    async fn fetch_segment(&self, segment: Segment) -> Result<Walked, FetchError> {
        let size = self.inventory.wal.segment_size;
        let Some(compression) = self.inventory.wal.compression_of(segment) else {
            return Err(FetchError::Damaged("it is not in the listing".to_owned()));
        };
        let key = layout::segment_key(segment, size, compression);
        let what = Fetch {
            key,
            compression,
            destination: self.directory.join(segment.name(size)),
            owner: self.owner,
            segment: Some((segment, size, self.inventory.system_identifier())),
        };
        fetch(&self.store, what).await
    }

    async fn serve(&self, name: &str, destination: &str) -> u8 {
        // PostgreSQL gives a path relative to its data directory; nothing else is written to.
        if !matches!(destination, "pg_wal/RECOVERYXLOG" | "pg_wal/RECOVERYHISTORY") {
            tracing::warn!(destination, "recovery asked for a file outside pg_wal");
            return FAILED;
        }
        let destination = self.data.join(destination);
        let size = self.inventory.wal.segment_size;
        if let Some(segment) = Segment::parse(name, size) {
            return match self.inventory.wal.run_of(segment) {
                Some(_) => self.serve_segment(segment, name, &destination).await,
                None => ABSENT,
            };
        }
        let timeline = name.strip_suffix(".history").and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match timeline.and_then(|timeline| self.inventory.wal.histories.get(&Timeline(timeline))) {
            Some(object) => {
                let what = Fetch {
                    key: object.key.clone(),
                    compression: object.compression,
                    destination,
                    owner: self.owner,
                    segment: None,
                };
                match fetch(&self.store, what).await {
                    Ok(_) => SERVED,
                    Err(error) => self.fail(name, error),
                }
            }
            None => ABSENT,
        }
    }

    async fn serve_segment(&self, segment: Segment, name: &str, destination: &Path) -> u8 {
        let source = self.directory.join(name);
        loop {
            let changed = self.changed.notified();
            let mut mine = false;
            {
                let mut ledger = self.ledger();
                match ledger.slots.get(&segment) {
                    Some(Slot::Ready(walked)) => {
                        let before = segment.number.checked_sub(1).and_then(|number| ledger.cuts.get(&number));
                        if let Some(lsn) = walked.creation_within(before, &self.replayed) {
                            drop(ledger);
                            return self.fail(name, FetchError::CreatesTablespace(lsn));
                        }
                        let cut = walked.cut.clone();
                        if let Err(error) = std::fs::rename(&source, destination) {
                            drop(ledger);
                            let error = FetchError::Disk(format!("the segment could not be moved: {error}"));
                            return self.fail(name, error);
                        }
                        // Asked for again, it is fetched again: what was moved belongs to PostgreSQL.
                        ledger.slots.remove(&segment);
                        match cut {
                            Some(cut) => ledger.cuts.insert(segment.number, cut),
                            None => ledger.cuts.remove(&segment.number),
                        };
                        ledger.served.segments += 1;
                        ledger.served.first.get_or_insert(segment);
                        ledger.served.last = ledger.served.last.max(Some(segment));
                        self.progress.count_segment();
                        self.room.add_permits(1);
                        return SERVED;
                    }
                    Some(Slot::Failed(error)) => {
                        let error = error.clone();
                        drop(ledger);
                        return self.fail(name, error);
                    }
                    Some(Slot::Coming) => {}
                    None => {
                        ledger.slots.insert(segment, Slot::Coming);
                        mine = true;
                    }
                }
            }
            if mine {
                // Beyond the permits by this one; it gives back one more than was taken, so take it without waiting.
                self.room.forget_permits(1);
                self.bring(segment).await;
            } else {
                changed.await;
            }
        }
    }

    fn fail(&self, name: &str, error: FetchError) -> u8 {
        tracing::warn!(segment = name, reason = %error, "recovery did not get what it asked for");
        self.ledger().served.failure.get_or_insert((name.to_owned(), error));
        FAILED
    }
}

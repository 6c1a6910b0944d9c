//! A history in a directory: one file a source, replaced whole; writers wait for each other at a lock beside it. A run
//! holds a lock of its own as long as it lives, so that the next one can tell a killed run from a living one.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::document::{self, Defect};
use super::store::HistoryError;
use super::{History, bounds};
use crate::run::is_run_id;

/// A writer holds the lock for less than a second.
const LOCK_LIMIT: Duration = Duration::from_secs(30);
const LOCK_LOOK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone)]
pub struct Directory {
    directory: PathBuf,
    source: String,
}

/// The lock of a run that is under way; its file goes with it.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    _lock: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Directory {
    pub fn new(directory: &Path, source: &str) -> Self {
        Self { directory: directory.to_owned(), source: source.to_owned() }
    }

    pub fn text(&self) -> String {
        self.file().display().to_string()
    }

    pub async fn read(&self) -> Result<History, HistoryError> {
        let file = self.file();
        let stored = blocking(move || stored(&file)).await.map_err(|error| self.failed("read", &error))?;
        match document::read(stored.as_deref().unwrap_or_default(), &self.source) {
            Ok(history) => Ok(history),
            Err(Defect::Damaged(reason)) => {
                tracing::warn!("the history {} is damaged and is taken for empty: {reason}", self.text());
                Ok(History::of(&self.source))
            }
            Err(defect) => Err(self.refused(&defect)),
        }
    }

    pub async fn update<T>(&self, change: impl Fn(&mut History) -> T) -> Result<(History, T), HistoryError> {
        let failed = |error: io::Error| self.failed("write", &error);
        let (directory, file, lock) = (self.directory.clone(), self.file(), self.beside("lock"));
        let taken = blocking(move || {
            std::fs::create_dir_all(&directory)?;
            let lock = acquire(&lock, LOCK_LIMIT)?;
            Ok((lock, stored(&file)?))
        });
        let (lock, stored) = taken.await.map_err(failed)?;
        let (mut history, damage) = match document::read(stored.as_deref().unwrap_or_default(), &self.source) {
            Ok(history) => (history, None),
            Err(Defect::Damaged(reason)) => (History::of(&self.source), Some(reason)),
            Err(defect) => return Err(self.refused(&defect)),
        };
        let value = change(&mut history);
        let bytes = bounds::trim(&mut history);
        if stored.is_some_and(|stored| stored == bytes) {
            return Ok((history, value));
        }
        let aside = damage.map(|reason| {
            let aside = self.beside(&format!("json.gz.damaged-{}", Timestamp::now().as_second()));
            tracing::warn!("the history {} is damaged and is set aside as {}: {reason}", self.text(), aside.display());
            aside
        });
        let (file, part) = (self.file(), self.beside("json.gz.part"));
        let written = blocking(move || {
            // Held until the file is replaced, also when nobody waits for that any more.
            let _lock = lock;
            let written = replace(&file, &part, &bytes, aside.as_deref());
            written.inspect_err(|_| drop(std::fs::remove_file(&part)))
        });
        written.await.map_err(failed)?;
        Ok((history, value))
    }

    /// Shows to others that the run lives, until what is returned is dropped or this process ends.
    pub async fn hold(&self, run_id: &str) -> Result<Held, HistoryError> {
        let (directory, path) = (self.directory.clone(), self.running(run_id));
        let held = blocking(move || {
            std::fs::create_dir_all(&directory)?;
            let lock = acquire(&path, LOCK_LIMIT)?;
            Ok(Held { path, _lock: lock })
        });
        held.await.map_err(|error| self.failed("hold a lock beside", &error))
    }

    /// Whether nobody holds the run's lock; None where that cannot be found out.
    pub async fn is_gone(&self, run_id: &str) -> Option<bool> {
        // It was read from a file, and becomes part of a path.
        if !is_run_id(run_id) {
            return None;
        }
        let path = self.running(run_id);
        let is_gone = blocking(move || match File::options().read(true).write(true).open(&path) {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => std::fs::remove_file(&path).map(|()| true),
                Err(TryLockError::WouldBlock) => Ok(false),
                Err(TryLockError::Error(error)) => Err(error),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        });
        is_gone.await.ok()
    }

    fn file(&self) -> PathBuf {
        self.beside("json.gz")
    }

    fn running(&self, run_id: &str) -> PathBuf {
        self.beside(&format!("{run_id}.running"))
    }

    fn beside(&self, end: &str) -> PathBuf {
        self.directory.join(format!("{}.{end}", self.source))
    }

    fn failed(&self, verb: &str, error: &io::Error) -> HistoryError {
        let hint = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                format!("make room in {}; the history is as it was", self.directory.display())
            }
            ErrorKind::TimedOut => "does another walproof hang? it ends by its own limits".to_owned(),
            _ => format!("may walproof's user write in {}?", self.directory.display()),
        };
        HistoryError::new(format!("{verb} the history {}", self.text()), error.to_string(), hint)
    }

    fn refused(&self, defect: &Defect) -> HistoryError {
        let hint = match defect {
            Defect::Newer(_) => "run the walproof that wrote it, or a newer one",
            Defect::Foreign(_) => "give each source a name of its own, not only in the case of letters",
            Defect::Damaged(_) => "move it away",
        };
        HistoryError::new(format!("read the history {}", self.text()), defect.to_string(), hint)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn stored(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lock of this file, made when there is none.
fn acquire(path: &Path, limit: Duration) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < limit => thread::sleep(LOCK_LOOK),
            Err(TryLockError::WouldBlock) => {
                let reason = format!("{} was held by another process for {} s", path.display(), limit.as_secs());
                return Err(io::Error::new(ErrorKind::TimedOut, reason));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// The file is the old one until it is the new one, also when the power fails.
fn replace(file: &Path, part: &Path, bytes: &[u8], aside: Option<&Path>) -> io::Result<()> {
    let mut written = File::create(part)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    if let Some(aside) = aside {
        std::fs::rename(file, aside)?;
    }
    std::fs::rename(part, file)?;
    match file.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_waits_for_the_lock_no_longer_than_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.lock");
        let held = acquire(&path, Duration::ZERO).unwrap();
        let error = acquire(&path, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("app.lock was held by another process"), "{error}");
        drop(held);
        acquire(&path, Duration::ZERO).unwrap();
    }

    #[tokio::test]
    async fn a_run_is_gone_when_nobody_holds_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let place = Directory::new(directory.path(), "app");
        let run = "20261121t124500z-a1b2c3";
        assert_eq!(place.is_gone(run).await, Some(true), "there is no lock");
        let held = place.hold(run).await.unwrap();
        assert_eq!(place.is_gone(run).await, Some(false));
        // As a process that is killed leaves it.
        std::mem::forget(File::create(directory.path().join("app.20261121t124500z-a1b2c4.running")).unwrap());
        assert_eq!(place.is_gone("20261121t124500z-a1b2c4").await, Some(true));
        drop(held);
        assert_eq!(place.is_gone(run).await, Some(true));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no lock is left");
        assert_eq!(place.is_gone("../../etc/passwd").await, None, "that is no run");
    }
}

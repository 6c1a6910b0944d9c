//! An S3 server in this process, on a free port of 127.0.0.1, with a directory as its store: a bucket is a directory,
//! an object a file, its modification time the object's. It runs on a thread of its own, so that tests need no runtime.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;

use super::faults::{Fault, FaultyStore, Journal, Operation};
use super::serving::Serving;

/// The bucket that every server has.
pub const BUCKET: &str = "backups";
pub const REGION: &str = "eu-central-1";
pub const ACCESS_KEY: &str = "walproof-test-key";
pub const SECRET_KEY: &str = "walproof-test-secret";

/// A running server; dropping it closes the port, and removes the store when it is a temporary one.
pub struct S3 {
    serving: Serving,
    root: PathBuf,
    journal: Arc<Journal>,
    _temporary: Option<TempDir>,
}

impl S3 {
    /// Serves a directory, which gets the bucket [`BUCKET`] if it has none.
    pub fn serve(root: &Path) -> Self {
        Self::start(root, None)
    }

    /// Serves a new temporary directory.
    pub fn temporary() -> Self {
        let directory = tempfile::Builder::new().prefix("wp-s3-").tempdir().unwrap();
        let root = directory.path().to_path_buf();
        Self::start(&root, Some(directory))
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.serving.endpoint
    }

    /// The directory whose directories are the buckets.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the next `times` requests of this kind fail whose key (LIST: prefix) contains a text. An empty text is
    /// contained in every key.
    pub fn fail(&self, operation: Operation, containing: &str, fault: Fault, times: usize) {
        self.journal.inject(operation, containing, 0, fault, times);
    }

    /// As [`Self::fail`], for good, after `spared` such requests were answered: a drill reads the head of a segment
    /// before it fetches it.
    pub fn fail_later(&self, operation: Operation, containing: &str, spared: usize, fault: Fault) {
        self.journal.inject(operation, containing, spared, fault, usize::MAX);
    }

    /// From now on every request is answered again.
    pub fn heal(&self) {
        self.journal.heal();
    }

    /// The requests since the start or the last [`Self::forget_requests`], with their key (LIST: prefix).
    pub fn requests(&self) -> Vec<(Operation, String)> {
        self.journal.requests()
    }

    /// How many requests of one kind there were.
    pub fn count(&self, operation: Operation) -> usize {
        self.requests().iter().filter(|(made, _)| *made == operation).count()
    }

    pub fn forget_requests(&self) {
        self.journal.forget();
    }

    fn start(root: &Path, temporary: Option<TempDir>) -> Self {
        fs::create_dir_all(root.join(BUCKET)).unwrap();
        let root = root.canonicalize().unwrap();
        let journal = Arc::new(Journal::default());
        let store = FaultyStore::new(FileSystem::new(&root).unwrap(), Arc::clone(&journal));
        let mut service = S3ServiceBuilder::new(store);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        Self { serving: Serving::start(service.build()), root, journal, _temporary: temporary }
    }
}

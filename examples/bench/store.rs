//! A read-only S3 store for the measurements: objects in key order, files or made up on the spot. It knows nothing of
//! checksums and sends large chunks, so that it takes as little as possible of the processor time that is measured.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::server::Requests;
use crate::support::s3::BUCKET;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use s3s::dto::{self, StreamingBlob};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

/// How much of an object is read and sent at once.
const CHUNK: u64 = 256 << 10;
/// As many as S3 gives at most.
const PAGE: usize = 1000;

/// What a store holds. Keys ascend with their index.
pub trait Objects: Send + Sync + 'static {
    fn count(&self) -> usize;
    fn key(&self, index: usize) -> String;
    /// Bytes, and when it was stored.
    fn describe(&self, index: usize) -> (u64, SystemTime);
    fn read(&self, index: usize, range: Range<u64>) -> io::Result<Bytes>;
}

/// The files below a directory, as they were when it was looked at.
pub struct Files {
    root: PathBuf,
    keys: Vec<String>,
}

impl Files {
    /// Everything in the bucket's directory below `root`.
    pub fn of_bucket(root: &Path) -> Self {
        let root = root.join(BUCKET);
        let mut keys = Vec::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    keys.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        keys.sort();
        Self { root, keys }
    }
}

impl Objects for Files {
    fn count(&self) -> usize {
        self.keys.len()
    }

    fn key(&self, index: usize) -> String {
        self.keys[index].clone()
    }

    fn describe(&self, index: usize) -> (u64, SystemTime) {
        let metadata = std::fs::metadata(self.root.join(&self.keys[index])).unwrap();
        (metadata.len(), metadata.modified().unwrap())
    }

    fn read(&self, index: usize, range: Range<u64>) -> io::Result<Bytes> {
        let mut content = vec![0; usize::try_from(range.end - range.start).expect("a chunk fits into memory")];
        File::open(self.root.join(&self.keys[index]))?.read_exact_at(&mut content, range.start)?;
        Ok(content.into())
    }
}

/// Objects as an S3 service.
pub struct Store<O> {
    pub objects: Arc<O>,
    pub requests: Arc<Requests>,
}

enum Entry {
    Object { index: usize, key: String },
    Directory(String),
}

impl<O: Objects> Store<O> {
    /// The first index from which on `is_before` is false.
    fn first(&self, is_before: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.objects.count());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(&self.objects.key(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn first_beyond(&self, prefix: &str) -> usize {
        self.first(|key| key < prefix || key.starts_with(prefix))
    }

    fn find(&self, key: &str) -> S3Result<usize> {
        let index = self.first(|other| other < key);
        let found = index < self.objects.count() && self.objects.key(index) == key;
        found.then_some(index).ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchKey))
    }

    /// One page of a listing, and whether another one follows.
    fn page(&self, prefix: &str, delimiter: Option<&str>, after: Option<&str>, most: usize) -> (Vec<Entry>, bool) {
        let mut index = self.first(|key| key < prefix);
        if let Some(after) = after {
            let is_directory = delimiter.is_some_and(|delimiter| after.ends_with(delimiter));
            let first = if is_directory { self.first_beyond(after) } else { self.first(|key| key <= after) };
            index = index.max(first);
        }
        let mut entries = Vec::new();
        while index < self.objects.count() {
            let key = self.objects.key(index);
            let Some(rest) = key.strip_prefix(prefix) else { break };
            if entries.len() == most {
                return (entries, true);
            }
            let end = delimiter.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
            if let Some(end) = end {
                let directory = key[..prefix.len() + end].to_owned();
                index = self.first_beyond(&directory);
                entries.push(Entry::Directory(directory));
            } else {
                entries.push(Entry::Object { index, key });
                index += 1;
            }
        }
        (entries, false)
    }

    fn list(&self, input: dto::ListObjectsV2Input) -> dto::ListObjectsV2Output {
        let most = input.max_keys.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).min(PAGE);
        let after = input.continuation_token.as_ref().or(input.start_after.as_ref());
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let (entries, truncated) = self.page(prefix, input.delimiter.as_deref(), after.map(String::as_str), most);
        let count = i32::try_from(entries.len()).ok();
        let (mut contents, mut directories, mut last) = (Vec::new(), Vec::new(), None);
        for entry in entries {
            match entry {
                Entry::Object { index, key } => {
                    let (bytes, modified) = self.objects.describe(index);
                    last = Some(key.clone());
                    contents.push(dto::Object {
                        key: Some(key),
                        size: i64::try_from(bytes).ok(),
                        last_modified: Some(modified.into()),
                        ..Default::default()
                    });
                }
                Entry::Directory(prefix) => {
                    last = Some(prefix.clone());
                    directories.push(dto::CommonPrefix { prefix: Some(prefix) });
                }
            }
        }
        dto::ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            max_keys: i32::try_from(most).ok(),
            key_count: count,
            is_truncated: Some(truncated),
            next_continuation_token: last.filter(|_| truncated),
            contents: Some(contents),
            common_prefixes: Some(directories),
            ..Default::default()
        }
    }

    fn get(&self, input: &dto::GetObjectInput) -> S3Result<dto::GetObjectOutput> {
        let index = self.find(&input.key)?;
        let (bytes, modified) = self.objects.describe(index);
        let range = match &input.range {
            Some(range) => range.check(bytes)?,
            None => 0..bytes,
        };
        let content_range = input.range.as_ref().map(|_| format!("bytes {}-{}/{bytes}", range.start, range.end - 1));
        Ok(dto::GetObjectOutput {
            content_length: i64::try_from(range.end - range.start).ok(),
            content_range,
            last_modified: Some(modified.into()),
            body: Some(body(Arc::clone(&self.objects), index, range)),
            ..Default::default()
        })
    }
}

fn body<O: Objects>(objects: Arc<O>, index: usize, range: Range<u64>) -> StreamingBlob {
    let state = (objects, range);
    StreamingBlob::wrap(stream::unfold(state, move |(objects, range)| async move {
        if range.is_empty() {
            return None;
        }
        let chunk = range.start..range.end.min(range.start + CHUNK);
        let rest = chunk.end..range.end;
        let reading = Arc::clone(&objects);
        let read = tokio::task::spawn_blocking(move || reading.read(index, chunk)).await;
        Some((read.unwrap_or_else(|panic| Err(io::Error::other(panic))), (objects, rest)))
    }))
}

macro_rules! answered {
    ($($method:ident($input:ident) -> $output:ident, $counter:ident, |$store:ident, $request:ident| $answer:expr;)*) => {$(
        // What `#[async_trait]` makes of an `async fn`.
        fn $method<'a, 'b>(
            &'a self,
            request: S3Request<dto::$input>,
        ) -> BoxFuture<'b, S3Result<S3Response<dto::$output>>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async move {
                self.requests.$counter.fetch_add(1, Ordering::SeqCst);
                let ($store, $request) = (self, request.input);
                let answer: S3Result<dto::$output> = $answer;
                answer.map(S3Response::new)
            })
        }
    )*};
}

impl<O: Objects> S3 for Store<O> {
    answered! {
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output, list, |store, input| Ok(store.list(input));
        get_object(GetObjectInput) -> GetObjectOutput, other, |store, input| store.get(&input);
        head_bucket(HeadBucketInput) -> HeadBucketOutput, other, |_store, _input| Ok(dto::HeadBucketOutput::default());
        head_object(HeadObjectInput) -> HeadObjectOutput, other, |store, input| store.find(&input.key).map(|index| {
            let (bytes, modified) = store.objects.describe(index);
            dto::HeadObjectOutput {
                content_length: i64::try_from(bytes).ok(),
                last_modified: Some(modified.into()),
                ..Default::default()
            }
        });
    }
}

//! What goes wrong on the way to an object store, on demand: refusals, answers cut off in the middle, silence. It also
//! counts the requests, so that a test can hold a command to its budget.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use s3s::dto::{self, StreamingBlob};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    List,
    Get,
    Head,
    /// Everything that changes the store.
    Write,
    /// Questions about the bucket itself.
    Bucket,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with an S3 error code, and the status that belongs to it: `AccessDenied` (403), `NoSuchKey` (404),
    /// `InternalError` (500), `SlowDown` (503), …
    Refuse(&'static str),
    /// The connection is cut after so many bytes of a GET's body.
    CutAfter(usize),
    /// Never answered.
    Hang,
}

/// Which requests were made, and which are to fail.
#[derive(Debug, Default)]
pub struct Journal {
    requests: Mutex<Vec<(Operation, String)>>,
    injections: Mutex<Vec<Injection>>,
}

#[derive(Debug)]
struct Injection {
    operation: Operation,
    containing: String,
    /// So many matching requests are answered first.
    spared: usize,
    fault: Fault,
    times: usize,
}

impl Journal {
    pub fn inject(&self, operation: Operation, containing: &str, spared: usize, fault: Fault, times: usize) {
        let only_get = !matches!(fault, Fault::CutAfter(_)) || operation == Operation::Get;
        assert!(only_get, "only a GET has a body to cut");
        let injection = Injection { operation, containing: containing.to_owned(), spared, fault, times };
        self.injections.lock().unwrap().push(injection);
    }

    pub fn heal(&self) {
        self.injections.lock().unwrap().clear();
    }

    pub fn requests(&self) -> Vec<(Operation, String)> {
        self.requests.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.requests.lock().unwrap().clear();
    }

    /// Notes a request. Refuses it, never returns, or says after how many bytes its answer is to be cut.
    async fn admit(&self, operation: Operation, key: String) -> S3Result<Option<usize>> {
        let fault = self.fault_for(operation, &key);
        self.requests.lock().unwrap().push((operation, key));
        match fault {
            None => Ok(None),
            Some(Fault::CutAfter(bytes)) => Ok(Some(bytes)),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Refuse(code)) => {
                let code = S3ErrorCode::from_bytes(code.as_bytes()).expect("the name of an S3 error");
                Err(S3Error::with_message(code, "made to fail by a test"))
            }
        }
    }

    fn fault_for(&self, operation: Operation, key: &str) -> Option<Fault> {
        let mut injections = self.injections.lock().unwrap();
        let matching = |it: &&mut Injection| it.operation == operation && it.times > 0 && key.contains(&it.containing);
        let injection = injections.iter_mut().find(matching)?;
        if injection.spared > 0 {
            injection.spared -= 1;
            return None;
        }
        injection.times -= 1;
        Some(injection.fault)
    }
}

/// A store in a directory that fails on demand. It knows the requests that barman and walproof make.
#[derive(Debug)]
pub struct FaultyStore {
    store: FileSystem,
    journal: Arc<Journal>,
}

impl FaultyStore {
    pub fn new(store: FileSystem, journal: Arc<Journal>) -> Self {
        Self { store, journal }
    }
}

macro_rules! admitted {
    ($($method:ident($input:ident) -> $output:ident, $operation:ident, $key:expr;)*) => {$(
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
                let key: fn(&dto::$input) -> String = $key;
                self.journal.admit(Operation::$operation, key(&request.input)).await?;
                self.store.$method(request).await
            })
        }
    )*};
}

impl S3 for FaultyStore {
    fn get_object<'a, 'b>(
        &'a self,
        request: S3Request<dto::GetObjectInput>,
    ) -> BoxFuture<'b, S3Result<S3Response<dto::GetObjectOutput>>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let cut = self.journal.admit(Operation::Get, request.input.key.clone()).await?;
            let mut response = self.store.get_object(request).await?;
            if let Some(bytes) = cut {
                response.output.body = response.output.body.map(|body| cut_after(body, bytes));
            }
            Ok(response)
        })
    }

    admitted! {
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output, List, |it| it.prefix.clone().unwrap_or_default();
        list_objects(ListObjectsInput) -> ListObjectsOutput, List, |it| it.prefix.clone().unwrap_or_default();
        head_object(HeadObjectInput) -> HeadObjectOutput, Head, |it| it.key.clone();
        head_bucket(HeadBucketInput) -> HeadBucketOutput, Bucket, |it| it.bucket.clone();
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput, Bucket, |it| it.bucket.clone();
        put_object(PutObjectInput) -> PutObjectOutput, Write, |it| it.key.clone();
        delete_object(DeleteObjectInput) -> DeleteObjectOutput, Write, |it| it.key.clone();
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput, Write, |it| it.bucket.clone();
        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput, Write, |it| it.key.clone();
        upload_part(UploadPartInput) -> UploadPartOutput, Write, |it| it.key.clone();
        complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput, Write,
            |it| it.key.clone();
        abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput, Write, |it| it.key.clone();
    }
}

/// The first bytes of a body, then an error, upon which the server closes the connection short of Content-Length.
fn cut_after(body: StreamingBlob, bytes: usize) -> StreamingBlob {
    let state = (body, bytes, false);
    StreamingBlob::wrap(stream::unfold(state, |(mut body, left, cut)| async move {
        if cut {
            return None;
        }
        match body.next().await {
            Some(Ok(chunk)) if chunk.len() <= left => {
                let left = left - chunk.len();
                Some((Ok(chunk), (body, left, false)))
            }
            None => None,
            Some(Ok(chunk)) if left > 0 => Some((Ok(chunk.slice(..left)), (body, 0, false))),
            _ => {
                // The server flushes while the body is pending; without that the head might never be sent.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err::<Bytes, _>(std::io::Error::other("cut by a test")), (body, 0, true)))
            }
        }
    }))
}

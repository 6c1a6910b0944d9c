//! The object store: listing and reading, never writing. *Absent* and *could not be read* are different answers
//! everywhere: a proven absence may fail the backups, a failed request never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::ObjectStorageClass;
use aws_smithy_http_client::tls;
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::layout;
use crate::authority;
use crate::error::{Error, chain};
use crate::plan::{ArchiveLocation, Authority, Credentials};

/// How often one range of an object is asked for again after its connection was cut, each time from where it stopped.
const RESUMES: u32 = 4;

/// One server name's prefix in an S3-compatible bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) client: Client,
    pub(super) bucket: String,
    path: String,
    server_name: String,
    pub(super) requests: Arc<AtomicU64>,
}

/// One object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key below the server's prefix: `wals/0000000100000000/000000010000000000000003.gz`.
    pub key: String,
    pub bytes: u64,
    pub modified: Timestamp,
    /// It lies in a storage class from which it must be thawed for hours before it can be read.
    pub frozen: bool,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    pub objects: Vec<ObjectMeta>,
    /// Common prefixes below the server's prefix, with their closing slash; only of a listing by directory.
    pub directories: Vec<String>,
    next: Option<String>,
}

impl Page {
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

/// What is listed.
#[derive(Debug, Clone, Copy)]
pub enum Listing<'a> {
    /// Every object below the prefix.
    All { prefix: &'a str },
    /// One level: objects and directories directly below the prefix.
    Level { prefix: &'a str, after: Option<&'a str> },
}

/// Why a request to the store did not give what was asked for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing}: {reason}")]
pub struct StoreError {
    pub kind: StoreErrorKind,
    doing: String,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The store answered that there is no such object. The only proof of absence beside a complete listing.
    Absent,
    /// The store answered that there is no such bucket.
    NoBucket,
    /// The credentials are unknown or do not suffice.
    Denied,
    /// The object lies in a storage class that must be thawed first.
    Frozen,
    /// No answer, or the connection broke more often than it was worth resuming.
    Unreachable,
    /// Any other refusal.
    Refused,
}

impl StoreError {
    #[cfg(test)]
    pub fn for_tests(kind: StoreErrorKind) -> Self {
        Self { kind, doing: "read wals/x".to_owned(), reason: "refused".to_owned() }
    }

    pub fn is_absent(&self) -> bool {
        self.kind == StoreErrorKind::Absent
    }

    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Absent => "list the archive again: did retention remove the object meanwhile?",
            StoreErrorKind::NoBucket => "is `archive.s3.url` the bucket that production archives to?",
            StoreErrorKind::Denied => {
                "does the key of `archive.s3.credentials` allow s3:ListBucket and s3:GetObject on this prefix?"
            }
            StoreErrorKind::Frozen => "does a life-cycle rule move the archive to a storage class that must be thawed?",
            StoreErrorKind::Unreachable => {
                "does `archive.s3.endpoint` answer from here (network policy, name, TLS, `caFile`)?"
            }
            StoreErrorKind::Refused => "see the store's own log for this request",
        }
    }
}

impl Store {
    /// Prepares a client; asks nothing yet.
    pub async fn open(location: &ArchiveLocation) -> Result<Self, Error> {
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(location.region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(10))
                    .read_timeout(Duration::from_secs(30))
                    .build(),
            )
            // Stores that are not AWS answer without the checksums that the SDK would ask for.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = &location.endpoint {
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        config = match &location.credentials {
            Credentials::Keys { access_key_id, secret_access_key, session_token } => {
                config.credentials_provider(aws_sdk_s3::config::Credentials::new(
                    access_key_id.expose_secret(),
                    secret_access_key.expose_secret(),
                    session_token.as_ref().map(|token| token.expose_secret().to_owned()),
                    None,
                    "walproof",
                ))
            }
            Credentials::Ambient => {
                let ambient = aws_config::defaults(BehaviorVersion::latest()).load().await;
                config.set_credentials_provider(ambient.credentials_provider());
                config
            }
        };
        if let Some(authority) = &location.authority {
            let doing = || match authority {
                Authority::File(file) => format!("read the certificate authority {}", file.display()),
                Authority::Pem(_) => "read the certificate authority of the Cluster's endpoint".to_owned(),
            };
            let pem = match authority {
                Authority::File(file) => std::fs::read(file).map_err(|error| {
                    Error::usage(doing()).because(error).hint("`archive.s3.caFile` must name a readable PEM file")
                })?,
                Authority::Pem(pem) => pem.clone(),
            };
            // The client would panic on what it cannot parse.
            authority::roots(&pem).map_err(|defect| Error::usage(doing()).because(defect))?;
            let trust = tls::TrustStore::empty().with_native_roots(true).with_pem_certificate(pem);
            let context = tls::TlsContext::builder()
                .with_trust_store(trust)
                .build()
                .map_err(|error| Error::usage(doing()).because(error))?;
            config = config.http_client(
                aws_smithy_http_client::Builder::new()
                    .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
                    .tls_context(context)
                    .build_https(),
            );
        }
        Ok(Self {
            client: Client::from_conf(config.build()),
            bucket: location.bucket.clone(),
            path: location.path.clone(),
            server_name: location.server_name.clone(),
            requests: Arc::default(),
        })
    }

    /// Where the archive is, as a person writes it: `s3://bucket/path/server`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.server_prefix().trim_end_matches('/'))
    }

    /// Requests sent so far, without the SDK's own repetitions.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The first page of a listing.
    pub async fn list(&self, listing: Listing<'_>) -> Result<Page, StoreError> {
        self.page(listing, None).await
    }

    /// The page after `page`, if there is one.
    pub async fn next_page(&self, listing: Listing<'_>, page: &Page) -> Result<Option<Page>, StoreError> {
        match &page.next {
            Some(token) => self.page(listing, Some(token.clone())).await.map(Some),
            None => Ok(None),
        }
    }

    /// Hands every object below `prefix` to `each`, page by page, in the store's order.
    pub async fn for_each(&self, prefix: &str, mut each: impl FnMut(ObjectMeta)) -> Result<(), StoreError> {
        let listing = Listing::All { prefix };
        let mut page = self.list(listing).await?;
        loop {
            for object in std::mem::take(&mut page.objects) {
                each(object);
            }
            match self.next_page(listing, &page).await? {
                Some(next) => page = next,
                None => return Ok(()),
            }
        }
    }

    /// The names of the servers that have an archive beside this one, at most one page of them.
    pub async fn siblings(&self) -> Result<Vec<String>, StoreError> {
        let prefix = if self.path.is_empty() { String::new() } else { format!("{}/", self.path) };
        let page = self.raw_page(&prefix, Some("/"), None, None).await?;
        let names = page.common_prefixes().iter().filter_map(aws_sdk_s3::types::CommonPrefix::prefix);
        Ok(names.map(|name| name[prefix.len()..].trim_end_matches('/').to_owned()).collect())
    }

    /// A small object as a whole. An object above `limit` bytes is refused.
    pub async fn get_small(&self, key: &str, limit: usize) -> Result<Bytes, StoreError> {
        let doing = || format!("read {key}");
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = self.client.get_object().bucket(&self.bucket).key(self.full_key(key));
        let answer = request.send().await.map_err(|error| translate(doing(), &error))?;
        let mut body = answer.body;
        let mut content = BytesMut::new();
        while let Some(part) = body.next().await {
            let part = part.map_err(|error| StoreError {
                kind: StoreErrorKind::Unreachable,
                doing: doing(),
                reason: chain(&error),
            })?;
            if content.len() + part.len() > limit {
                return Err(StoreError {
                    kind: StoreErrorKind::Refused,
                    doing: doing(),
                    reason: format!("it is larger than the {limit} bytes that such an object may have"),
                });
            }
            content.extend_from_slice(&part);
        }
        Ok(content.freeze())
    }

    /// The bytes `from..to` of an object, which it must have.
    pub async fn get_range(&self, key: &str, from: u64, to: u64) -> Result<Bytes, StoreError> {
        let (content, total) = self.get_up_to(key, from, to).await?;
        if total < to {
            // It was replaced by a shorter one since the listing.
            return Err(StoreError {
                kind: StoreErrorKind::Refused,
                doing: format!("read {key}"),
                reason: format!("it has {total} bytes, {to} were expected"),
            });
        }
        Ok(content)
    }

    /// The first `limit` bytes of an object, or all of a shorter one, and its size.
    pub async fn get_head(&self, key: &str, limit: u64) -> Result<(Bytes, u64), StoreError> {
        self.get_up_to(key, 0, limit).await
    }

    /// What the object has of the bytes `from..to`, and its size. A cut connection is resumed where it broke, a few
    /// times.
    async fn get_up_to(&self, key: &str, from: u64, to: u64) -> Result<(Bytes, u64), StoreError> {
        let mut content = BytesMut::new();
        let mut resumes = 0;
        let mut total = None;
        loop {
            let start = from + content.len() as u64;
            if let Some(total) = total
                && start >= to.min(total)
            {
                return Ok((content.freeze(), total));
            }
            match self.get_part(key, start, to, &mut content, &mut total).await {
                Ok(()) => {}
                Err(error) if error.kind == StoreErrorKind::Unreachable && resumes < RESUMES => {
                    resumes += 1;
                    tracing::info!(key, resumes, reason = %error, "the connection was cut; resuming");
                    tokio::time::sleep(Duration::from_millis(100 << resumes)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn get_part(
        &self,
        key: &str,
        from: u64,
        to: u64,
        content: &mut BytesMut,
        total: &mut Option<u64>,
    ) -> Result<(), StoreError> {
        let failed = |kind, reason| StoreError { kind, doing: format!("read {key} from byte {from}"), reason };
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = self.client.get_object().bucket(&self.bucket).key(self.full_key(key));
        let request = request.range(format!("bytes={from}-{}", to - 1));
        let answer = match request.send().await {
            Ok(answer) => answer,
            // An empty object has no range at all.
            Err(SdkError::ServiceError(refusal)) if refusal.raw().status().as_u16() == 416 && from == 0 => {
                *total = Some(0);
                return Ok(());
            }
            Err(error) => return Err(translate(format!("read {key} from byte {from}"), &error)),
        };
        let size = answer.content_range().and_then(|range| range.rsplit('/').next()?.parse().ok());
        // A store that ignores the range sends the whole object.
        if size.is_none() && from > 0 {
            return Err(failed(StoreErrorKind::Refused, "the store does not serve ranges".to_owned()));
        }
        let length = answer.content_length().and_then(|bytes| u64::try_from(bytes).ok());
        *total = size.or(length).or(*total);
        let mut body = answer.body;
        let before = content.len() as u64;
        while let Some(part) = body.next().await {
            let part = part.map_err(|error| failed(StoreErrorKind::Unreachable, chain(&error)))?;
            content.extend_from_slice(&part);
        }
        match length {
            Some(length) if content.len() as u64 - before < length => {
                Err(failed(StoreErrorKind::Unreachable, "the connection ended early".to_owned()))
            }
            _ => Ok(()),
        }
    }

    async fn page(&self, listing: Listing<'_>, token: Option<String>) -> Result<Page, StoreError> {
        let (prefix, delimiter, after) = match listing {
            Listing::All { prefix } => (prefix, None, None),
            Listing::Level { prefix, after } => (prefix, Some("/"), after),
        };
        let after = after.map(|after| self.full_key(after));
        let answer = self.raw_page(&self.full_key(prefix), delimiter, after, token).await?;
        let below = self.server_prefix().len();
        let mut page = Page::default();
        for object in answer.contents() {
            let Some(key) = object.key() else { continue };
            page.objects.push(ObjectMeta {
                key: key[below..].to_owned(),
                bytes: object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
                modified: object
                    .last_modified()
                    .and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok())
                    .unwrap_or(Timestamp::UNIX_EPOCH),
                frozen: matches!(
                    object.storage_class(),
                    Some(ObjectStorageClass::Glacier | ObjectStorageClass::DeepArchive)
                ),
            });
        }
        for directory in answer.common_prefixes() {
            page.directories.extend(directory.prefix().map(|prefix| prefix[below..].to_owned()));
        }
        page.next = answer.next_continuation_token().map(str::to_owned);
        Ok(page)
    }

    async fn raw_page(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        after: Option<String>,
        token: Option<String>,
    ) -> Result<aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output, StoreError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let request =
            request.set_delimiter(delimiter.map(str::to_owned)).set_start_after(after).set_continuation_token(token);
        request.send().await.map_err(|error| translate(format!("list s3://{}/{prefix}", self.bucket), &error))
    }

    fn server_prefix(&self) -> String {
        layout::server_prefix(&self.path, &self.server_name)
    }

    pub(super) fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.server_prefix())
    }
}

/// The SDK's error, flattened: its own text would say little more than "service error".
fn translate<E>(doing: String, error: &SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (kind, reason) = match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().unwrap_or_default();
            let kind = match (code, status) {
                ("NoSuchKey" | "NotFound", _) => StoreErrorKind::Absent,
                ("NoSuchBucket", _) => StoreErrorKind::NoBucket,
                ("InvalidObjectState", _) => StoreErrorKind::Frozen,
                (_, 401 | 403) | ("InvalidAccessKeyId" | "SignatureDoesNotMatch", _) => StoreErrorKind::Denied,
                ("SlowDown" | "RequestTimeout", _) | (_, 500..) => StoreErrorKind::Unreachable,
                _ => StoreErrorKind::Refused,
            };
            let message = answer.err().message().unwrap_or("no message");
            (kind, format!("the store answered {status} {code} ({message})"))
        }
        other => (StoreErrorKind::Unreachable, chain(other)),
    };
    StoreError { kind, doing, reason }
}

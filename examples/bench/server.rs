//! The measured S3 server: on loopback, on threads of this process. walproof and barman are served alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

use super::store::{Objects, Store};
use crate::support::s3::{ACCESS_KEY, SECRET_KEY};
use crate::support::serving::Serving;

/// A running server; dropping it closes the port.
pub struct Server {
    serving: Serving,
    requests: Arc<Requests>,
}

/// How many requests there were.
#[derive(Default)]
pub struct Requests {
    pub list: AtomicU64,
    pub other: AtomicU64,
}

impl Server {
    pub fn start(objects: impl Objects) -> Self {
        let requests = Arc::new(Requests::default());
        let mut service = S3ServiceBuilder::new(Store { objects: Arc::new(objects), requests: Arc::clone(&requests) });
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        Self { serving: Serving::start(service.build()), requests }
    }

    pub fn endpoint(&self) -> &str {
        &self.serving.endpoint
    }

    /// LIST requests, and all others, since the last call.
    pub fn take_requests(&self) -> (u64, u64) {
        (self.requests.list.swap(0, Ordering::SeqCst), self.requests.other.swap(0, Ordering::SeqCst))
    }
}

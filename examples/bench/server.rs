//! The measured S3 server: on loopback, on threads of this process. walproof and barman are served alike.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder as ConnectionBuilder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::store::{Objects, Store};
use crate::support::s3::{ACCESS_KEY, SECRET_KEY};

/// A running server; dropping it closes the port.
pub struct Server {
    endpoint: String,
    requests: Arc<Requests>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
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
        let service = service.build();
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || serve_until(listener, &service, stopped));
        Self { endpoint, requests, stop: Some(stop), thread: Some(thread) }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// LIST requests, and all others, since the last call.
    pub fn take_requests(&self) -> (u64, u64) {
        (self.requests.list.swap(0, Ordering::SeqCst), self.requests.other.swap(0, Ordering::SeqCst))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve_until(listener: StdListener, service: &S3Service, mut stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let connection = tokio::select! {
                connection = listener.accept() => connection,
                _ = &mut stopped => break,
            };
            let Ok((connection, _)) = connection else { continue };
            let _ = connection.set_nodelay(true);
            let service = service.clone();
            tokio::spawn(async move {
                let server = ConnectionBuilder::new(TokioExecutor::new());
                // A client that goes away in the middle is no concern of the server's.
                let _ = server.serve_connection(TokioIo::new(connection), service).await;
            });
        }
    });
    runtime.shutdown_background();
}

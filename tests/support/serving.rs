//! Serves an S3 service on loopback, on threads of this process.

use std::net::TcpListener as StdListener;
use std::thread;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder as ConnectionBuilder;
use s3s::service::S3Service;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running server; dropping it closes the port.
pub struct Serving {
    pub endpoint: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Serving {
    pub fn start(service: S3Service) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || serve_until(listener, &service, stopped));
        Self { endpoint, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Serving {
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

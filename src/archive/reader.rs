//! Reading an object as a stream: ranges are fetched ahead in parallel and handed, in order, to a blocking reader.
//! Memory is bounded by the ranges in flight.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::store::{Store, StoreError};

/// Large enough that a request's latency is small beside its transfer, small enough that a few fit into memory.
const RANGE: u64 = 4 << 20;

/// Marks the end of the object, so that a sender that went away is no end.
const END: Bytes = Bytes::new();

/// Blocking reader of one object; read it on a blocking thread. Dropping it ends the transfer.
pub struct ObjectReader {
    parts: mpsc::Receiver<Result<Bytes, StoreError>>,
    current: Bytes,
    ended: bool,
}

impl ObjectReader {
    /// Starts reading `key` with up to `parallel` requests at once. Must be called within a Tokio runtime. Trouble with
    /// the store arrives as an [`io::Error`] around [`StoreError`].
    pub fn start(store: Store, key: String, parallel: usize) -> Self {
        let (sender, parts) = mpsc::channel(1);
        tokio::spawn(async move {
            let (first, total) = match store.get_head(&key, RANGE).await {
                Ok(head) => head,
                Err(error) => {
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
            if sender.send(Ok(first)).await.is_err() {
                return;
            }
            let ranges = (RANGE..total).step_by(usize::try_from(RANGE).expect("4 MiB fit into usize"));
            let fetch = |from: u64| store.get_range(&key, from, (from + RANGE).min(total));
            let mut answers = futures_util::stream::iter(ranges).map(fetch).buffered(parallel);
            while let Some(answer) = answers.next().await {
                let failed = answer.is_err();
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
            }
            let _ = sender.send(Ok(END)).await;
        });
        Self { parts, current: Bytes::new(), ended: false }
    }
}

impl BufRead for ObjectReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(part) => {
                    self.current = part.map_err(io::Error::other)?;
                    self.ended = self.current.is_empty();
                }
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The store's error inside an [`io::Error`] that came through decoders, if that is what it is.
pub fn store_error(error: &io::Error) -> Option<&StoreError> {
    let mut next: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(inner) = next {
        if let Some(found) = inner.downcast_ref::<StoreError>() {
            return Some(found);
        }
        if let Some(found) = inner.downcast_ref::<io::Error>().and_then(store_error) {
            return Some(found);
        }
        next = inner.source();
    }
    None
}

//! Counters that the steps of a drill keep and that a terminal shows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by everything that moves bytes or segments in one drill.
#[derive(Debug, Default)]
pub struct Progress {
    phase: Mutex<&'static str>,
    bytes: AtomicU64,
    bytes_expected: AtomicU64,
    segments: AtomicU64,
    segments_expected: AtomicU64,
}

/// What a terminal shows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    pub phase: &'static str,
    pub bytes: u64,
    pub bytes_expected: u64,
    pub segments: u64,
    pub segments_expected: u64,
}

impl Progress {
    pub fn enter(&self, phase: &'static str) {
        *self.phase.lock().expect("no holder of this lock panics") = phase;
        tracing::info!(phase, "{phase}");
    }

    pub fn expect_bytes(&self, bytes: u64) {
        self.bytes_expected.store(bytes, Ordering::Relaxed);
    }

    pub fn expect_segments(&self, segments: u64) {
        self.segments_expected.store(segments, Ordering::Relaxed);
    }

    pub fn bytes_counter(&self) -> &AtomicU64 {
        &self.bytes
    }

    pub fn count_segment(&self) {
        self.segments.fetch_add(1, Ordering::Relaxed);
    }

    pub fn glance(&self) -> Glance {
        Glance {
            phase: *self.phase.lock().expect("no holder of this lock panics"),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_expected: self.bytes_expected.load(Ordering::Relaxed),
            segments: self.segments.load(Ordering::Relaxed),
            segments_expected: self.segments_expected.load(Ordering::Relaxed),
        }
    }
}

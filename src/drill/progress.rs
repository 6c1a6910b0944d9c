//! Counters that the steps of a drill keep and that a terminal shows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A step of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Step {
    #[default]
    Begin,
    AskGates,
    CheckArchive,
    ReadBaseline,
    AwaitArchive,
    Download,
    Replay,
    MakeSandbox,
    Recover,
    Connect,
    Probe,
    CheckApp,
    TearDown,
}

impl Step {
    /// As a person reads it: "it was about to …".
    pub const fn text(self) -> &'static str {
        match self {
            Step::Begin => "begin",
            Step::AskGates => "ask the gates",
            Step::CheckArchive => "check the archive",
            Step::ReadBaseline => "read the baseline",
            Step::AwaitArchive => "wait for the archive",
            Step::Download => "download the base backup",
            Step::Replay => "replay WAL",
            Step::MakeSandbox => "make the sandbox",
            Step::Recover => "wait for the operator's recovery",
            Step::Connect => "connect to the restored server",
            Step::CheckApp => "run the application's check",
            Step::Probe => "probe the restored server",
            Step::TearDown => "tear down",
        }
    }
}

/// Shared by everything that moves bytes or segments in one drill.
#[derive(Debug, Default)]
pub struct Progress {
    step: Mutex<Step>,
    /// What a wait has seen last.
    seen: Mutex<String>,
    bytes: AtomicU64,
    bytes_expected: AtomicU64,
    segments: AtomicU64,
    segments_expected: AtomicU64,
    /// Fault injection: the step at which walproof itself fails, for tests of what a panic leaves behind.
    panic_at: Option<String>,
}

/// What a terminal shows at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    pub step: Step,
    pub bytes: u64,
    pub bytes_expected: u64,
    pub segments: u64,
    pub segments_expected: u64,
}

impl Progress {
    pub fn panicking_at(step: Option<String>) -> Self {
        Self { panic_at: step, ..Self::default() }
    }

    pub fn enter(&self, step: Step) {
        assert!(self.panic_at.as_deref() != Some(&format!("{step:?}")), "asked for by WALPROOF_PANIC_AT");
        *self.step.lock().expect("no holder of this lock panics") = step;
        tracing::info!("{}", step.text());
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

    /// For a count that is read, not counted.
    pub fn segments_so_far(&self, segments: u64) {
        self.segments.store(segments, Ordering::Relaxed);
    }

    /// Keeps what a wait sees, and logs it when it is new.
    pub fn see(&self, text: String) {
        let mut seen = self.seen.lock().expect("no holder of this lock panics");
        if *seen != text {
            tracing::info!("{text}");
            *seen = text;
        }
    }

    /// What a wait has seen last; empty when nothing was waited for.
    pub fn seen(&self) -> String {
        self.seen.lock().expect("no holder of this lock panics").clone()
    }

    pub fn glance(&self) -> Glance {
        Glance {
            step: *self.step.lock().expect("no holder of this lock panics"),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_expected: self.bytes_expected.load(Ordering::Relaxed),
            segments: self.segments.load(Ordering::Relaxed),
            segments_expected: self.segments_expected.load(Ordering::Relaxed),
        }
    }
}

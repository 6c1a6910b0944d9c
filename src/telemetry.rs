//! Logs on stderr, and on a terminal a line of progress. Nothing here goes to stdout: that is the report's.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing_subscriber::EnvFilter;

use crate::drill::progress::{Glance, Progress, Step};
use crate::report::text;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Plain,
    Json,
}

/// Starts logging. `RUST_LOG` filters; unset, a terminal shows warnings (the progress line tells the rest), a log info.
pub fn init(format: LogFormat) {
    // kube's warnings quote whole answers, which may be Secrets.
    let default =
        if std::io::stderr().is_terminal() { "warn,kube_client=error" } else { "walproof=info,warn,kube_client=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second call, as in tests, changes nothing.
    let _ = match format {
        LogFormat::Plain => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Shows `progress` on stderr while the returned handle lives; nothing when stderr is no terminal.
pub fn show(progress: &Arc<Progress>) -> Option<AbortOnDropHandle<()>> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let progress = Arc::clone(progress);
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("the template is constant"));
    Some(AbortOnDropHandle::new(tokio::spawn(async move {
        let clear = ClearOnDrop(bar);
        let mut before = progress.glance();
        let mut rates = (0, 0);
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        for tick in 0_u64.. {
            ticks.tick().await;
            if tick % 5 == 0 {
                let now = progress.glance();
                rates = (now.bytes - before.bytes, now.segments - before.segments);
                before = now;
            }
            clear.0.set_message(describe(progress.glance(), rates));
            clear.0.tick();
        }
    })))
}

struct ClearOnDrop(ProgressBar);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// `download the base backup: 1.2 GiB of about 3.0 GiB, 210.0 MiB/s, 9 s left`. Rates are per second.
fn describe(glance: Glance, (bytes, segments): (u64, u64)) -> String {
    let left = |done: u64, expected: u64, rate: u64| match expected.checked_sub(done) {
        Some(rest) if rate > 0 && rest > 0 => format!(", {} left", text::milliseconds(rest * 1000 / rate)),
        _ => String::new(),
    };
    match glance.step {
        Step::Download => format!(
            "{}: {} of about {}, {}/s{}",
            glance.step.text(),
            text::bytes(glance.bytes),
            text::bytes(glance.bytes_expected.max(glance.bytes)),
            text::bytes(bytes),
            left(glance.bytes, glance.bytes_expected, bytes)
        ),
        Step::Replay | Step::Recover => format!(
            "{}: {} of {} segments, {segments}/s{}",
            glance.step.text(),
            glance.segments,
            glance.segments_expected,
            left(glance.segments, glance.segments_expected, segments)
        ),
        step => step.text().to_owned(),
    }
}

/// Cancels on the first SIGINT or SIGTERM; leaves at once on the second, and says what that means.
pub fn cancel_on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let cancel = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = cancel.clone();
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () };
        next().await;
        tracing::warn!("stopping: what was made is removed and the report written; a second signal leaves at once");
        token.cancel();
        next().await;
        tracing::error!("left at a second signal; the next run sweeps what stays behind");
        std::process::exit(crate::cli::EXIT_INCONCLUSIVE.into());
    });
    Ok(cancel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_much_how_fast_and_how_long() {
        let glance = Glance { step: Step::Replay, bytes: 0, bytes_expected: 0, segments: 10, segments_expected: 40 };
        assert_eq!(describe(glance, (0, 15)), "replay WAL: 10 of 40 segments, 15/s, 2.0 s left");
    }
}

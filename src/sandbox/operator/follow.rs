//! Following the logs of the recovery's attempts: the pods of its Job up to CloudNativePG 1.30, the runs of one init
//! container from 1.31 on; and beside either the plugin's sidecar.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::{AsyncBufRead, AsyncBufReadExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::pod::{self, ContainerState};
use super::recovery_log::RecoveryLog;
use super::{Sandbox, locked};
use crate::drill::progress::Progress;

/// From CloudNativePG 1.31 on.
const INIT_CONTAINER: &str = "bootstrap-instance";
const PLUGIN_CONTAINER: &str = "plugin-barman-cloud";
const JOB_ROLE_LABEL: &str = "cnpg.io/jobRole";

/// No line that is of use is longer.
const LINE_LIMIT: usize = 64 << 10;
/// Lines that wait to be taken in: at the most 4 MiB.
const LINES: usize = 64;
/// Before a stream that broke is begun again.
const PAUSE: Duration = Duration::from_secs(1);
/// Longer than the wait looks away from the pods: a log at its end whose container still runs then was only cut off.
const STATE_PATIENCE: Duration = Duration::from_secs(6);
const STEP: Duration = Duration::from_millis(200);

/// What a pod shows of the recovery's attempts. A pod of the Job is one; an init container that runs again begins
/// another in the same pod.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// The containers in which the newest one runs; empty for a pod without recovery.
    pub containers: Vec<String>,
    pub newest: String,
    /// Those that have failed, the oldest first.
    pub failed: Vec<String>,
}

impl Attempts {
    pub fn of(found: &Pod) -> Self {
        let name = found.metadata.name.clone().unwrap_or_default();
        let spec = found.spec.as_ref();
        let has_init = |name: &str| {
            spec.and_then(|spec| spec.init_containers.as_ref())
                .is_some_and(|containers| containers.iter().any(|container| container.name == name))
        };
        let mut attempts = match role_of(found) {
            Some(role) if role.ends_with("-recovery") => {
                let failed = if pod::phase(found) == "Failed" { vec![name.clone()] } else { Vec::new() };
                Self { containers: vec![role.clone()], newest: name, failed }
            }
            _ if has_init(INIT_CONTAINER) => {
                let restarts = pod::restarts(found, INIT_CONTAINER);
                let run = |number: u32| format!("{name}#{number}");
                let mut failed: Vec<String> = (0..restarts).map(run).collect();
                let states = pod::containers(found);
                let state = states.iter().find(|(container, _)| container == INIT_CONTAINER).map(|(_, state)| state);
                if matches!(state, Some(ContainerState::Ended { exit_code, .. }) if *exit_code != 0) {
                    failed.push(run(restarts));
                }
                Self { containers: vec![INIT_CONTAINER.to_owned()], newest: run(restarts), failed }
            }
            _ => return Self::default(),
        };
        if has_init(PLUGIN_CONTAINER) {
            attempts.containers.push(PLUGIN_CONTAINER.to_owned());
        }
        attempts
    }
}

/// What the pod is for, if it is a Job's.
fn role_of(found: &Pod) -> Option<&String> {
    found.metadata.labels.as_ref()?.get(JOB_ROLE_LABEL)
}

/// One reader for each container of each attempt.
pub struct Followers {
    lines: mpsc::Receiver<Line>,
    sender: mpsc::Sender<Line>,
    readers: Vec<Reader>,
    /// The attempt that the log is about.
    current: Option<String>,
}

struct Line {
    attempt: String,
    text: String,
}

struct Reader {
    place: Place,
    /// Beside an init container the sidecar goes on with the instance, whatever becomes of the attempt.
    outlives_attempt: bool,
    has_ended: watch::Sender<bool>,
    reading: AbortOnDropHandle<()>,
}

/// What a reader reads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    attempt: String,
    pod: String,
    container: String,
    /// What was logged before is another attempt's.
    since: Option<Timestamp>,
}

impl Followers {
    pub fn new() -> Self {
        // A recovery that logs faster than we read waits in the API server, not in our memory.
        let (sender, lines) = mpsc::channel(LINES);
        Self { lines, sender, readers: Vec::new(), current: None }
    }

    /// Begins to read what has begun to run, and tells the readers of what has ended.
    pub fn follow(&mut self, sandbox: &Sandbox, pods: &[Pod], log: &mut RecoveryLog) {
        let api: Api<Pod> = Api::namespaced(sandbox.kubernetes.client.clone(), &sandbox.names.namespace);
        for reader in &self.readers {
            let found = pods.iter().find(|found| found.metadata.name.as_ref() == Some(&reader.place.pod));
            if found.is_none_or(|found| reader.place.has_ended(found)) {
                reader.has_ended.send_replace(true);
            }
        }
        for found in pods {
            let attempts = Attempts::of(found);
            let states = pod::containers(found);
            for container in attempts.containers {
                let state = states.iter().find(|(name, _)| *name == container).map(|(_, state)| state);
                let has_begun = !matches!(state, None | Some(ContainerState::Waiting { .. }));
                let is_read = self
                    .readers
                    .iter()
                    .any(|reader| reader.place.attempt == attempts.newest && reader.place.container == container);
                if !has_begun || is_read {
                    continue;
                }
                if self.current.as_ref() != Some(&attempts.newest) {
                    // What the former attempt still had to say comes before the new one.
                    self.take(log);
                    log.pod(&attempts.newest);
                    self.current = Some(attempts.newest.clone());
                }
                // An init container has a log for each run, the sidecar beside it one for all.
                let outlives_attempt = container == PLUGIN_CONTAINER && role_of(found).is_none();
                let place = Place {
                    attempt: attempts.newest.clone(),
                    pod: found.metadata.name.clone().unwrap_or_default(),
                    container,
                    since: if outlives_attempt { pod::started(found, INIT_CONTAINER) } else { None },
                };
                let (has_ended, ended) = watch::channel(place.has_ended(found));
                let reading = tokio::spawn(read(api.clone(), place.clone(), ended, self.sender.clone()));
                let reading = AbortOnDropHandle::new(reading);
                self.readers.push(Reader { place, outlives_attempt, has_ended, reading });
            }
        }
    }

    /// Gives what was read so far to `log`.
    pub fn drain(&mut self, log: &mut RecoveryLog, progress: &Progress) {
        self.take(log);
        if let Some(restored) = log.restored() {
            progress.segments_so_far(restored.count);
        }
    }

    fn take(&mut self, log: &mut RecoveryLog) {
        while let Ok(line) = self.lines.try_recv() {
            if self.current.as_ref() == Some(&line.attempt) {
                log.line(&line.text);
            }
        }
    }

    /// Gives each line to `log` as it comes, for as long as the caller waits for something else.
    pub async fn listen(&mut self, log: &Mutex<RecoveryLog>) {
        while let Some(line) = self.lines.recv().await {
            if self.current.as_ref() == Some(&line.attempt) {
                locked(log).line(&line.text);
            }
        }
    }

    /// Listens until everything that the newest attempt logged has been read, but not for longer than `patience`.
    pub async fn listen_to_the_end(&mut self, log: &Mutex<RecoveryLog>, patience: Duration) {
        let Some(attempt) = self.current.clone() else { return };
        let began = Instant::now();
        while !self.has_read(&attempt) && began.elapsed() < patience {
            // Its readers may have ended without another line.
            let _ = timeout(STEP, self.listen(log)).await;
        }
    }

    /// True when everything that the attempt logged has been read.
    pub fn has_read(&self, attempt: &str) -> bool {
        let is_of_attempt = |reader: &&Reader| reader.place.attempt == attempt && !reader.outlives_attempt;
        let mut of_attempt = self.readers.iter().filter(is_of_attempt).peekable();
        of_attempt.peek().is_some() && of_attempt.all(|reader| reader.reading.is_finished()) && self.lines.is_empty()
    }
}

impl Place {
    /// Whether the container says nothing more of this attempt.
    fn has_ended(&self, found: &Pod) -> bool {
        let states = pod::containers(found);
        let state = states.iter().find(|(name, _)| *name == self.container).map(|(_, state)| state);
        Attempts::of(found).newest != self.attempt || matches!(state, Some(ContainerState::Ended { .. }))
    }
}

/// Sends the lines of one container until it has ended and all of them are read. A stream that breaks is begun again from
/// the start: the log knows lines that come twice.
async fn read(pods: Api<Pod>, place: Place, mut ended: watch::Receiver<bool>, lines: mpsc::Sender<Line>) {
    let Place { attempt, pod, container, since } = place;
    let parameters = LogParams { container: Some(container), follow: true, since_time: since, ..LogParams::default() };
    loop {
        let had_ended = *ended.borrow();
        let result = match pods.log_stream(&pod, &parameters).await {
            Ok(stream) => send(stream, &attempt, &lines).await.map_err(|error| error.to_string()),
            // The pod is gone with its log.
            Err(kube::Error::Api(status)) if had_ended && status.code < 429 => return,
            Err(error) => Err(error.to_string()),
        };
        match result {
            // The container's state comes a moment behind the end of its log.
            Ok(()) => {
                if timeout(STATE_PATIENCE, ended.wait_for(|&ended| ended)).await.is_ok() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!("the log of pod {pod} cannot be read: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Sends every line of the stream up to its end.
async fn send(mut stream: impl AsyncBufRead + Unpin, attempt: &str, lines: &mpsc::Sender<Line>) -> std::io::Result<()> {
    let mut line = Vec::new();
    while read_line(&mut stream, &mut line).await? {
        let text = String::from_utf8_lossy(&line).into_owned();
        lines.send(Line { attempt: attempt.to_owned(), text }).await.map_err(std::io::Error::other)?;
    }
    Ok(())
}

/// Reads the next line without its break; of a longer one only the first 64 KiB are kept. False at the end.
async fn read_line(stream: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let mut has_begun = false;
    loop {
        let read = stream.fill_buf().await?;
        if read.is_empty() {
            return Ok(has_begun);
        }
        has_begun = true;
        let end = read.iter().position(|&byte| byte == b'\n');
        let part = &read[..end.unwrap_or(read.len())];
        line.extend_from_slice(&part[..part.len().min(LINE_LIMIT - line.len())]);
        let length = part.len() + usize::from(end.is_some());
        stream.consume_unpin(length);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests;

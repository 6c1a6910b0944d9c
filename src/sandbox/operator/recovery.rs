//! The wait for the operator's recovery: look, follow the recovery pods' logs, and say done, not yet, or never. Works on
//! the recovery Job of CloudNativePG up to 1.30 and on the init container of 1.31.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::ListParams;

use super::changes::Changes;
use super::follow::{Attempts, Followers};
use super::pod;
use super::recovery_log::RecoveryLog;
use super::trouble::{Seen, Trouble};
use super::{Sandbox, diagnose, locked};
use crate::archive::inventory::Inventory;
use crate::cnpg::{self, Cluster};
use crate::drill::progress::Progress;
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::{self, ApiError};
use crate::target::Choice;

/// Never faster than this, however much changes.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Without any change seen.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An API server that does not answer for so long is gone.
const API_PATIENCE: Duration = Duration::from_mins(5);
/// A Job whose failure a retry may heal gets as many attempts.
const ATTEMPTS: usize = 3;
const WARNINGS_EVERY: Duration = Duration::from_secs(10);
/// What is still to be read of the log when the recovery is over.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
const ADVANCE_EVERY: Duration = Duration::from_secs(30);

/// Waits until the scratch Cluster is healthy and its recovery's log is read, and returns its primary's pod.
pub async fn await_recovery(
    sandbox: &Sandbox,
    log: &Mutex<RecoveryLog>,
    inventory: &Inventory,
    choice: &Choice,
    progress: &Progress,
) -> Result<String, Box<Finding>> {
    let changes = Changes::watch(sandbox);
    let mut followers = Followers::new();
    let mut held_up: Option<(String, Instant)> = None;
    let mut unanswered: Option<Instant> = None;
    let mut judged = HashSet::new();
    let mut warnings = Warnings::default();
    let mut advance = Advance::default();
    loop {
        let looked = Instant::now();
        match look(sandbox, &mut warnings).await {
            Err(error) => {
                let since = *unanswered.get_or_insert(looked);
                if since.elapsed() >= API_PATIENCE {
                    return Err(Box::new(
                        Finding::failed(Code::KubernetesUnreachable, Blame::Environment, "the recovery cannot be seen")
                            .of(&sandbox.names.name)
                            .observed(error.to_string())
                            .hint(error.hint()),
                    ));
                }
            }
            Ok(seen) => {
                unanswered = None;
                followers.follow(sandbox, &seen.pods, &mut locked(log));
                followers.drain(&mut locked(log), progress);
                progress.see(seen.text() + advance.text(&locked(log)));
                if let Some(primary) = seen.primary() {
                    followers.listen_to_the_end(log, LOG_PATIENCE).await;
                    followers.drain(&mut locked(log), progress);
                    return Ok(primary);
                }
                let is_over = is_over(sandbox, &seen, &followers, &mut judged, log).await;
                let log = locked(log);
                if let Some(paused) = diagnose::paused(&log) {
                    return Err(Box::new(paused));
                }
                if is_over {
                    let killed = seen.out_of_memory().and_then(|killed| diagnose::out_of_memory(&log, &killed));
                    return Err(Box::new(killed.unwrap_or_else(|| diagnose::failed(&log, inventory, choice))));
                }
                drop(log);
                if let Some(finding) = borne_too_long(seen.trouble(), &mut held_up) {
                    return Err(Box::new(finding));
                }
            }
        }
        let pause = async {
            tokio::select! {
                () = changes.changed() => {}
                () = tokio::time::sleep(LONGEST_PAUSE) => {}
            }
        };
        let pause = async { tokio::join!(pause, tokio::time::sleep(SHORTEST_PAUSE.saturating_sub(looked.elapsed()))) };
        tokio::select! {
            _ = pause => {}
            () = followers.listen(log) => {}
        }
    }
}

/// The finding of a trouble that has lasted longer than its patience.
fn borne_too_long(trouble: Option<Trouble>, held_up: &mut Option<(String, Instant)>) -> Option<Finding> {
    let Some(trouble) = trouble else {
        *held_up = None;
        return None;
    };
    let since = match held_up {
        Some((key, since)) if *key == trouble.key => *since,
        _ => {
            let now = Instant::now();
            *held_up = Some((trouble.key, now));
            now
        }
    };
    (since.elapsed() >= trouble.patience).then_some(trouble.finding)
}

/// True when the recovery has failed for good: at once where no retry can heal it, else when the attempts are used up.
async fn is_over(
    sandbox: &Sandbox,
    seen: &Seen,
    followers: &Followers,
    judged: &mut HashSet<String>,
    log: &Mutex<RecoveryLog>,
) -> bool {
    let attempts: Vec<String> = seen.pods.iter().flat_map(|found| Attempts::of(found).failed).collect();
    let newest = attempts.iter().filter(|name| followers.has_read(name)).find(|name| !judged.contains(*name)).cloned();
    if let Some(newest) = newest {
        judged.insert(newest);
        if attempts.len() >= ATTEMPTS || diagnose::is_final(&locked(log)) {
            return true;
        }
    }
    seen.is_unrecoverable() || (!attempts.is_empty() && job_failed(sandbox).await)
}

/// Operators before 1.28.4, 1.29.2 and 1.30.0 never say that they have given up; their Job does.
async fn job_failed(sandbox: &Sandbox) -> bool {
    let jobs: Api<Job> = Api::namespaced(sandbox.kubernetes.client.clone(), &sandbox.names.namespace);
    let labels = sandbox.names.cluster_selector();
    let doing = format!("list the recovery Jobs of {}/{}", sandbox.names.namespace, sandbox.names.name);
    let found = kubernetes::list(&jobs, &doing, &labels).await.unwrap_or_default();
    found.iter().any(|job| {
        let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|condition| condition.type_ == "Failed" && condition.status == "True")
    })
}

/// How far replay is, in words that change with a segment and not often, so that the drill's own log stays short.
#[derive(Default)]
struct Advance {
    renewed: Option<Instant>,
    segments: u64,
    text: String,
}

impl Advance {
    fn text(&mut self, log: &RecoveryLog) -> &str {
        let segments = log.restored().map_or(0, |restored| restored.count);
        if segments != self.segments && self.renewed.is_none_or(|renewed| renewed.elapsed() >= ADVANCE_EVERY) {
            let replayed = log.replayed().map(|lsn| format!(", replayed to {lsn} at least")).unwrap_or_default();
            *self = Self {
                renewed: Some(Instant::now()),
                segments,
                text: format!("; segments restored: {segments}{replayed}"),
            };
        }
        &self.text
    }
}

/// Warnings are asked for less often than the rest.
#[derive(Default)]
struct Warnings {
    asked: Option<Instant>,
    events: Vec<Event>,
}

async fn look(sandbox: &Sandbox, warnings: &mut Warnings) -> Result<Seen, ApiError> {
    let (client, names) = (&sandbox.kubernetes.client, &sandbox.names);
    let clusters: Api<Cluster> = Api::namespaced_with(client.clone(), &names.namespace, &cnpg::clusters());
    let pods: Api<Pod> = Api::namespaced(client.clone(), &names.namespace);
    let labels = names.cluster_selector();
    let object = format!("{}/{}", names.namespace, names.name);
    let cluster = kubernetes::get(&clusters, &format!("read the scratch Cluster {object}"), &names.name).await?;
    let pods = kubernetes::list(&pods, &format!("list the pods of {object}"), &labels).await?;
    let is_pending = !pods.iter().any(|found| pod::phase(found) == "Running");
    if is_pending && warnings.asked.is_none_or(|asked| asked.elapsed() >= WARNINGS_EVERY) {
        warnings.asked = Some(Instant::now());
        warnings.events = warnings_about(sandbox).await;
    }
    Ok(Seen { cluster, pods, warnings: warnings.events.clone() })
}

/// Warnings about objects of this run, the oldest first; none when they may not be read.
pub(super) async fn warnings_about(sandbox: &Sandbox) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(sandbox.kubernetes.client.clone(), &sandbox.names.namespace);
    let parameters = ListParams::default().fields("type=Warning").limit(500);
    let name = &sandbox.names.name;
    let doing = format!("list the events of {}/{name}", sandbox.names.namespace);
    let found = kubernetes::ask(&doing, events.list(&parameters)).await;
    let mut events = found.map(|found| found.items).unwrap_or_default();
    events
        .retain(|event| event.involved_object.name.as_deref().is_some_and(|object| object.starts_with(name.as_str())));
    events.sort_by_key(|event| event.last_timestamp.clone().map(|time| time.0));
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::wal::SegmentSize;

    #[test]
    fn progress_names_segments_and_lsn_and_changes_seldom() {
        let mut log = RecoveryLog::new(SegmentSize::DEFAULT);
        let mut advance = Advance::default();
        assert_eq!(advance.text(&log), "");
        let recorded = include_str!("recordings/reached.jsonl");
        let begun = recorded.lines().position(|line| line.contains("consistent recovery state")).unwrap();
        recorded.lines().take(begun).for_each(|line| log.line(line));
        let segments = log.restored().unwrap().count;
        let text = format!("; segments restored: {segments}, replayed to 0/3000028 at least");
        assert_eq!(advance.text(&log), text);
        recorded.lines().for_each(|line| log.line(line));
        assert!(log.restored().unwrap().count > segments);
        assert_eq!(advance.text(&log), text, "the next comes half a minute later");
    }
}

//! One archive check: list, read a sample, ask the source where one is configured, and judge. The judges are pure.

pub mod backups;
pub mod branch;
pub mod freshness;
pub mod wal;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::archive::inventory::{Depth, Inventory};
use crate::archive::sample::{self, Sampled};
use crate::archive::store::{Store, StoreError, StoreErrorKind};
use crate::archive::wal::Segment;
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::plan::Plan;
use crate::postgres;
use crate::report::text::count;
use crate::report::{InventorySummary, Report, SCHEMA_VERSION};
use crate::run::Run;
use crate::source::archiver::{self, Archiver};
use crate::source::gates;
use crate::source::reach::Reach;
use crate::verdict::{Subject, required, undecided, verdict};

/// How many segments a full check reads the head of.
const FULL_SAMPLE: usize = 16;

/// What a check saw; the findings follow from it.
pub struct Examination {
    pub inventory: Option<Inventory>,
    pub findings: Vec<Finding>,
    pub sampled: usize,
    /// The sampled segments that are sound.
    pub read: Vec<Segment>,
    pub requests: u64,
}

impl Examination {
    /// Of an archive that was not looked at.
    fn nothing(findings: Vec<Finding>) -> Self {
        Self { inventory: None, findings, sampled: 0, read: Vec::new(), requests: 0 }
    }
}

/// The whole of `walproof check`: examines and judges. `former` is what the history says of former runs.
pub async fn run(
    plan: &Plan,
    reach: &Reach,
    depth: Depth,
    run: &Run,
    former: &[Finding],
    cancel: &CancellationToken,
) -> Report {
    let started_at = run.started_at;
    let mut findings = [former, &reach.findings].concat();
    if let (Some(kubernetes), Some(source)) = (&reach.kubernetes, &reach.source) {
        findings.extend(gates::first(kubernetes, source, None, gates::WriteAccess::Refused, started_at).await);
    }
    let mut examination = match &reach.store {
        Some(store) => tokio::select! {
            examination = examine(plan, store, depth, started_at) => examination,
            () = cancel.cancelled() => {
                Examination::nothing(vec![Finding::not_checked(Code::RunStopped, "the check was stopped by a signal")])
            }
        },
        None => Examination::nothing(Vec::new()),
    };
    if findings.iter().any(|finding| finding.code == Code::SourcePaused && finding.outcome == Outcome::Failed) {
        // A source that sleeps by intent archives nothing by intent.
        let is_age = |finding: &Finding| matches!(finding.code, Code::WalStale | Code::BackupStale);
        let quiet = |finding: Finding| if is_age(&finding) { finding.into_note() } else { finding };
        examination.findings = examination.findings.into_iter().map(quiet).collect();
    }
    findings.append(&mut examination.findings);
    let inventory = examination.inventory.map(|inventory| {
        InventorySummary::of(&inventory, examination.sampled as u64, examination.requests)
            .with_read(&inventory, &examination.read)
    });
    let raised = required(plan, Subject::Check);
    Report {
        schema_version: SCHEMA_VERSION,
        walproof_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: Subject::Check,
        run_id: run.id.clone(),
        source: plan.source.clone(),
        namespace: plan.namespace.clone(),
        archive: reach.archive.clone(),
        started_at,
        finished_at: Timestamp::now(),
        verdict: verdict(Subject::Check, &findings, &raised),
        undecided: undecided(Subject::Check, &findings, &raised),
        findings,
        inventory,
        restore: None,
        sandbox: None,
        left_behind: Vec::new(),
    }
}

/// Examines the archive of `plan`. Every failure is a finding.
pub async fn examine(plan: &Plan, store: &Store, depth: Depth, now: Timestamp) -> Examination {
    let mut findings = Vec::new();
    let archiver = match &plan.connection {
        Some(_) => observe(plan, &mut findings).await,
        None => None,
    };
    let mut inventory = match Inventory::take(store, depth, now).await {
        Ok(inventory) => inventory,
        Err(error) => {
            findings.push(unreadable(store, &error));
            return Examination { inventory: None, findings, sampled: 0, read: Vec::new(), requests: store.requests() };
        }
    };
    if inventory.is_empty() {
        findings.push(empty(store).await);
        return Examination {
            inventory: Some(inventory),
            findings,
            sampled: 0,
            read: Vec::new(),
            requests: store.requests(),
        };
    }
    findings.push(Finding::passed(
        Code::ArchiveUnreadable,
        format!(
            "listed {} and {}",
            count(inventory.backups.len() as u64, "base backup", "base backups"),
            count(inventory.wal.segments(), "segment", "segments")
        ),
    ));

    let of_backups = || inventory.restorable().filter_map(|backup| backup.info.as_ref().ok()?.timeline).max();
    let timeline = archiver.as_ref().map(|archiver| archiver.timeline);
    let timeline = timeline.or_else(|| inventory.wal.newest_timeline()).or_else(of_backups);
    // Archiving is parallel and retention deletes while we list: what blames the backups must be seen twice.
    let suspects = timeline.map(|timeline| wal::gaps(&inventory, timeline)).unwrap_or_default();
    let is_suspicious = !suspects.is_empty() || backups::is_suspicious(&inventory);
    let mut earlier = None;
    if is_suspicious && depth == Depth::Full {
        match Inventory::take(store, depth, Timestamp::now()).await {
            Ok(again) => earlier = Some(std::mem::replace(&mut inventory, again)),
            Err(error) => findings.push(unreadable(store, &error)),
        }
    }
    findings.extend(backups::judge(&inventory, earlier.as_ref()));
    if let Some(timeline) = timeline {
        let confirmed = suspects.iter().filter(|_| earlier.is_some()).map(|gap| gap.first).collect();
        findings.extend(wal::judge(plan, &inventory, timeline, archiver.as_ref(), &confirmed));
    }
    findings.extend(archiver.as_ref().and_then(|archiver| branch::judge(&inventory, archiver.into())));
    findings.extend(freshness::judge(plan, &inventory, archiver.as_ref(), now));

    let most = if depth == Depth::Full { FULL_SAMPLE } else { 1 };
    let history = timeline.and_then(|timeline| inventory.history(timeline).ok());
    let chosen = history.map(|history| sample::choose(&inventory, &history, most)).unwrap_or_default();
    let sampled = sample::read(store, &inventory, chosen).await;
    let count = sampled.len();
    let sound = sampled.iter().filter(|(_, found)| matches!(found, Sampled::Sound));
    let read = sound.map(|&(segment, _)| segment).collect();
    findings.extend(judge_sample(&inventory, sampled));
    Examination { inventory: Some(inventory), findings, sampled: count, read, requests: store.requests() }
}

fn judge_sample(inventory: &Inventory, sampled: Vec<(Segment, Sampled)>) -> Vec<Finding> {
    let size = inventory.wal.segment_size;
    let mut findings = Vec::new();
    let mut sound = 0;
    for (segment, outcome) in sampled {
        let name = segment.name(size);
        match outcome {
            Sampled::Sound => sound += 1,
            Sampled::Wrong(reason) => findings.push(
                Finding::failed(
                    Code::WalSegmentInvalid,
                    Blame::Backups,
                    format!("segment {name} is not what its name says"),
                )
                .of(name)
                .expected("the first page of this segment of this cluster")
                .observed(reason)
                .hint("replay stops at this segment: make a new base backup now, then look who writes to this archive"),
            ),
            // Retention may remove a segment between the listing and the reading.
            Sampled::Unreadable(error) if error.is_absent() => {
                findings.push(
                    Finding::note(Code::WalSegmentInvalid, format!("{name} was removed while it was to be read"))
                        .of(name),
                );
            }
            Sampled::Unreadable(error) => findings.push(
                Finding::not_checked(Code::WalSegmentInvalid, format!("segment {name} could not be read: {error}"))
                    .of(name)
                    .hint(error.hint()),
            ),
        }
    }
    if sound > 0 {
        let summary = format!("{sound} sampled segments are of this cluster and in their places");
        findings.insert(0, Finding::passed(Code::WalSegmentInvalid, summary));
    }
    findings
}

async fn observe(plan: &Plan, findings: &mut Vec<Finding>) -> Option<Archiver> {
    let connection = plan.connection.as_ref()?;
    let observed = async {
        let client = postgres::connect(connection, &connection.database)
            .await
            .map_err(|error| (error.to_string(), error.hint()))?;
        let role = "is the role of `connection` in pg_monitor?";
        archiver::observe(&client).await.map_err(|error| (error.to_string(), role))
    };
    match observed.await {
        Ok(archiver) => {
            findings.push(Finding::passed(
                Code::SourceUnreachable,
                format!("the source answers, at LSN {} on timeline {}", archiver.current_lsn, archiver.timeline),
            ));
            Some(archiver)
        }
        Err((reason, hint)) => {
            let summary = format!("the source could not be asked: it {reason}");
            findings.push(Finding::not_checked(Code::SourceUnreachable, summary).hint(hint));
            None
        }
    }
}

/// The finding for a store that could not be listed or read.
pub fn unreadable(store: &Store, error: &StoreError) -> Finding {
    let blame = match error.kind {
        StoreErrorKind::Frozen => Blame::Backups,
        _ => Blame::Environment,
    };
    Finding::failed(Code::ArchiveUnreadable, blame, format!("the archive {} could not be read", store.url()))
        .of(store.url())
        .expected("an archive that can be listed and read")
        .observed(error.to_string())
        .hint(error.hint())
}

/// A wrong name and a lost archive look the same, so this is nobody's fault yet; neighbours help to tell.
async fn empty(store: &Store) -> Finding {
    let finding = Finding::failed(Code::ArchiveEmpty, Blame::Unknown, format!("{} holds no object", store.url()))
        .of(store.url())
        .expected("base backups below base/ and WAL below wals/");
    match store.siblings().await {
        Ok(names) if !names.is_empty() => finding
            .observed(format!("nothing; beside it there are: {}", names.join(", ")))
            .hint("is the server name the source's (`archive.s3.serverName`, or the Cluster's `serverName`)?"),
        _ => finding
            .observed("nothing, and no other archive beside it")
            .hint("is this where production archives to (`archive.s3.url`)? If so, its archive is lost"),
    }
}

#[cfg(test)]
mod tests;

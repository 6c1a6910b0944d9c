//! Telling people: the history, metrics, an issue, a webhook. All of it knows a finished report, and none of it ever
//! changes a verdict: what cannot be told now is kept, counted, and told by the next run.

pub mod forgejo;
pub mod http;
pub mod markdown;
pub mod metrics;
mod push;
pub mod pushgateway;
pub mod webhook;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::error::chain;
use crate::finding::{Blame, Code, Finding};
use crate::history::changes::{Origin, note_of_killed};
use crate::history::store::{HistoryError, Running, Store};
use crate::history::{Channel, History, PastRun};
use crate::kubernetes::Kubernetes;
use crate::plan::{self, Plan, signed};
use crate::report::Report;
use crate::run::Run;
use crate::verdict::Subject;
use http::{SendError, Service};
use metrics::MetricsFile;

/// A check ends long before this.
const CHECK_LIMIT: SignedDuration = SignedDuration::from_hours(1);
/// For sweep, tear-down and telling, beside a drill's own limit.
const MARGIN: SignedDuration = SignedDuration::from_mins(30);

/// How long the metrics may take that say no more than that a run has begun.
const SIGN_LIMIT: Duration = Duration::from_secs(20);
/// How long a history that does not answer is given, time after time, until the ending of a run is lost.
const HISTORY_WAITS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];
/// How long nobody else tells what a run has taken on; it does not take so long, unless it was killed.
const CLAIM: SignedDuration = SignedDuration::from_mins(15);
/// How long one service is told of former runs before it is told of this one.
const FORMER_LIMIT: Duration = Duration::from_mins(2);

/// Whom one run tells, and what former ones left to it.
pub struct Publisher<'a> {
    plan: &'a Plan,
    command: Subject,
    run: Run,
    store: Option<Store>,
    /// As it was last read.
    history: Option<History>,
    /// Keeps others from taking this run for a killed one.
    running: Option<Running>,
    /// For `node_exporter`, beside the Pushgateway.
    metrics_file: Option<&'a MetricsFile>,
    /// What this run's report says of the history.
    pub findings: Vec<Finding>,
}

impl<'a> Publisher<'a> {
    /// Writes down that the run has begun, closes former ones that were killed, and shows it in the metrics. Never fails:
    /// a history that cannot be had is a finding. `archive` is as in the report; `kubernetes` is a connection that is there
    /// already, and without one `impersonated` the user to act as in Kubernetes.
    pub async fn begin(
        plan: &'a Plan,
        command: Subject,
        run: &Run,
        archive: &str,
        kubernetes: Option<&Kubernetes>,
        impersonated: Option<&str>,
        metrics_file: Option<&'a MetricsFile>,
    ) -> Self {
        let mut publisher = Self {
            plan,
            command,
            run: run.clone(),
            store: None,
            history: None,
            running: None,
            metrics_file,
            findings: Vec::new(),
        };
        if let Some(place) = &plan.history
            && let Err(finding) = publisher.write_down(place, archive, kubernetes, impersonated).await
        {
            publisher.findings.push(*finding);
        }
        // A sign of life, which the run does not wait long for.
        if tokio::time::timeout(SIGN_LIMIT, publisher.push(None, false)).await.is_err() {
            tracing::error!("that a run has begun was not pushed within {SIGN_LIMIT:?}");
        }
        publisher
    }

    async fn write_down(
        &mut self,
        place: &plan::History,
        archive: &str,
        kubernetes: Option<&Kubernetes>,
        impersonated: Option<&str>,
    ) -> Result<(), Box<Finding>> {
        let connected = match (place, kubernetes) {
            (plan::History::ConfigMaps { .. }, None) => {
                let connected = Kubernetes::connect(impersonated).await;
                Some(connected.map_err(|error| {
                    let summary = "the API server, which keeps the history, could not be asked";
                    let finding = Finding::failed(Code::HistoryUnreadable, Blame::Environment, summary);
                    Box::new(finding.observed(error.to_string()).hint(error.hint()))
                })?)
            }
            _ => None,
        };
        let kubernetes = kubernetes.or(connected.as_ref());
        let unreadable = |error: HistoryError| Box::new(error.finding());
        // Kept also where the beginning cannot be written: the ending may be.
        let store = Store::open(&self.plan.source, place, kubernetes).map_err(unreadable)?;
        let store = self.store.insert(store).clone();
        let limit = match self.command {
            Subject::Drill => signed(self.plan.limits.drill),
            Subject::Check => CHECK_LIMIT,
        };
        let run = PastRun {
            run_id: self.run.id.clone(),
            command: self.command,
            started_at: self.run.started_at,
            holder: None,
            ends_by: self.run.started_at.saturating_add(limit.saturating_add(MARGIN)).unwrap_or(Timestamp::MAX),
            ending: None,
        };
        let origin = Origin {
            source: self.plan.source.clone(),
            namespace: self.plan.namespace.clone(),
            archive: archive.to_owned(),
        };
        let begun = store.begin(run, &origin, &self.channels(), Timestamp::now()).await.map_err(unreadable)?;
        self.findings.extend(note_of_killed(&begun.closed));
        self.running = Some(begun.running);
        self.history = Some(begun.history);
        Ok(())
    }

    /// The nights that tonight's baseline is compared with, newest first: rows by table.
    pub fn nights(&self) -> Vec<(Timestamp, BTreeMap<String, u64>)> {
        let nights = self.history.iter().flat_map(History::nights);
        nights.map(|(at, rows)| (at, rows.clone())).collect()
    }

    /// Tells everybody of this run, and of what former ones could not tell. What does not succeed is logged, and kept in
    /// the history where there is one. `rows` are those of tonight's baseline by table.
    pub async fn end(&mut self, report: &Report, rows: &BTreeMap<String, u64>) {
        let channels = self.channels();
        let claimed = self.finish(report, rows, &channels).await;
        self.running = None;
        let is_recorded = claimed.is_some();
        self.push(Some(report), is_recorded).await;
        let waiting = self.waiting();
        let claimed = claimed.unwrap_or_default();
        for channel in channels {
            self.tell(channel, report, &claimed).await;
        }
        if is_recorded {
            self.record(|history| history.release(&claimed)).await;
        }
        if self.waiting() != waiting {
            self.push(Some(report), false).await;
        }
    }

    /// Writes how the run ended, and takes on to tell what waits: the runs' ids, None where nothing could be written. A
    /// history that does not answer is asked again, since without an ending this run would count as killed.
    async fn finish(
        &mut self,
        report: &Report,
        rows: &BTreeMap<String, u64>,
        channels: &[Channel],
    ) -> Option<Vec<String>> {
        let mut waits = HISTORY_WAITS.into_iter();
        loop {
            let now = Timestamp::now();
            let claimed = self.record(|history| {
                history.finish(report, rows, channels);
                history.owe_only(channels);
                history.claim(now, now + CLAIM)
            });
            if let Some(claimed) = claimed.await {
                return Some(claimed);
            }
            self.store.as_ref()?;
            tokio::time::sleep(waits.next()?).await;
        }
    }

    /// Changes the history, and gives what the change gave; None where there is none, or it is not written, which is logged.
    async fn record<T>(&mut self, change: impl Fn(&mut History) -> T) -> Option<T> {
        match self.store.as_ref()?.update(change).await {
            Ok((history, value)) => {
                self.history = Some(history);
                Some(value)
            }
            Err(error) => {
                tracing::error!("the history is not written: {}", chain(&error));
                None
            }
        }
    }

    /// Tells one service of the claimed runs, the oldest first, and of this one, which does not wait for long.
    async fn tell(&mut self, channel: Channel, report: &Report, claimed: &[String]) {
        let owed = |run: &PastRun| {
            let is_owed = run.ending.as_ref().is_some_and(|ending| ending.undelivered.contains(&channel));
            is_owed && run.run_id != report.run_id && claimed.contains(&run.run_id)
        };
        let waiting = self.history.iter().flat_map(History::undelivered).filter(|(run, _)| owed(run));
        let waiting: Vec<Report> = waiting.map(|(_, report)| report.clone()).collect();
        let former = async {
            for report in &waiting {
                if !self.tell_of(channel, report).await {
                    return false;
                }
            }
            true
        };
        let former = tokio::time::timeout(FORMER_LIMIT, former).await;
        if former.is_err() {
            tracing::warn!("former runs are told of no longer than {FORMER_LIMIT:?}; the next run goes on");
        }
        if former.unwrap_or(true) {
            self.tell_of(channel, report).await;
        }
    }

    /// Tells one service of one run. False where it cannot be used at all.
    async fn tell_of(&mut self, channel: Channel, report: &Report) -> bool {
        match self.deliver(channel, report).await {
            Ok(url) => {
                self.record(|history| history.delivered(&report.run_id, channel, url.as_deref())).await;
                true
            }
            Err(error) => {
                let kept = match self.history {
                    Some(_) => "the next run tells it",
                    None => "without a history it is lost",
                };
                tracing::error!("run {} is not told: {}; {kept}", report.run_id, chain(&error));
                error.is_about_this_report()
            }
        }
    }

    /// Tells one service of one run; gives the URL of the comment that was made.
    async fn deliver(&self, channel: Channel, report: &Report) -> Result<Option<String>, SendError> {
        match (channel, &self.plan.publish) {
            (Channel::Forgejo, plan::Publish { forgejo: Some(forgejo), .. }) => {
                forgejo::deliver(forgejo, self.history.as_ref(), report).await
            }
            (Channel::Webhook, plan::Publish { webhook: Some(endpoint), .. }) => {
                webhook::deliver(&Service::new(endpoint)?, report).await.map(|()| None)
            }
            _ => Ok(None),
        }
    }

    /// The services that are told of each run.
    fn channels(&self) -> Vec<Channel> {
        let publish = &self.plan.publish;
        let channels =
            [publish.forgejo.as_ref().map(|_| Channel::Forgejo), publish.webhook.as_ref().map(|_| Channel::Webhook)];
        channels.into_iter().flatten().collect()
    }

    /// How many runs somebody has not been told of yet; None where that is not known.
    fn waiting(&self) -> Option<u64> {
        Some(self.history.as_ref()?.undelivered().count() as u64)
    }
}

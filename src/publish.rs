//! Telling people: the history, metrics, an issue, a webhook. All of it knows a finished report, and none of it ever
//! changes a verdict: what cannot be told now is kept, counted, and told by the next run.

pub mod forgejo;
pub mod http;
pub mod markdown;
pub mod metrics;
pub mod pushgateway;
pub mod webhook;

use std::collections::BTreeMap;

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
use crate::verdict::{Subject, Verdict};
use http::{SendError, Service};
use metrics::Series;
use pushgateway::Group;

/// A check ends long before this.
const CHECK_LIMIT: SignedDuration = SignedDuration::from_hours(1);
/// For sweep, tear-down and telling, beside a drill's own limit.
const MARGIN: SignedDuration = SignedDuration::from_mins(30);

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
    ) -> Self {
        let mut publisher =
            Self { plan, command, run: run.clone(), store: None, history: None, running: None, findings: Vec::new() };
        if let Some(place) = &plan.history
            && let Err(finding) = publisher.write_down(place, archive, kubernetes, impersonated).await
        {
            publisher.findings.push(*finding);
        }
        publisher.push(None).await;
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
        let store = Store::open(&self.plan.source, place, kubernetes).map_err(unreadable)?;
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
        self.store = Some(store);
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
        let is_recorded = self.record(|history| history.finish(report, rows, &channels)).await;
        self.running = None;
        self.push(Some(report)).await;
        let waiting = self.undelivered();
        self.tell(report, is_recorded).await;
        if self.undelivered() != waiting {
            self.push(Some(report)).await;
        }
    }

    /// Changes the history where there is one; true when it is written. A change that is not is logged.
    async fn record(&mut self, change: impl Fn(&mut History)) -> bool {
        let Some(store) = &self.store else { return false };
        match store.update(change).await {
            Ok((history, ())) => {
                self.history = Some(history);
                true
            }
            Err(error) => {
                tracing::error!("the history is not written: {}", chain(&error));
                false
            }
        }
    }

    /// Delivers everything that waits, the oldest first. A service that cannot be used is not asked again.
    async fn tell(&mut self, report: &Report, is_recorded: bool) {
        let waiting: Vec<(Report, Vec<Channel>)> = match &self.history {
            Some(history) if is_recorded => {
                let owed = |run: &PastRun| run.ending.iter().flat_map(|ending| ending.undelivered.clone()).collect();
                history.undelivered().map(|(run, report)| (report.clone(), owed(run))).collect()
            }
            _ => vec![(report.clone(), self.channels())],
        };
        for channel in self.channels() {
            for (report, _) in waiting.iter().filter(|(_, channels)| channels.contains(&channel)) {
                match self.deliver(channel, report).await {
                    Ok(url) => {
                        self.record(|history| history.delivered(&report.run_id, channel, url.as_deref())).await;
                    }
                    Err(error) => {
                        let kept = if is_recorded { "the next run tells it" } else { "without a history it is lost" };
                        tracing::error!("run {} is not told: {}; {kept}", report.run_id, chain(&error));
                        if !error.is_about_this_report() {
                            break;
                        }
                    }
                }
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

    /// How many deliveries wait for the next run.
    fn undelivered(&self) -> u64 {
        let runs = self.history.iter().flat_map(History::undelivered);
        runs.filter_map(|(run, _)| run.ending.as_ref()).map(|ending| ending.undelivered.len() as u64).sum()
    }

    /// The metrics of this run in Prometheus' text format.
    pub fn metrics(&self, report: &Report) -> String {
        metrics::text(&self.series(self.command, Some(report)))
    }

    /// Pushes the metrics of this run's command; and with those of a check the last drill's again, which a Pushgateway that
    /// was restarted has lost.
    async fn push(&self, report: Option<&Report>) {
        let Some(endpoint) = &self.plan.publish.pushgateway else { return };
        let service = match Service::new(endpoint) {
            Ok(service) => service,
            Err(error) => return tracing::error!("the metrics are not pushed: {}", chain(&error)),
        };
        let mut commands = vec![self.command];
        if self.command == Subject::Check
            && self.history.as_ref().is_some_and(|h| h.latest_report(Subject::Drill).is_some())
        {
            commands.push(Subject::Drill);
        }
        for command in commands {
            let report = report.filter(|_| command == self.command);
            let series = self.series(command, report);
            let group = Group { command, namespace: self.plan.namespace.as_deref(), source: &self.plan.source };
            let text = metrics::text(&series);
            // Without a history the last success is only in the Pushgateway, and must stay there.
            let pushed = match (&self.history, series.last_success_at) {
                (None, None) => pushgateway::update(&service, &group, &text).await,
                _ => pushgateway::replace(&service, &group, &text).await,
            };
            if let Err(error) = pushed {
                tracing::error!("the metrics are not pushed: {}; the next run's push replaces them", chain(&error));
                return;
            }
        }
    }

    /// What is known of a command: from `report`, else from the history.
    fn series<'s>(&'s self, command: Subject, report: Option<&'s Report>) -> Series<'s> {
        let history = self.history.as_ref();
        let newest = history.and_then(|history| history.runs.iter().rev().find(|run| run.command == command));
        let last_success = history.and_then(|history| history.last_success(command));
        let passed_now = report.filter(|report| report.verdict == Verdict::Pass).map(|report| report.finished_at);
        Series {
            source: &self.plan.source,
            namespace: self.plan.namespace.as_deref(),
            command,
            report: report.or_else(|| history?.latest_report(command)),
            last_started_at: newest.map_or(self.run.started_at, |run| run.started_at),
            last_success_at: passed_now.or_else(|| last_success.map(|(_, ending)| ending.finished_at)),
            count: history.map(|history| history.count(command)),
            undelivered: self.undelivered(),
            objectives: &self.plan.objectives,
        }
    }
}

//! Where the metrics of a run go: to a Pushgateway, and into a file. Both show when it began, and how it ended.

use super::Publisher;
use super::http::Service;
use super::metrics::{self, Series};
use super::pushgateway::{self, Group};
use crate::error::chain;
use crate::report::Report;
use crate::verdict::{Subject, Verdict};

impl Publisher<'_> {
    /// Writes and pushes the metrics of this run's command, of its `report` once it has one. Where the history is as new
    /// as can be (`is_fresh`), the end of a check pushes those of the last drill again, which a Pushgateway that was
    /// restarted has lost.
    pub(super) async fn push(&self, report: Option<&Report>, is_fresh: bool) {
        let own = self.series(self.command, report);
        if let Some(file) = self.metrics_file
            && let Err(error) = file.write(&metrics::text(&own))
        {
            tracing::error!("{}", error.render());
        }
        let Some(endpoint) = &self.plan.publish.pushgateway else { return };
        let service = match Service::new(endpoint) {
            Ok(service) => service,
            Err(error) => return tracing::error!("the metrics are not pushed: {}", chain(&error)),
        };
        let mut all = vec![own];
        if self.command == Subject::Check && is_fresh {
            // First, as it is no newer than the history.
            all.insert(0, self.series(Subject::Drill, None));
        }
        for series in all.iter().filter(|series| series.command == self.command || series.report.is_some()) {
            let group = Group { command: series.command, namespace: series.namespace, source: series.source };
            let text = metrics::text(series);
            // Where no success is known, one may be in the Pushgateway alone, and must stay there.
            let pushed = match series.last_success_at {
                None => pushgateway::update(&service, &group, &text).await,
                Some(_) => pushgateway::replace(&service, &group, &text).await,
            };
            if let Err(error) = pushed {
                return tracing::error!(
                    "the metrics are not pushed: {}; the next run's push replaces them",
                    chain(&error)
                );
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
            undelivered: self.waiting(),
            objectives: &self.plan.objectives,
        }
    }
}

//! What Prometheus is told of one source and command, as text in Prometheus' own format: for a Pushgateway, or for a
//! file that `node_exporter` reads. Points in time are told, never ages, and what is not known is left out.

mod table;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};

pub use table::METRICS;

use crate::error::Error;
use crate::history::Count;
use crate::plan::Objectives;
use crate::report::Report;
use crate::verdict::Subject;
use crate::whole_file;

/// The labels of every metric. `namespace` and `cluster` would collide with those of a scrape configuration.
pub const LABELS: [&str; 3] = ["command", "cluster_namespace", "cluster_name"];

/// What is known of one source and command when its metrics are written.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    pub source: &'a str,
    pub namespace: Option<&'a str>,
    pub command: Subject,
    /// The newest finished run's.
    pub report: Option<&'a Report>,
    /// Of the newest run, finished or not.
    pub last_started_at: Timestamp,
    /// When the newest PASS ended.
    pub last_success_at: Option<Timestamp>,
    /// Absent without a history.
    pub count: Option<Count>,
    /// Runs that somebody is not told of yet; absent without a history.
    pub undelivered: Option<u64>,
    pub objectives: &'a Objectives,
}

/// One line of the table of metrics.
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// What one is: `seconds`, `rows`; `Unix time` for a point in time.
    pub unit: &'static str,
    /// Those beside [`LABELS`].
    pub labels: &'static [&'static str],
    /// One sentence, or two.
    pub help: &'static str,
    samples: for<'a> fn(&Series<'a>) -> Vec<Sample<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// A value, and the values of the metric's own labels in their order.
struct Sample<'a> {
    labels: Vec<&'a str>,
    value: f64,
}

/// Every metric that is known, families by name, samples by their labels, without timestamps; it ends in a line feed.
pub fn text(series: &Series<'_>) -> String {
    let registry = Registry::new();
    let written = METRICS.iter().try_for_each(|metric| registry.register(metric.collect(series)?));
    written
        .and_then(|()| TextEncoder::new().encode_to_string(&registry.gather()))
        .expect("names are valid and unique, and samples have the labels of their metric: tests write every metric")
}

impl Metric {
    fn collect(&self, series: &Series<'_>) -> prometheus::Result<Box<dyn Collector>> {
        let names = [&LABELS, self.labels].concat();
        let options = Opts::new(self.name, self.help);
        let common = [series.command.as_str(), series.namespace.unwrap_or_default(), series.source];
        let samples = (self.samples)(series).into_iter();
        let samples = samples.map(|sample| ([&common[..], &sample.labels].concat(), sample.value));
        Ok(match self.kind {
            Kind::Counter => {
                let family = CounterVec::new(options, &names)?;
                for (labels, value) in samples {
                    family.get_metric_with_label_values(&labels)?.inc_by(value);
                }
                Box::new(family)
            }
            Kind::Gauge => {
                let family = GaugeVec::new(options, &names)?;
                for (labels, value) in samples {
                    // Added: two phases of one name took the time of both.
                    family.get_metric_with_label_values(&labels)?.add(value);
                }
                Box::new(family)
            }
        })
    }
}

const LAST_SUCCESS: &str = "walproof_last_success_timestamp_seconds";

/// A file that `node_exporter`'s textfile collector reads. It reads only names that end in `.prom`; any other is
/// refused when the name is parsed, before a run that could not tell its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsFile(PathBuf);

impl FromStr for MetricsFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if path.extension().is_none_or(|end| end != "prom") {
            return Err("the name must end in .prom: node_exporter's textfile collector reads no other".to_owned());
        }
        Ok(Self(path.to_path_buf()))
    }
}

impl MetricsFile {
    /// Replaces the file at once: a reader never sees half of it. A last success that only the file knows stays in it.
    pub fn write(&self, text: &str) -> Result<(), Error> {
        let mut text = text.to_owned();
        if !text.contains(LAST_SUCCESS) {
            let former = std::fs::read_to_string(&self.0).unwrap_or_default();
            let is_success = |line: &&str| {
                line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with(LAST_SUCCESS)
            };
            text.extend(former.lines().filter(is_success).flat_map(|line| [line, "\n"]));
        }
        whole_file::write(&self.0, &text)
            .map_err(|error| Error::new(format!("write the metrics {}", self.0.display())).because(error))
    }
}

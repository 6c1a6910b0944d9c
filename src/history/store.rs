//! Where a history is kept: in a directory, or in a `ConfigMap`. Every change is a whole one, made to what is there at
//! that moment, so that runs which write at once lose nothing of each other.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::changes::Origin;
use super::config_map::ConfigMap;
use super::directory::{Directory, Held};
use super::{Channel, History, PastRun};
use crate::error::{Error, Reason};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::Kubernetes;
use crate::plan;
use crate::report::Report;

/// A place that does not answer is asked once more before a run goes on without its history.
const AGAIN: Duration = Duration::from_secs(2);

/// Where the history of one source is kept.
#[derive(Clone)]
pub enum Store {
    Directory(Directory),
    ConfigMap(Box<ConfigMap>),
}

/// Why a history could not be read or written. Its text reads after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {reason}")]
pub struct HistoryError {
    /// With the place: `write the history /var/lib/walproof/app.json.gz`.
    doing: String,
    reason: String,
    hint: String,
}

impl HistoryError {
    pub(super) fn new(doing: impl Into<String>, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { doing: doing.into(), reason: reason.into(), hint: hint.into() }
    }

    /// One thing to do about it.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// For the report: a run goes on without its history.
    pub fn finding(&self) -> Finding {
        Finding::failed(Code::HistoryUnreadable, Blame::Environment, format!("walproof could not {}", self.doing))
            .observed(&self.reason)
            .hint(&self.hint)
    }
}

/// For a command that cannot go on without it.
impl From<HistoryError> for Error {
    fn from(error: HistoryError) -> Self {
        Self::new(error.doing).because(Reason(error.reason)).hint(error.hint)
    }
}

/// A run that is under way. Where it is dropped before an ending is written, the next run takes it for killed.
pub struct Running {
    _held: Option<Held>,
}

/// A run that has begun.
pub struct Begun {
    pub running: Running,
    /// The reports of former runs that were killed; they are among the undelivered ones.
    pub closed: Vec<Report>,
    pub history: History,
}

impl Store {
    /// Names the place; nothing is read or written yet. `kubernetes` is needed for `ConfigMap`s alone.
    pub fn open(source: &str, place: &plan::History, kubernetes: Option<&Kubernetes>) -> Result<Self, HistoryError> {
        match place {
            plan::History::Directory(directory) => Ok(Self::Directory(Directory::new(directory, source))),
            plan::History::ConfigMaps { namespace } => ConfigMap::new(source, namespace.as_deref(), kubernetes)
                .map(|config_map| Self::ConfigMap(Box::new(config_map))),
        }
    }

    /// Writes nothing, and waits for nobody. What is damaged is left out, with a warning.
    pub async fn read(&self) -> Result<History, HistoryError> {
        match self {
            Self::Directory(directory) => directory.read().await,
            Self::ConfigMap(config_map) => config_map.read().await,
        }
    }

    /// Reads, changes, trims and writes: whole, or not at all. `change` may be called again, where somebody else wrote
    /// meanwhile or an answer was lost; what it gave last is given. What is damaged is set aside.
    pub async fn update<T>(&self, change: impl Fn(&mut History) -> T) -> Result<(History, T), HistoryError> {
        match self {
            Self::Directory(directory) => directory.update(change).await,
            Self::ConfigMap(config_map) => config_map.update(change).await,
        }
    }

    /// Writes that `run` has begun, and closes those that were killed: `channels` are to be told of them, and `origin` is
    /// what their reports say of the source. The run counts as under way as long as what is returned lives.
    pub async fn begin(
        &self,
        run: PastRun,
        origin: &Origin,
        channels: &[Channel],
        now: Timestamp,
    ) -> Result<Begun, HistoryError> {
        let (held, run) = match self {
            Self::Directory(directory) => (Some(directory.hold(&run.run_id).await?), run),
            Self::ConfigMap(config_map) => (None, PastRun { holder: config_map.holder(), ..run }),
        };
        let found = match self.read().await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!("{error}; again in {AGAIN:?}");
                tokio::time::sleep(AGAIN).await;
                self.read().await?
            }
        };
        let gone = self.gone(&found).await;
        let (history, closed) = self
            .update(|history| {
                let closed = history.close_killed(|run| gone.get(&run.run_id).copied(), origin, channels, now);
                history.begin(run.clone());
                closed
            })
            .await?;
        for report in &closed {
            tracing::warn!("the former run {} was killed; it is closed as INCONCLUSIVE", report.run_id);
        }
        Ok(Begun { running: Running { _held: held }, closed, history })
    }

    /// Of the open runs, whether they run no more, where that is known.
    async fn gone(&self, history: &History) -> BTreeMap<String, bool> {
        let mut gone = BTreeMap::new();
        for run in history.runs.iter().filter(|run| run.ending.is_none()) {
            let is_gone = match self {
                Self::Directory(directory) => directory.is_gone(&run.run_id).await,
                Self::ConfigMap(config_map) => config_map.is_gone(run).await,
            };
            gone.extend(is_gone.map(|is_gone| (run.run_id.clone(), is_gone)));
        }
        gone
    }
}

//! A history in a `ConfigMap` that an administrator made: read and replaced by name, and nothing else is asked of the API
//! server. Who replaced it meanwhile is noticed by the API server, and the change is made to what he wrote.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap as Object;
use kube::Api;

use super::document::{self, Defect};
use super::store::HistoryError;
use super::{History, PastRun, bounds};
use crate::kubernetes::{self, ApiError, ApiErrorKind, Kubernetes, holder};

/// Where the document lies in `binaryData`.
pub const KEY: &str = "history.json.gz";
/// Where one lies that could not be read.
pub const DAMAGED_KEY: &str = "damaged.json.gz";
/// All values of a `ConfigMap` may have 1 MiB together; some of it is left for what others put there.
const ROOM: usize = 1_040_000;
/// Whenever an attempt is in vain, another writer's was not.
const ATTEMPTS: usize = 12;
/// Of them, so many may go without an answer.
const UNANSWERED: usize = 3;

#[derive(Clone)]
pub struct ConfigMap {
    kubernetes: Kubernetes,
    namespace: String,
    name: String,
    source: String,
}

/// An object with a changed history in it, as `bytes`.
struct Changed<T> {
    object: Object,
    history: History,
    value: T,
    bytes: Vec<u8>,
}

/// `walproof-history-<source>`, where capital letters become small ones and `_` becomes `-`. Two sources whose names
/// differ in nothing else have the same: the document says whose it is, and the other is refused.
pub fn name(source: &str) -> String {
    let allowed = |c: char| if matches!(c, 'a'..='z' | '0'..='9' | '.' | '-') { c } else { '-' };
    let source: String = source.chars().map(|c| allowed(c.to_ascii_lowercase())).collect();
    format!("walproof-history-{source}")
}

impl ConfigMap {
    pub(super) fn new(
        source: &str,
        namespace: Option<&str>,
        kubernetes: Option<&Kubernetes>,
    ) -> Result<Self, HistoryError> {
        let name = name(source);
        let refused =
            |reason: &str, hint: &str| Err(HistoryError::new(format!("find the ConfigMap {name}"), reason, hint));
        let Some(kubernetes) = kubernetes else {
            return refused("the API server is not reached", "does the API server answer from here (KUBECONFIG)?");
        };
        let own = kubernetes.identity.pod.as_ref().map(|pod| pod.namespace.as_str());
        let Some(namespace) = namespace.or(own) else {
            return refused(
                "walproof does not run in a pod, and no namespace is configured",
                "set `history.configMaps.namespace`",
            );
        };
        let (kubernetes, namespace, source) = (kubernetes.clone(), namespace.to_owned(), source.to_owned());
        Ok(Self { kubernetes, namespace, name, source })
    }

    pub fn text(&self) -> String {
        format!("ConfigMap {}/{}", self.namespace, self.name)
    }

    /// Who runs what begins here.
    pub fn holder(&self) -> Option<String> {
        holder::holder(&self.kubernetes)
    }

    /// True when the pod that ran it is known to have ended. A pod that is there may hang, so nothing is known of that one.
    pub async fn is_gone(&self, run: &PastRun) -> Option<bool> {
        let holder = run.holder.as_ref()?;
        holder::is_gone(&self.kubernetes, holder).await.then_some(true)
    }

    pub async fn read(&self) -> Result<History, HistoryError> {
        let object = self.get().await.map_err(|error| self.failed("read", &error))?;
        let object = object.ok_or_else(|| self.absent("read"))?;
        match document::read(stored(&object), &self.source) {
            Ok(history) => Ok(history),
            Err(Defect::Damaged(reason)) => {
                tracing::warn!("the history in the {} is damaged and is taken for empty: {reason}", self.text());
                Ok(History::of(&self.source))
            }
            Err(defect) => Err(self.refused(&defect)),
        }
    }

    pub async fn update<T>(&self, change: impl Fn(&mut History) -> T) -> Result<(History, T), HistoryError> {
        let doing = format!("write the history in the {}", self.text());
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_secs(3))
            .with_max_times(ATTEMPTS - 1)
            .with_jitter()
            .build();
        // What an attempt gave whose answer was lost.
        let mut lost: Option<(Vec<u8>, History, T)> = None;
        let mut unanswered = 0;
        loop {
            let error = match self.get().await {
                Ok(None) => return Err(self.absent("write")),
                Ok(Some(object)) => {
                    let before = stored(&object).to_vec();
                    if let Some((_, history, value)) = lost.take_if(|(bytes, _, _)| *bytes == before) {
                        return Ok((history, value));
                    }
                    let Changed { object, history, value, bytes } = self.changed(object, &change)?;
                    if before == bytes {
                        return Ok((history, value));
                    }
                    match kubernetes::replace(&self.api(), &doing, &self.name, &object).await {
                        Ok(_) => return Ok((history, value)),
                        Err(error) => {
                            lost = Some((bytes, history, value));
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            unanswered += usize::from(error.kind == ApiErrorKind::Unreachable);
            let may_pass = matches!(error.kind, ApiErrorKind::Conflict | ApiErrorKind::Unreachable);
            let wait = waits.next().filter(|_| may_pass && unanswered < UNANSWERED);
            let Some(wait) = wait else { return Err(self.failed("write", &error)) };
            tracing::debug!("{error}; again in {wait:?}");
            tokio::time::sleep(wait).await;
        }
    }

    fn changed<T>(&self, mut object: Object, change: &impl Fn(&mut History) -> T) -> Result<Changed<T>, HistoryError> {
        let mut history = match document::read(stored(&object), &self.source) {
            Ok(history) => history,
            Err(Defect::Damaged(reason)) => {
                self.set_aside(&mut object, &reason);
                History::of(&self.source)
            }
            Err(defect) => return Err(self.refused(&defect)),
        };
        let value = change(&mut history);
        let bytes = bounds::trim(&mut history);
        put(&mut object, &bytes);
        Ok(Changed { object, history, value, bytes })
    }

    async fn get(&self) -> Result<Option<Object>, ApiError> {
        kubernetes::get(&self.api(), &format!("read the {}", self.text()), &self.name).await
    }

    fn absent(&self, verb: &str) -> HistoryError {
        HistoryError::new(
            format!("{verb} the history in the {}", self.text()),
            "there is no such ConfigMap",
            format!(
                "walproof makes none: the chart does, or `kubectl create configmap {} -n {}`, and a Role that lets \
                 walproof get and update it",
                self.name, self.namespace
            ),
        )
    }

    fn api(&self) -> Api<Object> {
        Api::namespaced(self.kubernetes.client.clone(), &self.namespace)
    }

    fn set_aside(&self, object: &mut Object, reason: &str) {
        let values = object.binary_data.get_or_insert_default();
        if let Some(damaged) = values.remove(KEY) {
            tracing::warn!("the history in the {} is damaged and is set aside as {DAMAGED_KEY}: {reason}", self.text());
            values.insert(DAMAGED_KEY.to_owned(), damaged);
        }
    }

    fn failed(&self, verb: &str, error: &ApiError) -> HistoryError {
        let hint = match error.kind {
            ApiErrorKind::Forbidden => {
                format!(
                    "a Role in {} must grant get and update on the ConfigMap {} (resourceNames)",
                    self.namespace, self.name
                )
            }
            ApiErrorKind::Conflict => "who else writes to it without end?".to_owned(),
            ApiErrorKind::Invalid => "is it `immutable`, or full of what others put there?".to_owned(),
            _ => error.hint().to_owned(),
        };
        HistoryError::new(format!("{verb} the history in the {}", self.text()), error.to_string(), hint)
    }

    fn refused(&self, defect: &Defect) -> HistoryError {
        let hint = match defect {
            Defect::Newer(_) => "run the walproof that wrote it, or a newer one",
            Defect::Foreign(_) => "rename one of the two sources: their names make the same ConfigMap",
            Defect::Damaged(_) => "empty it",
        };
        HistoryError::new(format!("read the history in the {}", self.text()), defect.to_string(), hint)
    }
}

fn stored(object: &Object) -> &[u8] {
    object.binary_data.as_ref().and_then(|values| values.get(KEY)).map_or(&[], |value| &value.0)
}

fn put(object: &mut Object, bytes: &[u8]) {
    let text: usize = object.data.iter().flatten().map(|(_, value)| value.len()).sum();
    let values = object.binary_data.get_or_insert_default();
    values.insert(KEY.to_owned(), ByteString(bytes.to_vec()));
    let size: usize = values.values().map(|value| value.0.len()).sum();
    if text + size > ROOM && values.remove(DAMAGED_KEY).is_some() {
        tracing::warn!("there is no room for {DAMAGED_KEY} beside the history; it is dropped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_a_config_map_of_its_name() {
        for (source, expected) in [
            ("pal-e-postgres", "walproof-history-pal-e-postgres"),
            ("Shop_EU.1", "walproof-history-shop-eu.1"),
            ("shop-eu.1", "walproof-history-shop-eu.1"),
        ] {
            assert_eq!(name(source), expected);
        }
    }

    #[test]
    fn what_is_damaged_is_kept_beside_the_history_only_where_it_fits() {
        for (size, is_kept) in [(400_000, true), (700_000, false)] {
            let mut object = Object::default();
            let damaged = ByteString(vec![7; size]);
            object.binary_data = Some([(DAMAGED_KEY.to_owned(), damaged)].into());
            put(&mut object, &vec![1; 500_000]);
            assert_eq!(stored(&object).len(), 500_000);
            assert_eq!(object.binary_data.unwrap().contains_key(DAMAGED_KEY), is_kept);
        }
    }
}

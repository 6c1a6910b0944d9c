//! The Kubernetes API: who we are there, where we run, and its errors in our words. *Absent* and *could not be asked*
//! are different answers, as with the object store.

pub mod holder;

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, Config};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::chain;

/// The API server answers everything but streams within this.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The API server, and who asks it.
#[derive(Clone)]
pub struct Kubernetes {
    pub client: Client,
    pub identity: Identity,
}

/// As the API server knows us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `system:serviceaccount:<namespace>:<name>` for a pod.
    pub user: String,
    /// The pod that the token was issued to; None outside the cluster.
    pub pod: Option<PodIdentity>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodIdentity {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Why a request to the API server did not give what was asked for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing}: {reason}")]
pub struct ApiError {
    pub kind: ApiErrorKind,
    doing: String,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// The API server answered that there is no such object.
    Absent,
    /// The API server does not know us.
    Unauthorized,
    /// Our identity lacks the permission, or a quota or policy forbids it.
    Forbidden,
    /// An object of this name is there already, or its UID is another.
    Conflict,
    /// The API server or an admission webhook refused the object as it is.
    Invalid,
    /// No answer, a broken one, or one that says to come again (429, 5xx). What was to be made may exist.
    Unreachable,
    /// Any other refusal.
    Refused,
}

impl ApiError {
    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            ApiErrorKind::Absent => "is its name and namespace right?",
            ApiErrorKind::Unauthorized => "is the token or certificate of KUBECONFIG still valid?",
            ApiErrorKind::Forbidden => {
                "docs/kubernetes.md lists every permission of the drill; the message names the one"
            }
            ApiErrorKind::Conflict => "another run made an object of this name; run the drill again",
            ApiErrorKind::Invalid => {
                "`walproof drill --plan` prints the object; the message says what is wrong with it"
            }
            ApiErrorKind::Unreachable => "does the API server answer from here (KUBECONFIG, network policy)?",
            ApiErrorKind::Refused => "see the API server's own log for this request",
        }
    }

    fn new(doing: &str, error: &kube::Error) -> Self {
        let (kind, reason) = match error {
            kube::Error::Api(status) => {
                let kind = match status.code {
                    404 => ApiErrorKind::Absent,
                    401 => ApiErrorKind::Unauthorized,
                    403 => ApiErrorKind::Forbidden,
                    409 => ApiErrorKind::Conflict,
                    400 | 422 => ApiErrorKind::Invalid,
                    429 | 500.. => ApiErrorKind::Unreachable,
                    _ => ApiErrorKind::Refused,
                };
                (kind, format!("{} ({})", status.message, status.code))
            }
            error => (ApiErrorKind::Unreachable, chain(error)),
        };
        Self { kind, doing: doing.to_owned(), reason: one_line(&reason) }
    }
}

impl Kubernetes {
    /// Connects by KUBECONFIG, or inside a cluster by the pod's ServiceAccount, and asks who we are. `impersonated` is
    /// the user to act as.
    pub async fn connect(impersonated: Option<&str>) -> Result<Self, ApiError> {
        let doing = "connect to the Kubernetes API";
        let unreachable = |reason: String| ApiError {
            kind: ApiErrorKind::Unreachable,
            doing: doing.to_owned(),
            reason: one_line(&reason),
        };
        let mut config = Config::infer().await.map_err(|error| unreachable(chain(&error)))?;
        config.connect_timeout = Some(Duration::from_secs(10));
        if let Some(user) = impersonated {
            config.auth_info.impersonate = Some(user.to_owned());
        }
        let client = Client::try_from(config).map_err(|error| unreachable(chain(&error)))?;
        Self::with_client(client).await
    }

    /// Asks who `client` is.
    pub async fn with_client(client: Client) -> Result<Self, ApiError> {
        let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
        let review =
            ask("ask the API server who we are", reviews.create(&PostParams::default(), &SelfSubjectReview::default()))
                .await?;
        let user = review.status.and_then(|status| status.user_info).unwrap_or_default();
        let extra = |key: &str| user.extra.as_ref()?.get(key)?.first().cloned();
        let name = user.username.unwrap_or_default();
        // A token bound to a pod says so; nothing needs to be read for that.
        let namespace =
            name.strip_prefix("system:serviceaccount:").and_then(|rest| Some(rest.split_once(':')?.0.to_owned()));
        let pod = match (
            namespace,
            extra("authentication.kubernetes.io/pod-name"),
            extra("authentication.kubernetes.io/pod-uid"),
        ) {
            (Some(namespace), Some(name), Some(uid)) => Some(PodIdentity { namespace, name, uid }),
            _ => None,
        };
        Ok(Self { client, identity: Identity { user: name, pod } })
    }

    pub fn is_inside(&self) -> bool {
        self.identity.pod.is_some()
    }
}

/// Waits for one answer, bounded. `doing` reads after "failed to", and names the object.
pub async fn ask<T>(doing: &str, question: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ApiError> {
    match tokio::time::timeout(ANSWER_LIMIT, question).await {
        Ok(answer) => answer.map_err(|error| ApiError::new(doing, &error)),
        Err(_) => Err(ApiError {
            kind: ApiErrorKind::Unreachable,
            doing: doing.to_owned(),
            reason: format!("no answer within {} s", ANSWER_LIMIT.as_secs()),
        }),
    }
}

/// The object of this name, or None when it is absent.
pub async fn get<K>(api: &Api<K>, doing: &str, name: &str) -> Result<Option<K>, ApiError>
where
    K: Clone + DeserializeOwned + Debug,
{
    match ask(doing, api.get(name)).await {
        Ok(object) => Ok(Some(object)),
        // A kind that this cluster does not know is absent too; its answer has no reason that a client would know.
        Err(error) if error.kind == ApiErrorKind::Absent => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a Secret holds under one key; never nothing. The reason never holds it.
pub async fn secret_value(secrets: &Api<Secret>, name: &str, key: &str) -> Result<Vec<u8>, String> {
    let secret = get(secrets, &format!("read the Secret {name}"), name).await.map_err(|error| error.to_string())?;
    let secret = secret.ok_or_else(|| format!("there is no Secret {name}"))?;
    let value = secret.data.and_then(|mut data| data.remove(key)).map(|value| value.0);
    value.filter(|value| !value.is_empty()).ok_or_else(|| format!("the Secret {name} has nothing under {key}"))
}

/// All objects that `labels` selects; everything when it is empty.
pub async fn list<K>(api: &Api<K>, doing: &str, labels: &str) -> Result<Vec<K>, ApiError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut parameters = ListParams::default().limit(500);
    if !labels.is_empty() {
        parameters = parameters.labels(labels);
    }
    let mut all = Vec::new();
    loop {
        let page = ask(doing, api.list(&parameters)).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}

/// Makes `object`. An [`ApiErrorKind::Unreachable`] leaves open whether it exists.
pub async fn create<K>(api: &Api<K>, doing: &str, object: &K) -> Result<K, ApiError>
where
    K: Clone + Serialize + DeserializeOwned + Debug,
{
    ask(doing, api.create(&PostParams::default(), object)).await
}

/// Replaces the object of this name as it was read. An [`ApiErrorKind::Conflict`] says that it has changed meanwhile; an
/// [`ApiErrorKind::Unreachable`] leaves open whether it was replaced.
pub async fn replace<K>(api: &Api<K>, doing: &str, name: &str, object: &K) -> Result<K, ApiError>
where
    K: Clone + Serialize + DeserializeOwned + Debug,
{
    ask(doing, api.replace(name, &PostParams::default(), object)).await
}

/// Asks for the object of this name to be deleted; gone already is success.
pub async fn delete<K>(api: &Api<K>, doing: &str, name: &str, parameters: &DeleteParams) -> Result<(), ApiError>
where
    K: Clone + DeserializeOwned + Debug,
{
    match ask(doing, api.delete(name, parameters)).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind == ApiErrorKind::Absent => Ok(()),
        Err(error) => Err(error),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

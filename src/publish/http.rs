//! One HTTP service as all of `publish` talks to it: with its authorization, never to another place than configured,
//! within limits of time and size, and again after an answer that says to come again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use crate::error::chain;
use crate::plan::{Address, Authority, Authorization, Endpoint, parse_address};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// One request, its answer included: a peer that sends a byte a second ends here.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// However long a `Retry-After` is.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const ATTEMPTS: usize = 4;
/// What is kept of an answer; a list of 50 issues with long bodies fits.
const ANSWER_BYTES: usize = 16 << 20;
/// What a message shows of an answer that is not ours to understand.
const SHOWN_CHARACTERS: usize = 200;

/// A service and the right to use it.
pub struct Service {
    client: Client,
    base: Url,
    /// The address is a secret, which an answer may quote.
    is_secret: bool,
    authorization: Option<Right>,
}

/// An authorization whose secret was read.
enum Right {
    Basic { user: String, password: SecretString },
    Bearer(SecretString),
}

/// An answer of status 2xx.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// Whether asking twice is the same as asking once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It is: after any failure that may pass, ask again.
    Safe,
    /// It is not: ask again only when the service cannot have done it.
    Unsafe,
}

/// Why a service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {reason}")]
pub struct SendError {
    pub kind: SendErrorKind,
    doing: String,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorKind {
    /// It answered with this status; nothing was done.
    Refused(StatusCode),
    /// It was not reached, or said to come again; nothing was done.
    Unreachable,
    /// It may have done what it was asked: its answer was lost.
    Lost,
    /// Its answer makes no sense to us.
    Unexpected,
    /// What is needed to talk to it is missing here: a secret, an authority.
    Unready,
}

impl SendError {
    pub fn new(kind: SendErrorKind, doing: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { kind, doing: doing.into(), reason: reason.into() }
    }

    /// True when the service works and refused this one thing, so that the next one may be accepted.
    pub fn is_about_this_report(&self) -> bool {
        match self.kind {
            SendErrorKind::Refused(status) => !matches!(status.as_u16(), 401 | 403 | 404),
            SendErrorKind::Unexpected => true,
            SendErrorKind::Unreachable | SendErrorKind::Lost | SendErrorKind::Unready => false,
        }
    }

    /// The same, and what it means or asks for.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.reason = format!("{}; {hint}", self.reason);
        self
    }

    /// The status of a refusal.
    pub fn status(&self) -> Option<StatusCode> {
        match self.kind {
            SendErrorKind::Refused(status) => Some(status),
            _ => None,
        }
    }
}

impl Service {
    pub fn new(endpoint: &Endpoint) -> Result<Self, SendError> {
        let failed = |reason: String| {
            let doing = match &endpoint.address {
                Address::Known(url) => format!("prepare to talk to {}", host(url)),
                Address::Secret(_) => "prepare to talk to the webhook".to_owned(),
            };
            SendError::new(SendErrorKind::Unready, doing, reason)
        };
        let base = match &endpoint.address {
            Address::Known(url) => url.clone(),
            Address::Secret(place) => {
                let text = place.read().map_err(failed)?;
                parse_address(text.expose_secret()).map_err(|reason| failed(format!("its URL {reason}")))?
            }
        };
        let authorization = match &endpoint.authorization {
            None => None,
            Some(Authorization::Bearer(token)) => Some(Right::Bearer(token.read().map_err(failed)?)),
            Some(Authorization::Basic { user, password }) => {
                Some(Right::Basic { user: user.clone(), password: password.read().map_err(failed)? })
            }
        };
        // A token must not follow to where an answer points.
        let mut builder = Client::builder()
            .user_agent(concat!("walproof/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT);
        if let Some(authority) = &endpoint.authority {
            let pem = match authority {
                Authority::File(file) => std::fs::read(file)
                    .map_err(|error| failed(format!("read the authorities in {}: {error}", file.display())))?,
                Authority::Pem(pem) => pem.clone(),
            };
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| failed(chain(&error)))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| failed(chain(&error.without_url())))?;
        let is_secret = matches!(endpoint.address, Address::Secret(_));
        Ok(Self { client, base, is_secret, authorization })
    }

    /// The address of `segments` below the service's own; each is escaped.
    pub fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The configured address itself.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Host and port, as a message may show them.
    pub fn host(&self) -> String {
        host(&self.base)
    }

    /// Sends what `request` makes, again where that may help. `doing` reads after "failed to".
    pub async fn send(
        &self,
        doing: &str,
        repeat: Repeat,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, SendError> {
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(8))
            .with_max_times(ATTEMPTS - 1)
            .with_jitter()
            .build();
        loop {
            let (error, after) = match self.attempt(doing, request(&self.client)).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let may_pass = match error.kind {
                SendErrorKind::Unreachable => true,
                SendErrorKind::Lost => repeat == Repeat::Safe,
                SendErrorKind::Refused(_) | SendErrorKind::Unexpected | SendErrorKind::Unready => false,
            };
            let Some(wait) = waits.next().filter(|_| may_pass) else { return Err(error) };
            let wait = after.unwrap_or(wait).min(LONGEST_WAIT);
            tracing::debug!("{error}; again in {wait:?}");
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, doing: &str, request: RequestBuilder) -> Result<Answer, (SendError, Option<Duration>)> {
        let request = match &self.authorization {
            None => request,
            Some(Right::Bearer(token)) => request.bearer_auth(token.expose_secret()),
            Some(Right::Basic { user, password }) => request.basic_auth(user, Some(password.expose_secret())),
        };
        let failed = |kind, reason: String| (SendError::new(kind, doing, reason), None);
        let response = request.send().await.map_err(|error| {
            let kind = if error.is_connect() { SendErrorKind::Unreachable } else { SendErrorKind::Lost };
            failed(kind, format!("{}: {}", host(&self.base), chain(&error.without_url())))
        })?;
        let status = response.status();
        let after = retry_after(&response);
        let body = read(response).await;
        if status.is_success() {
            // What it was asked is done, but what it said of it is not known.
            let body = body.map_err(|reason| failed(SendErrorKind::Lost, reason))?;
            return Ok(Answer { status, body });
        }
        let shown = if self.is_secret { String::new() } else { message(&body.unwrap_or_default()) };
        let reason = format!("{} answered {status}{shown}", host(&self.base));
        let kind = match status.as_u16() {
            429 => SendErrorKind::Unreachable,
            // A proxy that says so may have passed the request on.
            500 | 502 | 503 | 504 => SendErrorKind::Lost,
            _ => SendErrorKind::Refused(status),
        };
        let error = SendError::new(kind, doing, reason);
        Err((error, after))
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES => {
                return Err(format!("its answer is longer than {ANSWER_BYTES} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(format!("its answer broke off: {}", chain(&error.without_url()))),
        }
    }
}

/// Seconds, as every service here writes it; a date is left to our own back-off.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What an answer says, when it says something short: a JSON `message`, or text that is no page.
fn message(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) => json["message"].as_str().unwrap_or_default().to_owned(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return String::new();
    }
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARACTERS).collect();
    format!(": {shown}")
}

/// Host and port of an address, the rest of which may be a secret.
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests;

//! A Prometheus Pushgateway: one group for each source and command, without pod or run, because groups never expire.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prometheus::TEXT_FORMAT;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Url};

use super::http::{Repeat, SendError, Service};
use super::metrics::LABELS;
use crate::verdict::Subject;

/// The value of the label `job`.
const JOB: &str = "walproof";

/// The metrics of one source and command, as the gateway keeps them.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    pub command: Subject,
    pub namespace: Option<&'a str>,
    pub source: &'a str,
}

/// Makes `text` all that the gateway has of the group: a family that it does not name is gone.
pub async fn replace(service: &Service, group: &Group<'_>, text: &str) -> Result<(), SendError> {
    push(service, &Method::PUT, group, text).await
}

/// Replaces the families that `text` names, and keeps the others of the group: the last success, for one who does not
/// know it.
pub async fn update(service: &Service, group: &Group<'_>, text: &str) -> Result<(), SendError> {
    push(service, &Method::POST, group, text).await
}

/// Removes the group; one that is not there is removed already.
pub async fn delete(service: &Service, group: &Group<'_>) -> Result<(), SendError> {
    let url = url(service, group);
    let doing = format!("remove the metrics of {} from the Pushgateway", group.source);
    service.send(&doing, Repeat::Safe, |client| client.delete(url.clone())).await?;
    Ok(())
}

async fn push(service: &Service, method: &Method, group: &Group<'_>, text: &str) -> Result<(), SendError> {
    let url = url(service, group);
    let doing = format!("push the metrics of {} to the Pushgateway", group.source);
    let request = |client: &reqwest::Client| {
        client.request(method.clone(), url.clone()).header(CONTENT_TYPE, TEXT_FORMAT).body(text.to_owned())
    };
    service.send(&doing, Repeat::Safe, request).await?;
    Ok(())
}

fn url(service: &Service, group: &Group<'_>) -> Url {
    let values = [group.command.as_str(), group.namespace.unwrap_or_default(), group.source];
    let labels: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        LABELS.into_iter().zip(values).map(|(label, value)| pair(label, value)).collect();
    let mut segments = vec!["metrics", "job", JOB];
    segments.extend(labels.iter().flat_map(|(label, value)| [label.as_ref(), value.as_ref()]));
    service.url(&segments)
}

/// A label as two segments of the path. What a server or a proxy on the way may take for more than a name (a slash,
/// dots alone, nothing, an escape) goes in base64.
fn pair<'a>(label: &'a str, value: &'a str) -> (Cow<'a, str>, Cow<'a, str>) {
    let is_plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if is_plain && value.contains(|c| c != '.') {
        return (label.into(), value.into());
    }
    // The gateway's own sign for nothing: an empty segment would be lost.
    let encoded = if value.is_empty() { "=".to_owned() } else { URL_SAFE_NO_PAD.encode(value) };
    (format!("{label}@base64").into(), encoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_plain_name_goes_in_base64() {
        let cases = [
            ("pal-e-postgres", "cluster_name", "pal-e-postgres"),
            ("pg_16.prod", "cluster_name", "pg_16.prod"),
            ("", "cluster_name@base64", "="),
            (".", "cluster_name@base64", "Lg"),
            ("..", "cluster_name@base64", "Li4"),
            ("a/b", "cluster_name@base64", "YS9i"),
            ("a%2Fb", "cluster_name@base64", "YSUyRmI"),
            // Both of the characters in which the alphabets of base64 differ.
            ("ü?>", "cluster_name@base64", "w7w_Pg"),
        ];
        for (value, label, encoded) in cases {
            assert_eq!(pair("cluster_name", value), (label.into(), encoded.into()), "{value:?}");
        }
    }
}

//! A URL that gets the JSON report of each run: for other tools, and as a sign of life to somewhere that does not go
//! down with the cluster.

use reqwest::header::CONTENT_TYPE;

use super::http::{Repeat, SendError, Service};
use crate::report::Report;

/// Posts the report. It may arrive twice, known by its `run_id`.
pub async fn deliver(service: &Service, report: &Report) -> Result<(), SendError> {
    let doing = format!("post the report of run {} to {}", report.run_id, service.host());
    let body = report.json();
    service
        .send(&doing, Repeat::Safe, |client| {
            client.post(service.base().clone()).header(CONTENT_TYPE, "application/json").body(body.clone())
        })
        .await
        .map(|_| ())
}

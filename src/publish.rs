//! Telling people: metrics, an issue, a webhook. All of it knows a finished report and the history, and none of it ever
//! changes a verdict.

pub mod http;
pub mod markdown;

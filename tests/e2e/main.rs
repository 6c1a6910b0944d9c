//! The drill on a real Kubernetes with CloudNativePG and MinIO, any that KUBECONFIG leads to and that has the sources
//! of the lab. It runs there as docs/kubernetes installs it: as its own service account, with exactly those
//! permissions. One case a file; the list below is the promise. `make e2e` runs them one after another, the audit log's
//! last.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stderr, reason = "a guard that cannot clean up can only say so")]

mod drill_pod;
#[path = "../support/fenced.rs"]
mod fenced;
mod forward;
mod installation;
mod instructions;
#[path = "../support/json_pointer.rs"]
mod json_pointer;
mod judged;
mod kubectl;
#[path = "../support/process.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod process;
mod release;
mod sandbox;
mod source;
mod store;

mod app_check;
mod audit_log;
mod baseline_unread;
mod busy_source;
mod chart;
mod chart_killed;
mod chart_source_down;
mod idle_source;
mod killed;
mod outside;
mod panicked;
mod plugin_source;
mod production_key;
mod published;
mod quota_full;
mod segment_deleted;
mod stopped;
mod store_blocked;
mod write_access;
mod wrong_image;

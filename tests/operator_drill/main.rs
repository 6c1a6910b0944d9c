//! Drills in the operator's sandbox, in this process: against the API server in memory, with an archive that the real
//! barman wrote and a real restored PostgreSQL. What only a real cluster can show is in tests/e2e.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;
mod trial;

mod cancelled_at_every_request;
mod every_request_fails;
mod leftovers;
mod restores;

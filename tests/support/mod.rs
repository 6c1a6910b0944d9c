//! What tests, examples and the benchmark share: a real PostgreSQL, the real barman, an S3 server in this process,
//! archives to break, and the walproof binary itself. Nothing here passes by not running: what is missing panics with
//! the line that installs it.
#![allow(dead_code, reason = "each test binary and each example uses its own part")]
#![allow(unused_imports, reason = "each test binary and each example uses its own part")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::missing_panics_doc, reason = "in a test a panic is the report")]

pub mod archive;
pub mod barman;
pub mod certificates;
pub mod faults;
pub mod json_pointer;
pub mod kubernetes;
pub mod page;
pub mod postgres;
pub mod prepared;
pub mod process;
pub mod pushgateway;
pub mod reports;
pub mod s3;
pub mod serving;
pub mod walproof;

pub use archive::ArchiveCopy;
pub use barman::Barman;
pub use faults::{Fault, Operation};
pub use postgres::Postgres;
pub use prepared::Prepared;
pub use s3::S3;
pub use walproof::{Outcome, Walproof};

use std::path::PathBuf;

/// The repository's root.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The profile's directory below `target`, where the walproof binary lies (`target/debug`).
pub fn profile_directory() -> PathBuf {
    // Test binaries lie in target/<profile>/deps, examples in target/<profile>/examples.
    let executable = std::env::current_exe().unwrap();
    executable.parent().unwrap().parent().unwrap().to_path_buf()
}

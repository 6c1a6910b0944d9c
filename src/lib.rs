//! walproof proves that a PostgreSQL database comes back from its barman-cloud archive.
//!
//! The modules, in suggested reading order: [`finding`] and [`verdict`] are the heart; [`archive`] knows an object
//! store; [`source`] reads the baseline; [`target`] chooses where to stop; [`sandbox`] restores; [`probe`] compares;
//! [`drill`] and [`check`] are the recipes; [`report`] is what people and programs get.

pub mod finding;
pub mod report;
pub mod verdict;

pub mod config;
pub mod plan;

pub mod archive;
pub mod fingerprint;
pub mod probe;
pub mod sandbox;
pub mod source;
pub mod target;

pub mod check;
pub mod drill;
pub mod run;

pub mod gate;
pub mod history;
pub mod publish;

mod authority;
pub mod cli;
pub mod cnpg;
pub mod error;
mod json;
pub mod kubernetes;
pub mod postgres;
pub mod telemetry;
pub mod whole_file;

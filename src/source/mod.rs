//! The source: the production server whose backups are on trial. It is only ever asked, in read-only transactions.

pub mod access;
pub mod answers;
pub mod archiver;
pub mod baseline;
pub mod capture;
pub mod catalog;
pub mod cluster;
mod content;
mod count;
pub mod endpoint;
#[cfg(test)]
pub mod fixture;
pub mod gates;
mod holder;
pub mod migrations;
pub mod reach;
mod role;
pub mod sequences;
mod server;
pub mod shrinkage;
pub mod snapshot;
mod tables;
pub mod transactions;

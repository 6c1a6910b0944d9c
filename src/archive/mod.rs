//! The archive: one barman-cloud prefix of one server name in an object store. Knows neither Kubernetes nor a running
//! PostgreSQL.

pub mod backup_info;
pub mod compression;
pub mod gaps;
pub mod inventory;
pub mod layout;
pub mod python_literal;
pub mod reader;
pub mod sample;
pub mod store;
pub mod timeline;
pub mod wal;
pub mod wal_listing;
pub mod wal_records;
pub mod write_probe;

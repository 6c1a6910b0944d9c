//! A table whose pages, rows or values out of line are damaged.

use crate::finding::{Blame, Code, Finding};

/// `message` says where.
pub fn damaged(database: &str, table: &str, message: String) -> Finding {
    Finding::failed(Code::IntegrityTable, Blame::Backups, format!("{table} of {database} is damaged inside"))
        .of(format!("{database}: {table}"))
        .expected("every page, row and value out of line as PostgreSQL writes them")
        .observed(message)
        .hint(
            "make a new base backup now and keep this one; run `pg_amcheck --install-missing` on a standby of the \
             source: where it finds the same, the source's disk is at fault and every backup holds it",
        )
}

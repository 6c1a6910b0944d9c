//! Is the schema the source's: tables, columns, constraints, indexes, views, functions, triggers, types, extensions and
//! whatever else a database's catalogs define?

use super::catalog::{self, Restored};
use super::{Compared, Found};
use crate::finding::{Code, Finding};

/// Compares one database with what [`catalog::read`] brought.
pub fn probe(compared: &Compared<'_>, restored: &Restored) -> Found {
    let database = &compared.database.name;
    let Some(expected) = &compared.database.catalog else {
        let summary = "the baseline does not hold the schema";
        return Found::only(Finding::not_checked(Code::SchemaObjects, summary).of(database));
    };
    catalog::objects(Code::SchemaObjects, expected, restored, compared.judging(database))
}

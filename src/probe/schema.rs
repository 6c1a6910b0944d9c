//! Is the schema the source's: tables, columns, constraints, indexes, views, functions, triggers, types, extensions and
//! whatever else a database's catalogs define?

use super::catalog::{self, Restored};
use super::{Compared, Found};
use crate::finding::{Code, Finding};

/// Compares one database with what [`catalog::read`] brought.
pub fn probe(compared: &Compared<'_>, restored: &Restored) -> Found {
    match &compared.database.catalog {
        Some(expected) => {
            catalog::objects(Code::SchemaObjects, expected, restored, compared.judging(&compared.database.name))
        }
        None => Found::only(
            Finding::not_checked(Code::SchemaObjects, "the baseline does not hold the schema")
                .of(&compared.database.name),
        ),
    }
}

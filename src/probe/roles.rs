//! Are roles, memberships, settings, owners, grants and row-level security the source's? Nothing here needs a password.

use super::catalog::{self, Restored};
use super::{Compared, Found};
use crate::finding::{Code, Finding};
use crate::source::catalog::{Side, of_server};

/// What findings call all that databases share.
const SERVER: &str = "the server";

/// Compares owners and grants of one database with what [`catalog::read`] brought.
pub fn probe(compared: &Compared<'_>, restored: &Restored) -> Found {
    let database = &compared.database.name;
    let Some(expected) = &compared.database.catalog else {
        let summary = "the baseline does not hold owners and grants";
        return Found::only(Finding::not_checked(Code::RolePrivileges, summary).of(database));
    };
    catalog::privileges(Code::RolePrivileges, expected, restored, compared.judging(database))
}

/// Compares what the databases share: roles, memberships, settings and databases, then their owners and grants. The
/// baseline read them under the snapshot of its first database, which is the one that must be given.
pub async fn shared(compared: &Compared<'_>) -> (Found, Found) {
    let Some(expected) = &compared.baseline.server.catalog else {
        let not_checked =
            |code| Found::only(Finding::not_checked(code, "the baseline does not hold the server's roles"));
        return (not_checked(Code::RoleDefinition), not_checked(Code::RolePrivileges));
    };
    let questions = of_server(compared.baseline.server.version_number, Side::Restored);
    let restored = catalog::read(compared.client, &questions, Some(expected), compared.certificate).await;
    let judging = compared.judging(SERVER);
    (
        catalog::objects(Code::RoleDefinition, expected, &restored, judging),
        catalog::privileges(Code::RolePrivileges, expected, &restored, judging),
    )
}

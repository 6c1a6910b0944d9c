//! Do the roles that own tables reach them, as on the source? A superuser misses no grant; these roles do.

use super::{Compared, Found, not_asked};
use crate::finding::{Blame, Code, Finding};
use crate::report::text::count;
use crate::source::access::{self, Access, RoleAccess};

/// Compares the roles of the baseline in one database. Those that are not there are for `server.objects`.
pub async fn probe(compared: &Compared<'_>) -> Found {
    let database = compared.database;
    let oids: Vec<u32> = database.access.iter().map(|role| role.oid).collect();
    let restored = match access::read(compared.client, Some(&oids)).await {
        Ok(restored) => restored,
        Err(error) => {
            return Found { compared: 0, findings: vec![not_asked(Code::ServerRoleAccess, &error).of(&database.name)] };
        }
    };
    let mut found = Found::default();
    for expected in &database.access {
        found.compared += 1;
        found.findings.extend(judge(&database.name, expected, &restored, compared.is_settled()));
    }
    found
}

/// Judges one role. `is_settled` says that no grant could change between the baseline's reading and the stop.
pub fn judge(database: &str, expected: &RoleAccess, restored: &Access, is_settled: bool) -> Option<Finding> {
    let observed = restored.roles.iter().find(|role| role.oid == expected.oid)?;
    let role = &expected.role;
    let object = format!("{database}: {role}");
    let missed = |role: &RoleAccess| role.tables.saturating_sub(role.reached);
    let tables = |number| count(number, "table", "tables");
    let text = |access: &RoleAccess| {
        let connects = if access.connects { "" } else { ", and may not connect" };
        format!("reaches {} of its {}{connects}", access.reached, tables(access.tables))
    };
    let loses_connection = expected.connects && !observed.connects;
    if loses_connection || missed(observed) > missed(expected) {
        let table = restored.out_of_reach.iter().find(|(oid, _)| *oid == expected.oid);
        let table = table.map_or(String::new(), |(_, table)| format!(", not {table}"));
        let summary = format!("role {role} does not reach in {database} what is its own");
        let finding = if is_settled {
            Finding::failed(Code::ServerRoleAccess, Blame::Backups, summary)
                .hint("the backup is not what the source held: make a new base backup, keep this one for analysis")
        } else {
            let summary = format!("{summary}; a transaction beside the baseline may explain it");
            Finding::not_checked(Code::ServerRoleAccess, summary)
                .hint("run the drill again; at a quieter time nothing else can explain it")
        };
        return Some(finding.of(object).expected(text(expected)).observed(text(observed) + &table));
    }
    (missed(observed) > 0).then(|| {
        let summary = format!("role {role} does not reach {} of its own, on the source too", tables(missed(observed)));
        Finding::note(Code::ServerRoleAccess, summary).of(object)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Outcome;

    fn role(connects: bool, tables: u64, reached: u64) -> RoleAccess {
        RoleAccess { role: "app".to_owned(), oid: 16_384, connects, tables, reached }
    }

    fn judged(expected: &RoleAccess, observed: RoleAccess, is_settled: bool) -> Option<Finding> {
        let restored = Access {
            roles: vec![observed],
            out_of_reach: vec![(16_384, "public.notes".to_owned())],
            ..Access::default()
        };
        judge("shop", expected, &restored, is_settled)
    }

    #[test]
    fn a_role_that_reaches_less_than_on_the_source_is_the_backups_fault() {
        for observed in [role(true, 5, 3), role(false, 5, 5)] {
            let finding = judged(&role(true, 5, 5), observed, true).unwrap();
            assert!(finding.blames_backups(), "{finding:?}");
        }
        let finding = judged(&role(true, 5, 5), role(true, 5, 3), true).unwrap();
        assert_eq!(finding.observed.as_deref(), Some("reaches 3 of its 5 tables, not public.notes"));
    }

    #[test]
    fn a_grant_that_may_have_changed_meanwhile_blames_nobody() {
        let finding = judged(&role(true, 5, 5), role(true, 5, 3), false).unwrap();
        assert_eq!(finding.outcome, Outcome::NotChecked);
    }

    #[test]
    fn what_the_source_does_not_reach_either_is_a_note() {
        assert_eq!(judged(&role(true, 5, 3), role(true, 5, 3), true).unwrap().outcome, Outcome::Note);
        assert_eq!(judged(&role(false, 5, 5), role(false, 5, 5), true), None);
    }

    #[test]
    fn a_table_that_is_gone_or_has_another_owner_is_for_other_probes() {
        assert_eq!(judged(&role(true, 5, 5), role(true, 4, 4), true), None);
        assert_eq!(judge("shop", &role(true, 5, 5), &Access::default(), true), None);
    }
}

use super::*;
use crate::finding::{Finding, Outcome};

const DATABASE: &str = "shop";

/// Kind, name, definition.
type Given<'a> = (&'static str, &'a str, &'a str);

fn catalog(objects: &[Given], privileges: &[Given]) -> Catalog {
    let section = |given: &[Given]| {
        let mut section = Section::default();
        for kind in ["schema", "table", "column", "extension", "policy"] {
            let of_kind = given.iter().filter(|(of, ..)| *of == kind);
            let facts = of_kind.map(|&(_, name, definition)| (name.to_owned(), definition.to_owned()));
            section.facts.insert(kind.to_owned(), facts.collect());
        }
        section
    };
    Catalog { objects: section(objects), privileges: section(privileges) }
}

fn restored(objects: &[Given], privileges: &[Given], writer: Writer) -> Restored {
    let Catalog { objects, privileges } = catalog(objects, privileges);
    let answers = |section: Section| {
        let kinds = ["schema", "table", "column", "extension", "policy"].into_iter().map(|kind| {
            let facts = section.facts[kind].clone().into_iter();
            (kind, facts.map(|(name, definition)| (name, Fact { definition, writer })).collect())
        });
        Answers { facts: kinds.collect(), ..Answers::default() }
    };
    Restored { objects: answers(objects), privileges: answers(privileges) }
}

fn judging() -> Judging<'static> {
    Judging { place: DATABASE, committed: 0, by_operator: false }
}

fn compared(expected: &[Given], observed: &[Given], writer: Writer, judging: Judging) -> Vec<Finding> {
    let restored = restored(observed, &[], writer);
    objects(Code::SchemaObjects, &catalog(expected, &[]), &restored, judging).findings
}

#[track_caller]
fn only(findings: &[Finding]) -> &Finding {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    &findings[0]
}

const BALANCE: Given = ("column", "public.accounts.balance", "numeric(12,2) not null");
const ACCOUNTS: Given = ("table", "public.accounts", "");

#[test]
fn equal_catalogs_are_counted_and_nothing_is_said() {
    let all = [ACCOUNTS, BALANCE];
    for writer in [Writer::Source, Writer::Beyond, Writer::Copy] {
        let found = objects(Code::SchemaObjects, &catalog(&all, &[]), &restored(&all, &[], writer), judging());
        assert_eq!(found, Found { compared: 2, findings: Vec::new() });
    }
}

#[test]
fn a_change_is_told_by_both_definitions() {
    let changed = ("column", "public.accounts.balance", "numeric(12,2)");
    let findings = compared(&[ACCOUNTS, BALANCE], &[ACCOUNTS, changed], Writer::Source, judging());
    let finding = only(&findings);
    assert!(finding.blames_backups());
    assert_eq!(finding.summary, "column public.accounts.balance of shop is not as it was");
    assert_eq!(finding.expected.as_deref(), Some("public.accounts.balance: numeric(12,2) not null"));
    assert_eq!(finding.observed.as_deref(), Some("public.accounts.balance: numeric(12,2)"));
}

#[test]
fn what_belongs_to_a_missing_table_is_not_missed_again() {
    let expected = catalog(&[ACCOUNTS, BALANCE], &[ACCOUNTS, ("policy", "public.accounts.own", "for select")]);
    let restored = restored(&[], &[], Writer::Source);
    let found = objects(Code::SchemaObjects, &expected, &restored, judging());
    assert_eq!(only(&found.findings).object.as_deref(), Some("shop: table public.accounts"));
    assert_eq!(privileges(Code::RolePrivileges, &expected, &restored, judging()).findings, []);
}

#[test]
fn a_missing_policy_of_a_table_that_is_there_is_missed() {
    let expected = catalog(&[ACCOUNTS], &[("policy", "public.accounts.own", "for select")]);
    let found = privileges(Code::RolePrivileges, &expected, &restored(&[ACCOUNTS], &[], Writer::Source), judging());
    assert_eq!(only(&found.findings).summary, "policy public.accounts.own of shop is missing");
    assert!(found.findings[0].blames_backups());
}

#[test]
fn a_changed_grant_is_told_as_such() {
    let expected = catalog(&[ACCOUNTS], &[("table", "public.accounts", "owner shop; auditor may SELECT by shop")]);
    let observed = restored(&[ACCOUNTS], &[("table", "public.accounts", "owner shop")], Writer::Source);
    let found = privileges(Code::RolePrivileges, &expected, &observed, judging());
    assert_eq!(only(&found.findings).summary, "owner and grants of table public.accounts of shop are not as they were");
}

#[test]
fn what_only_the_copy_wrote_is_no_difference() {
    assert_eq!(compared(&[], &[ACCOUNTS, BALANCE], Writer::Copy, judging()), []);
}

#[test]
fn what_the_source_did_not_have_is_the_backups_fault() {
    let findings = compared(&[], &[("schema", "old", "")], Writer::Source, judging());
    assert!(only(&findings).blames_backups());
}

#[test]
fn what_the_copy_has_changed_can_no_longer_be_compared() {
    let changed = ("column", "public.accounts.balance", "numeric(14,2) not null");
    let findings = compared(&[BALANCE], &[changed], Writer::Copy, judging());
    assert_eq!(only(&findings).outcome, Outcome::NotChecked);
}

#[test]
fn with_transactions_beyond_the_baseline_a_loss_is_not_checked_and_their_own_work_a_note() {
    let judging = Judging { committed: 3, ..judging() };
    let findings = compared(&[ACCOUNTS], &[], Writer::Source, judging);
    assert_eq!(only(&findings).outcome, Outcome::NotChecked);
    let findings = compared(&[], &[ACCOUNTS], Writer::Beyond, judging);
    assert_eq!(only(&findings).outcome, Outcome::Note);
    let findings = compared(&[], &[ACCOUNTS], Writer::Source, judging);
    assert_eq!(only(&findings).outcome, Outcome::NotChecked);
}

#[test]
fn an_extension_that_the_operator_drops_is_a_note_only_where_there_was_an_operator() {
    let statements = ("extension", "pg_stat_statements", "version 1.10 in schema public");
    let by_operator = Judging { by_operator: true, ..judging() };
    assert_eq!(only(&compared(&[statements], &[], Writer::Source, by_operator)).outcome, Outcome::Note);
    assert!(only(&compared(&[statements], &[], Writer::Source, judging())).blames_backups());
    let citext = ("extension", "citext", "version 1.6 in schema public");
    assert!(only(&compared(&[citext], &[], Writer::Source, by_operator)).blames_backups());
}

#[test]
fn what_lies_in_a_schema_named_like_a_dropped_extension_is_missed() {
    let log = ("table", "pgaudit.log", "");
    let findings = compared(
        &[("extension", "pgaudit", "version 1.7 in schema public"), log],
        &[],
        Writer::Source,
        Judging { by_operator: true, ..judging() },
    );
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(findings.iter().any(|finding| finding.object.as_deref() == Some("shop: table pgaudit.log")));
}

#[test]
fn a_thousand_differences_are_one_finding() {
    let names: Vec<String> = (0..1000).map(|number| format!("public.table{number:04}")).collect();
    let expected: Vec<Given> = names.iter().map(|name| ("table", name.as_str(), "")).collect();
    let findings = compared(&expected, &[], Writer::Source, judging());
    let finding = only(&findings);
    assert_eq!(finding.summary, "1000 tables of shop are missing");
    assert!(finding.expected.as_ref().unwrap().ends_with("public.table0009; and 990 more"));
}

#[test]
fn of_too_many_objects_the_sum_must_agree() {
    let digest = |sum: &str| Digest { objects: 200_000, sum: sum.to_owned() };
    let outcome = |observed: &str, by_copy: u64, committed: u64| {
        let (mut expected, mut restored) = (catalog(&[], &[]), restored(&[], &[], Writer::Source));
        expected.objects.digests.insert("index".to_owned(), digest("17"));
        restored.objects.digests.insert("index", (digest(observed), by_copy));
        let judging = Judging { committed, ..judging() };
        let found = objects(Code::SchemaObjects, &expected, &restored, judging);
        (found.compared, found.findings.first().map(|finding| (finding.outcome, finding.blames_backups())))
    };
    assert_eq!(outcome("17", 3, 0), (200_000, None));
    assert_eq!(outcome("18", 0, 0), (0, Some((Outcome::Failed, true))));
    assert_eq!(outcome("18", 1, 0), (0, Some((Outcome::NotChecked, false))));
    assert_eq!(outcome("18", 0, 1), (0, Some((Outcome::NotChecked, false))));
}

#[test]
fn a_kind_that_was_not_read_on_either_side_is_not_checked() {
    let mut expected = catalog(&[ACCOUNTS], &[]);
    expected.objects.facts.remove("column");
    expected.objects.not_read.insert("column".to_owned(), "it was locked".to_owned());
    let mut observed = restored(&[ACCOUNTS], &[], Writer::Source);
    observed.objects.facts.remove("table");
    observed.objects.not_read.insert("table", "XX000: cache lookup failed".to_owned());
    let findings = objects(Code::SchemaObjects, &expected, &observed, judging()).findings;
    let said: Vec<(Outcome, &str)> = findings.iter().map(|found| (found.outcome, found.summary.as_str())).collect();
    assert_eq!(
        said,
        [
            (Outcome::NotChecked, "the baseline does not hold the columns of shop: it was locked"),
            (Outcome::NotChecked, "the restored server did not tell the tables of shop: XX000: cache lookup failed"),
        ]
    );
}

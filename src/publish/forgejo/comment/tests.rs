use super::*;
use crate::finding::Code;
use crate::publish::forgejo::fixture::{drill, failed, inconclusive};
use crate::publish::forgejo::shown::shown;

const ATTACHED: Whole = Whole { attached: Some("walproof-20261121t020000z-a1b2c3.json"), in_history: true };
const INLINE: Whole = Whole { attached: None, in_history: true };

fn mention() -> Vec<String> {
    vec!["ops/oncall".to_owned(), "alice".to_owned()]
}

#[test]
fn a_pass_says_what_was_proven_and_mentions_nobody() {
    insta::assert_snapshot!(text(&drill(Verdict::Pass, &[], Vec::new()), &mention(), ATTACHED));
}

#[test]
fn a_fail_says_what_broke_whose_fault_it_is_and_what_to_do() {
    insta::assert_snapshot!(text(&failed(), &mention(), ATTACHED));
}

#[test]
fn an_inconclusive_run_says_nothing_against_the_backups() {
    insta::assert_snapshot!(text(&inconclusive(), &[], ATTACHED));
}

#[test]
fn the_report_stands_in_the_comment_when_it_is_not_attached_and_there_is_room() {
    let mut report = failed();
    report.findings[0].summary = "```\n</details>".to_owned();
    let comment = text(&report, &[], INLINE);
    let (_, inline) = comment.split_once("<details><summary>The whole report as JSON</summary>\n\n````json\n").unwrap();
    let (json, _) = inline.split_once("````\n\n</details>").unwrap();
    assert_eq!(serde_json::from_str::<Report>(json).unwrap(), report);

    report.left_behind = vec!["x".repeat(100); 1000];
    let comment = text(&report, &[], INLINE);
    assert!(comment.contains("is in walproof's history"), "{comment}");
    assert!(text(&report, &[], Whole { in_history: false, ..INLINE }).contains("is what the run printed"));
}

#[test]
fn whatever_comes_in_the_comment_has_its_limits_and_its_verdict() {
    let evil = "|<@#`\u{1b}\u{202e}ü".repeat(1000);
    let finding = |code, outcome: fn(Code, String) -> Finding| {
        outcome(code, evil.clone()).of(&evil).expected(&evil).observed(&evil).hint(&evil)
    };
    let fail = |code, summary: String| Finding::failed(code, Blame::Backups, summary);
    let note = |code, summary: String| Finding::note(code, summary);
    for number in [20, 200] {
        let mut findings = vec![finding(Code::WalGap, fail); number];
        findings.extend(vec![finding(Code::BackupUnsafeMember, note); 10]);
        let mut report = drill(Verdict::Fail, &[], findings);
        report.source.clone_from(&evil);
        report.archive.clone_from(&evil);
        report.walproof_version.clone_from(&evil);
        report.left_behind = vec![evil.clone(); 100];
        let restore = report.restore.as_mut().unwrap();
        (restore.target, restore.stopped, restore.backup) = (evil.clone(), Some(evil.clone()), evil.clone());
        (restore.first_segment_replayed, restore.last_segment_replayed) = (Some(evil.clone()), Some(evil.clone()));
        restore.deviations = vec![evil.clone(); 100];
        restore.phases.iter_mut().for_each(|phase| phase.name.clone_from(&evil));
        let comment = text(&report, &vec!["a".repeat(200); 100], INLINE);
        assert!(comment.len() <= LIMIT, "{} bytes", comment.len());
        assert!(comment.lines().nth(1).unwrap().starts_with("**FAIL**: drill of "), "{comment}");
        assert!(comment.contains("more did not and are in the whole report"), "{comment}");
        assert!(!comment.contains("<@") && !comment.contains('\u{1b}') && !comment.contains('\u{202e}'));
    }
}

#[test]
fn what_the_database_holds_stays_out_of_the_comment_and_its_report() {
    let secret = "alice@example.org";
    let app = Finding::failed(Code::AppCheck, Blame::Unknown, "the application's own check failed")
        .observed(format!("exit code 1; no row for {secret}"));
    let log = Finding::failed(Code::ServerUp, Blame::Environment, "it did not come up")
        .observed(format!("FATAL: x | DETAIL: Key (email)=({secret})"));
    let report = drill(Verdict::Inconclusive, &[Code::AppCheck], vec![app, log]);
    assert!(!text(&shown(&report, false), &[], INLINE).contains("alice"));
    assert!(text(&shown(&report, true), &[], INLINE).contains("alice"));
}

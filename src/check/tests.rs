//! Tables of judgements: what a listing alone may say, and what the source's word adds.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{backups, freshness, wal};
use crate::archive::compression::Compression;
use crate::archive::inventory::Inventory;
use crate::archive::inventory::fixture::{SIZE, inventory, now};
use crate::archive::timeline::History;
use crate::archive::wal::{Lsn, Segment, Timeline};
use crate::archive::wal_listing::{Extent, HistoryObject};
use crate::config::Config;
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::plan::{Plan, Secrets};
use crate::source::archiver::Archiver;

fn plan() -> Plan {
    let text = "sources:\n- name: s\n  archive: {s3: {url: s3://b/, serverName: s, endpoint: 'http://127.0.0.1:1', \
                credentials: ambient}}\n  freshness: {maxWalAge: 15m, maxBackupAge: 26h}\n";
    let config = Config::parse(text, "test.yaml").unwrap();
    Plan::for_source(&config, None, Secrets::LeaveUnread).unwrap()
}

/// A source that writes segment `current` of timeline 1 and is well.
fn source(current: u64) -> Archiver {
    Archiver {
        observed_at: now(),
        in_recovery: false,
        current_lsn: Lsn(current * SIZE.bytes() + 0x100),
        current_segment: Segment { timeline: Timeline(1), number: current }.name(SIZE),
        timeline: Timeline(1),
        archive_mode: "on".into(),
        last_archived_segment: None,
        last_archived_at: None,
        failed_count: 0,
        last_failed_segment: None,
        last_failed_at: None,
        ready_count: Some(0),
        oldest_ready_at: None,
    }
}

fn stale(inventory: &Inventory, archiver: Option<&Archiver>, minutes: i64) -> (Outcome, Option<Blame>) {
    let later = now() + SignedDuration::from_mins(minutes);
    let findings = freshness::judge(&plan(), inventory, archiver, later);
    let finding = findings.into_iter().find(|finding| finding.code == Code::WalStale).unwrap();
    (finding.outcome, finding.blame)
}

#[test]
fn from_the_store_alone_old_wal_is_nobodys_fault() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=9)]);
    assert_eq!(stale(&inventory, None, 5), (Outcome::Passed, None));
    assert_eq!(stale(&inventory, None, 60), (Outcome::Failed, Some(Blame::Unknown)));
}

#[test]
fn wal_from_the_future_has_no_age() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=9)]);
    assert_eq!(stale(&inventory, None, -4), (Outcome::Passed, None), "clocks are never quite equal");
    assert_eq!(stale(&inventory, None, -60), (Outcome::NotChecked, None));
    assert_eq!(stale(&inventory, Some(&source(14)), -60), (Outcome::NotChecked, None));
    assert_eq!(stale(&inventory, Some(&source(10)), -60), (Outcome::Passed, None), "nothing is missing at any time");
}

#[test]
fn an_idle_source_whose_finished_segments_are_all_there_is_not_stale() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=9)]);
    assert_eq!(stale(&inventory, Some(&source(10)), 600), (Outcome::Passed, None));
}

fn minutes_later(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

#[test]
fn finished_segments_that_wait_for_long_are_the_backups_fault() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=9)]);
    let waiting = |since| Archiver {
        observed_at: minutes_later(60),
        ready_count: Some(4),
        oldest_ready_at: Some(minutes_later(since)),
        ..source(14)
    };
    assert_eq!(stale(&inventory, Some(&source(14)), 5), (Outcome::Passed, None), "the newest is fresh");
    assert_eq!(stale(&inventory, Some(&waiting(2)), 60), (Outcome::Failed, Some(Blame::Backups)));
    assert_eq!(stale(&inventory, Some(&waiting(59)), 60), (Outcome::Passed, None), "a burst after an idle time");
    let silent = Archiver { ready_count: None, ..source(14) };
    assert_eq!(stale(&inventory, Some(&silent), 60), (Outcome::NotChecked, None));
}

#[test]
fn what_the_source_believes_archived_must_be_there() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=9)]);
    let archived = |number, minutes| Archiver {
        observed_at: minutes_later(60),
        last_archived_segment: Some(Segment { timeline: Timeline(1), number }.name(SIZE)),
        last_archived_at: Some(minutes_later(minutes)),
        ..source(14)
    };
    assert_eq!(stale(&inventory, Some(&archived(13, 30)), 60), (Outcome::Failed, Some(Blame::Backups)));
    assert_eq!(stale(&inventory, Some(&archived(9, 30)), 60), (Outcome::Passed, None));
}

/// Timeline 2 forks off in segment 9; its history was stored with everything else.
fn after_failover() -> Inventory {
    let mut inventory = inventory(&[(1, 3)], &[(1, 3..=9)]);
    let history =
        HistoryObject { key: "wals/00000002.history".into(), compression: Compression::None, modified: now() };
    inventory.wal.histories.insert(Timeline(2), history);
    let text = format!("1\t{}\tno recovery target specified\n", Lsn(9 * SIZE.bytes() + 0x500));
    inventory.histories.insert(Timeline(2), History::parse(Timeline(2), &text).map_err(|defect| defect.to_string()));
    inventory
}

#[test]
fn fresh_wal_of_an_old_timeline_is_not_the_sources() {
    // A zombie primary keeps archiving timeline 1, the source is on timeline 2.
    let waiting = |since| Archiver {
        timeline: Timeline(2),
        observed_at: minutes_later(60),
        oldest_ready_at: Some(minutes_later(since)),
        ..source(12)
    };
    assert_eq!(stale(&after_failover(), Some(&waiting(2)), 60), (Outcome::Failed, Some(Blame::Backups)));
    assert_eq!(stale(&after_failover(), Some(&waiting(59)), 60), (Outcome::Passed, None), "they are under way");
}

#[test]
fn right_after_a_failover_nothing_is_stale() {
    let promoted = Archiver { timeline: Timeline(2), ..source(9) };
    assert_eq!(stale(&after_failover(), Some(&promoted), 60), (Outcome::Passed, None));
    let before_its_history = inventory(&[(1, 3)], &[(1, 3..=9)]);
    assert_eq!(stale(&before_its_history, Some(&promoted), 1), (Outcome::NotChecked, None));
}

fn gap_finding(inventory: &Inventory, confirmed: bool, minutes: i64) -> Option<Finding> {
    let mut inventory = inventory.clone();
    inventory.taken_at = now() + SignedDuration::from_mins(minutes);
    let gaps = wal::gaps(&inventory, Timeline(1));
    let confirmed: BTreeSet<u64> = gaps.iter().filter(|_| confirmed).map(|gap| gap.first).collect();
    let findings = wal::judge(&plan(), &inventory, Timeline(1), None, &confirmed);
    findings.into_iter().find(|finding| finding.code == Code::WalGap)
}

#[test]
fn a_gap_fails_only_when_confirmed_and_old() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=4), (1, 6..=9)]);
    let outcome = |confirmed, minutes| gap_finding(&inventory, confirmed, minutes).unwrap().outcome;
    assert_eq!(outcome(true, 60), Outcome::Failed);
    assert_eq!(outcome(true, 5), Outcome::Note, "segments archived in parallel overtake one another");
    assert_eq!(outcome(false, 60), Outcome::Note, "a second listing showed it");
    assert_eq!(gap_finding(&inventory, true, 60).unwrap().object.as_deref(), Some("000000010000000000000005"));
}

#[test]
fn a_gap_before_the_oldest_backup_is_none() {
    let inventory = inventory(&[(1, 5)], &[(1, 1..=2), (1, 5..=9)]);
    assert_eq!(gap_finding(&inventory, true, 60).unwrap().outcome, Outcome::Passed);
}

#[test]
fn a_gap_that_only_older_moments_need_is_a_gap_all_the_same() {
    let inventory = inventory(&[(1, 3), (1, 7)], &[(1, 3..=4), (1, 6..=9)]);
    let finding = gap_finding(&inventory, true, 60).unwrap();
    assert!(finding.blames_backups());
    assert!(finding.observed.unwrap().contains("newer base backups do not need it"));
}

#[test]
fn the_wal_of_a_backup_that_has_just_ended_may_still_arrive() {
    // Backup 9 ended at 00:09:30; its segment is not there.
    let inventory = inventory(&[(1, 3), (1, 9)], &[(1, 3..=8)]);
    let judged = |at: &str, archiver: Option<&Archiver>| {
        let mut inventory = inventory.clone();
        inventory.taken_at = at.parse::<Timestamp>().unwrap();
        let confirmed = wal::gaps(&inventory, Timeline(1)).iter().map(|gap| gap.first).collect();
        let findings = wal::judge(&plan(), &inventory, Timeline(1), archiver, &confirmed);
        let about = |finding: &&Finding| finding.object.as_deref() == Some("20261121T000900");
        findings.iter().find(about).map(|finding| finding.outcome)
    };
    assert_eq!(judged("2026-11-21T00:15:00Z", Some(&source(10))), Some(Outcome::Note));
    assert_eq!(judged("2026-11-21T12:00:00Z", Some(&source(10))), Some(Outcome::Failed));
    // A standby's backup does not end the primary's segment, and an idle primary does not either.
    assert_eq!(judged("2026-11-21T12:00:00Z", Some(&source(9))), Some(Outcome::Note));
    assert_eq!(judged("2026-11-21T12:00:00Z", None), Some(Outcome::Note));
}

#[test]
fn a_later_base_backup_shows_that_an_earlier_ones_wal_was_finished() {
    let inventory = inventory(&[(1, 3), (1, 9)], &[]);
    let confirmed = wal::gaps(&inventory, Timeline(1)).iter().map(|gap| gap.first).collect();
    let findings = wal::judge(&plan(), &inventory, Timeline(1), None, &confirmed);
    let outcomes = |id: &str| {
        let about = findings.iter().find(|finding| finding.object.as_deref() == Some(id));
        about.map(|finding| finding.outcome)
    };
    assert_eq!(outcomes("20261121T000300"), Some(Outcome::Failed));
    assert_eq!(outcomes("20261121T000900"), Some(Outcome::Note), "its own may still come");
}

#[test]
fn backups_on_a_branch_that_was_left_lead_nowhere() {
    // Timeline 2 forked off in segment 9; the only backup was made on timeline 1 behind the fork.
    let mut lost = after_failover();
    lost.backups = inventory(&[(1, 11)], &[]).backups;
    let findings = wal::judge(&plan(), &lost, Timeline(2), None, &BTreeSet::new());
    assert!(
        findings.iter().any(|finding| finding.code == Code::BackupNone && finding.blames_backups()),
        "{findings:?}"
    );
}

#[test]
fn a_backup_that_ended_in_the_segment_of_a_fork_finds_it_on_the_new_timeline() {
    // A standby's backup ends in a segment that its primary never finished; the promoted server did.
    let mut forked = after_failover();
    forked.backups = inventory(&[(1, 9)], &[]).backups;
    forked.wal.timelines = inventory(&[], &[(1, 3..=8), (2, 9..=11)]).wal.timelines;
    assert_eq!(wal::gaps(&forked, Timeline(2)), []);
    let on = Archiver { timeline: Timeline(2), ..source(12) };
    let findings = wal::judge(&plan(), &forked, Timeline(2), Some(&on), &BTreeSet::new());
    assert!(!findings.iter().any(Finding::blames_backups), "{findings:?}");
}

#[test]
fn a_gap_before_a_fork_is_seen_before_the_new_timeline_has_wal() {
    let mut broken = after_failover();
    broken.wal.timelines = inventory(&[], &[(1, 3..=4), (1, 6..=9)]).wal.timelines;
    assert_eq!(wal::gaps(&broken, Timeline(2)).iter().map(|gap| gap.first).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_short_listing_does_not_prove_that_there_is_no_backup() {
    let mut seen = inventory(&[], &[(1, 3..=9)]);
    let outcome = |seen: &Inventory| backups::judge(seen, None)[0].outcome;
    assert_eq!(outcome(&seen), Outcome::Failed);
    seen.wal.extent = Extent::End;
    assert_eq!(outcome(&seen), Outcome::NotChecked, "only the newest two were looked at");
}

//! Tables of choices: inventories in a line, and what is chosen from them.

use super::*;
use crate::archive::inventory::fixture::{SIZE, inventory, now};
use crate::source::baseline::Server;
use crate::source::snapshot::Snapshot;

/// Timeline 2 forks off timeline 1 within segment `number`.
fn with_fork(mut inventory: Inventory, number: u64) -> Inventory {
    let text = format!("1\t{}\tno recovery target specified\n", Lsn(number * SIZE.bytes() + 0x500));
    inventory.histories.insert(Timeline(2), Ok(History::parse(Timeline(2), &text).unwrap()));
    inventory
}

fn baseline(timeline: u32, number: u64) -> Baseline {
    Baseline {
        schema_version: 1,
        source: "s".into(),
        captured_at: now(),
        duration_ms: 1,
        walproof_version: "0".into(),
        server: Server {
            system_identifier: "7".into(),
            version_number: 150_018,
            version: "15.18".into(),
            timeline: Timeline(timeline),
            segment_size: SIZE,
            in_recovery: false,
            superuser: "postgres".into(),
            archive_mode: "on".into(),
            archive_timeout_seconds: 300,
            data_checksums: true,
            tablespaces: Vec::new(),
            roles: Vec::new(),
            catalog: None,
        },
        archiver: None,
        lsn: Lsn(number * SIZE.bytes() + 0x400),
        second_snapshot: Snapshot { xmin: 10, xmax: 10, in_progress: Vec::new() },
        uncommitted: Vec::new(),
        exact: true,
        attempts: 1,
        databases: Vec::new(),
        not_read: Vec::new(),
        notes: Vec::new(),
    }
}

fn chosen(inventory: &Inventory, baseline: Option<&Baseline>, target: &Target, backup: &BackupChoice) -> String {
    match choose(inventory, baseline, target, backup, now()) {
        Ok(choice) => format!("{} → {}, timeline {}", choice.backup, choice.stop.text(), choice.history.timeline),
        Err(finding) => format!("{}: {}", finding.code.as_str(), finding.summary),
    }
}

#[test]
fn the_baseline_is_the_target_when_the_archive_reaches_it() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=9)]);
    let baseline = baseline(1, 8);
    assert_eq!(
        chosen(&inventory, Some(&baseline), &Target::Baseline, &BackupChoice::Newest),
        "20261121T000300 → LSN 0/8000400, exclusive, timeline 1"
    );
}

#[test]
fn an_archive_that_ends_before_the_baseline_is_restored_to_its_end() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=7)]);
    let choice = choose(&inventory, Some(&baseline(1, 8)), &Target::Baseline, &BackupChoice::Newest, now()).unwrap();
    assert_eq!((choice.stop, choice.short_of_baseline), (Stop::EndOfArchive, true));
}

#[test]
fn the_baselines_timeline_is_pinned_though_a_newer_one_is_there() {
    let polluted = with_fork(inventory(&[(1, 3)], &[(1, 3..=9), (2, 5..=9)]), 5);
    assert_eq!(
        chosen(&polluted, Some(&baseline(1, 8)), &Target::Baseline, &BackupChoice::Newest),
        "20261121T000300 → LSN 0/8000400, exclusive, timeline 1"
    );
}

#[test]
fn a_failover_behind_the_baseline_is_followed() {
    // The segment in which timeline 1 ended is archived under timeline 2's name only.
    let failed_over = with_fork(inventory(&[(1, 3)], &[(1, 3..=7), (2, 8..=9)]), 8);
    assert_eq!(
        chosen(&failed_over, Some(&baseline(1, 8)), &Target::Baseline, &BackupChoice::Newest),
        "20261121T000300 → LSN 0/8000400, exclusive, timeline 2"
    );
    assert_eq!(fork_before(&failed_over, &baseline(1, 8)), None);
}

#[test]
fn a_failover_before_the_baseline_makes_it_void() {
    let failed_over = with_fork(inventory(&[(1, 3)], &[(1, 3..=5), (2, 5..=9)]), 5);
    assert_eq!(covering_timeline(&failed_over, &baseline(1, 8)), None);
    assert_eq!(
        fork_before(&failed_over, &baseline(1, 8)).as_deref(),
        Some("timeline 2 forked off timeline 1 at 0/5000500")
    );
}

#[test]
fn backups_are_picked_newest_oldest_by_name_and_in_turn() {
    let inventory = inventory(&[(1, 3), (1, 5), (1, 7)], &[(1, 3..=9)]);
    let baseline = baseline(1, 9);
    let pick = |choice: &BackupChoice, now: Timestamp| {
        choose(&inventory, Some(&baseline), &Target::Baseline, choice, now).unwrap().backup
    };
    assert_eq!(pick(&BackupChoice::Newest, now()), "20261121T000700");
    assert_eq!(pick(&BackupChoice::Oldest, now()), "20261121T000300");
    assert_eq!(pick(&BackupChoice::Id("20261121T000500".into()), now()), "20261121T000500");
    let day = jiff::SignedDuration::from_hours(24);
    let nights: Vec<String> = (0..3).map(|night| pick(&BackupChoice::Rotate, now() + day * night)).collect();
    assert_eq!(
        nights.iter().collect::<std::collections::BTreeSet<_>>().len(),
        3,
        "each backup has its night: {nights:?}"
    );
}

#[test]
fn a_backup_that_ends_behind_the_target_is_of_no_use() {
    let inventory = inventory(&[(1, 3), (1, 8)], &[(1, 3..=9)]);
    let target = Target::Lsn(Lsn(5 * SIZE.bytes()));
    assert_eq!(
        chosen(&inventory, None, &target, &BackupChoice::Newest),
        "20261121T000300 → LSN 0/5000000, exclusive, timeline 1"
    );
    let early = Target::Time("2026-11-21T00:01:00Z".parse().unwrap());
    assert_eq!(
        chosen(&inventory, None, &early, &BackupChoice::Newest),
        "target.outside_window: no backup ends before time 2026-11-21T00:01:00Z"
    );
}

#[test]
fn a_target_behind_the_archives_end_is_nobodys_fault() {
    let inventory = inventory(&[(1, 3)], &[(1, 3..=5)]);
    let finding =
        choose(&inventory, None, &Target::Lsn(Lsn(9 * SIZE.bytes())), &BackupChoice::Newest, now()).unwrap_err();
    assert_eq!((finding.code, finding.blame), (Code::TargetOutsideWindow, Some(Blame::Unknown)));
}

#[test]
fn a_backup_on_a_branch_that_was_left_is_not_picked() {
    // The newest backup was taken on timeline 1 behind the fork.
    let inventory = with_fork(inventory(&[(1, 3), (1, 7)], &[(1, 3..=8), (2, 5..=9)]), 5);
    assert_eq!(
        chosen(&inventory, Some(&baseline(2, 9)), &Target::Baseline, &BackupChoice::Newest),
        "20261121T000300 → LSN 0/9000400, exclusive, timeline 2"
    );
}

#[test]
fn without_a_completed_backup_there_is_nothing_to_choose() {
    let inventory = inventory(&[], &[(1, 3..=5)]);
    assert_eq!(
        chosen(&inventory, None, &Target::Latest, &BackupChoice::Newest),
        "backup.none: there is no completed base backup to start from"
    );
}

#[test]
fn a_gap_on_the_way_is_named_and_one_beside_it_is_not() {
    let inventory = inventory(&[(1, 3), (1, 7)], &[(1, 3..=4), (1, 6..=9)]);
    let way = |choice: BackupChoice| {
        let choice = choose(&inventory, Some(&baseline(1, 9)), &Target::Baseline, &choice, now()).unwrap();
        gaps_on_the_way(&inventory, &choice).iter().map(|gap| gap.text(SIZE)).collect::<Vec<_>>()
    };
    assert_eq!(way(BackupChoice::Oldest), ["000000010000000000000005"]);
    assert_eq!(way(BackupChoice::Newest), Vec::<String>::new());
}

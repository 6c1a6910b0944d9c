use super::*;
use crate::archive::inventory::fixture;
use crate::archive::wal::{Lsn, SegmentSize};
use crate::finding::Outcome;
use crate::target::Stop;

/// The backup fills segment 3; all WAL is there to segment 10.
fn whole() -> Inventory {
    fixture::inventory(&[(1, 3)], &[(1, 3..=10)])
}

fn choice(stop: Stop) -> Choice {
    Choice {
        backup: "20261121T000300".into(),
        stop,
        history: History::root(Timeline(1)),
        last_segment: Segment { timeline: Timeline(1), number: 9 },
        short_of_baseline: false,
    }
}

fn to_lsn() -> Choice {
    choice(Stop::BeforeLsn(Lsn(0x0900_0028)))
}

fn read(attempts: &[&str]) -> RecoveryLog {
    let mut log = RecoveryLog::new(SegmentSize::DEFAULT);
    for attempt in attempts {
        log.pod("walproof-1-full-recovery-x");
        attempt.lines().for_each(|line| log.line(line));
    }
    log
}

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../recordings/", $name, ".jsonl"))
    };
}

/// A record of PostgreSQL's in the shape in which CNPG logs it.
fn postgres(severity: &str, message: &str) -> String {
    serde_json::json!({
        "level": "info", "ts": "2026-11-21T15:31:44.27Z", "logger": "postgres", "msg": "record",
        "record": {"error_severity": severity, "message": message}
    })
    .to_string()
}

/// A line of barman's in the shape in which CNPG logs it.
fn barman(program: &str, message: &str) -> String {
    let message = format!("2026-11-21 15:33:29,075 [13] ERROR: {message}");
    serde_json::json!({
        "level": "info", "ts": "2026-11-21T15:33:29.07Z", "logger": program, "msg": message, "pipe": "stderr"
    })
    .to_string()
}

/// An error of the manager's in the shape in which CNPG logs it.
fn manager(message: &str, error: &str) -> String {
    serde_json::json!({"level": "error", "ts": "2026-11-21T15:33:29.07Z", "msg": message, "error": error}).to_string()
}

fn judged(log: &RecoveryLog) -> (Code, Option<Blame>) {
    let finding = failed(log, &whole(), &to_lsn());
    (finding.code, finding.blame)
}

const ENVIRONMENT: Option<Blame> = Some(Blame::Environment);
const BACKUPS: Option<Blame> = Some(Blame::Backups);
const UNKNOWN: Option<Blame> = Some(Blame::Unknown);
const SOURCE: Option<Blame> = Some(Blame::Source);

#[test]
fn a_store_that_refuses_the_key_is_not_the_backups_fault_and_stays_so() {
    let log = read(&[recorded!("denied")]);
    assert_eq!(judged(&log), (Code::ArchiveUnreadable, ENVIRONMENT));
    let observed = failed(&log, &whole(), &to_lsn()).observed.unwrap();
    assert!(observed.contains("(403) when calling the HeadBucket operation"), "{observed}");
    assert!(is_final(&log));
}

#[test]
fn a_store_that_is_not_reached_may_be_reached_by_the_next_attempt() {
    let log = read(&[recorded!("store_unreachable")]);
    assert_eq!(judged(&log), (Code::ArchiveUnreadable, ENVIRONMENT));
    assert!(!is_final(&log));
}

#[test]
fn a_backup_that_only_the_listing_shows_is_not_checked() {
    let log = read(&[recorded!("no_backup")]);
    let finding = failed(&log, &whole(), &to_lsn());
    assert_eq!((finding.code, finding.outcome), (Code::BackupVanished, Outcome::NotChecked));
    assert!(is_final(&log));
    // Text of facts on CNPG: NO_BACKUP.
    let log = read(&[&manager("Error while restoring a backup", "no target backup found")]);
    assert_eq!(judged(&log), (Code::BackupVanished, None));
}

#[test]
fn an_image_without_barman_is_the_sources() {
    let log = read(&[recorded!("no_barman")]);
    assert_eq!(judged(&log), (Code::ImageUnsuitable, SOURCE));
    assert!(failed(&log, &whole(), &to_lsn()).hint.unwrap().contains("sandbox.operator.imageOverride"));
}

#[test]
fn a_barman_that_is_too_old_is_the_sources() {
    // Texts of barman 3.19.1, of older ones, and of Python's argparse.
    for message in [
        "Unsupported field 'x' found in backup metadata. This indicates the backup was created with a newer version of Barman.",
        "'BackupInfo' object has no attribute 'backup_name'",
        "barman-cloud-restore: error: unrecognized arguments: --cloud-provider",
        "barman-cloud-restore: error: argument --cloud-provider: invalid choice: 'aws-s3'",
    ] {
        let log = read(&[&barman("barman-cloud-restore", message)]);
        assert_eq!((judged(&log), is_final(&log)), ((Code::ImageUnsuitable, SOURCE), true), "{message}");
    }
}

#[test]
fn an_image_of_another_major_is_the_drills_mistake() {
    let log = read(&[recorded!("other_major")]);
    assert_eq!(judged(&log), (Code::ImageUnsuitable, ENVIRONMENT));
    let observed = failed(&log, &whole(), &to_lsn()).observed.unwrap();
    assert!(observed.contains("was initialized by PostgreSQL version 16"), "{observed}");
}

#[test]
fn an_image_without_a_library_is_the_drills_mistake() {
    assert_eq!(judged(&read(&[recorded!("library_missing")])), (Code::ImageUnsuitable, ENVIRONMENT));
}

#[test]
fn a_configuration_that_is_not_accepted_names_the_setting() {
    let log = read(&[recorded!("configuration")]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::ServerUp, ENVIRONMENT), true));
    let observed = failed(&log, &whole(), &to_lsn()).observed.unwrap();
    assert!(observed.starts_with("invalid value for parameter \"recovery_target_time\""), "{observed}");
}

#[test]
fn a_scratch_cluster_that_would_archive_is_unusable() {
    assert_eq!(judged(&read(&[recorded!("archive_not_empty")])), (Code::SandboxUnusable, ENVIRONMENT));
}

#[test]
fn a_tablespace_that_the_base_backup_does_not_know_is_no_damage() {
    assert_eq!(judged(&read(&[recorded!("tablespace")])), (Code::SandboxUnusable, ENVIRONMENT));
    // Text of barman 3.19.1.
    let message = "Destination /var/lib/postgresql/tablespaces already exists and it is not empty";
    assert_eq!(judged(&read(&[&barman("barman-cloud-restore", message)])), (Code::SandboxUnusable, ENVIRONMENT));
}

#[test]
fn a_base_backup_that_was_cut_blames_the_backups_at_the_second_attempt() {
    let attempt = recorded!("cut_base_backup");
    let log = read(&[attempt]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::BackupDamaged, UNKNOWN), false));
    assert_eq!(judged(&read(&[attempt, attempt])), (Code::BackupDamaged, BACKUPS));
}

#[test]
fn a_segment_that_was_cut_blames_the_backups_at_the_second_attempt() {
    let attempt = recorded!("plugin_cut_segment");
    let log = read(&[attempt]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::WalSegmentDamaged, UNKNOWN), false));
    let log = read(&[attempt, attempt]);
    let finding = failed(&log, &whole(), &to_lsn());
    assert_eq!((finding.code, finding.blame), (Code::WalSegmentDamaged, BACKUPS));
    assert_eq!(finding.object.as_deref(), Some("000000010000000000000005"));
    let without = fixture::inventory(&[(1, 3)], &[(1, 3..=4), (1, 6..=10)]);
    assert_eq!(failed(&log, &without, &to_lsn()).blame, UNKNOWN, "it is not the segment that was listed");
    let other_before = read(&[recorded!("denied"), attempt]);
    assert_eq!(judged(&other_before), (Code::WalSegmentDamaged, UNKNOWN));
}

#[test]
fn the_plugins_words_are_understood_like_the_operators() {
    let log = read(&[recorded!("plugin_denied")]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::ArchiveUnreadable, ENVIRONMENT), true));
    assert_eq!(judged(&read(&[recorded!("plugin_no_backup")])), (Code::BackupVanished, None));
    let log = read(&[recorded!("plugin_disk_full")]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::SandboxNoSpace, ENVIRONMENT), true));
    let log = read(&[recorded!("plugin_segment_not_delivered")]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::RecoveryStop, UNKNOWN), false));
    assert_eq!(undelivered(&log, &whole(), &to_lsn()).map(|segment| segment.number), Some(6));
}

#[test]
fn a_store_that_a_network_policy_hides_may_be_reached_by_the_next_attempt() {
    let log = read(&[recorded!("blocked")]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::ArchiveUnreadable, ENVIRONMENT), false));
}

#[test]
fn a_segment_of_wrong_size_blames_the_backups_at_the_second_attempt() {
    let attempt = recorded!("wrong_size");
    let log = read(&[attempt]);
    let finding = failed(&log, &whole(), &to_lsn());
    assert_eq!((finding.code, finding.blame, is_final(&log)), (Code::WalSegmentDamaged, UNKNOWN, false));
    assert_eq!(finding.object.as_deref(), Some("000000010000000000000005"));
    assert_eq!(suspect(&log, &whole(), &to_lsn()).map(|segment| segment.number), Some(5));
    let log = read(&[attempt, attempt]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::WalSegmentDamaged, BACKUPS), true));
    let without = fixture::inventory(&[(1, 3)], &[(1, 3..=4), (1, 6..=10)]);
    assert_eq!(failed(&log, &without, &to_lsn()).blame, UNKNOWN, "it is not the segment that was listed");
    assert_eq!(suspect(&log, &without, &to_lsn()), None);
    let growing = attempt.replace("wrong size: 8388608", "wrong size: 4194304");
    let log = read(&[&growing, attempt]);
    assert_eq!(
        (judged(&log), is_final(&log)),
        ((Code::WalSegmentDamaged, UNKNOWN), false),
        "it was still being fetched"
    );
}

#[test]
fn a_damaged_page_blames_the_backups_when_the_server_says_it_in_two_attempts() {
    let server = postgres("PANIC", "invalid page in block 5 of relation base/5/1259");
    let log = read(&[&server]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::ServerUp, UNKNOWN), false));
    let log = read(&[&server, &server]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::ServerUp, BACKUPS), true));
    let other = manager("restore error", "invalid page in block 5 of relation base/5/1259");
    let log = read(&[&other, &other]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::ServerUp, UNKNOWN), false), "PostgreSQL did not say it");
}

#[test]
fn the_backups_first_segment_is_missing_only_if_the_listing_lacks_it_too() {
    let log = read(&[recorded!("first_wal_missing")]);
    assert_eq!(judged(&log), (Code::ArchiveUnreadable, ENVIRONMENT));
    assert!(!is_final(&log));
    assert_eq!(undelivered(&log, &whole(), &to_lsn()).map(|segment| segment.number), Some(3));
    let finding = failed(&log, &fixture::inventory(&[(1, 3)], &[(1, 4..=10)]), &to_lsn());
    assert_eq!((finding.code, finding.blame), (Code::WalMissingForBackup, BACKUPS));
    assert!(finding.observed.unwrap().ends_with("the archive lacks 000000010000000000000003"));
}

#[test]
fn the_wal_at_a_backups_end_is_missing_only_if_the_listing_lacks_it_too() {
    // Text of PostgreSQL 15.
    let lines =
        [postgres("LOG", "redo starts at 0/2000028"), postgres("FATAL", "WAL ends before end of online backup")];
    let log = read(&[&lines.join("\n")]);
    assert_eq!(judged(&log), (Code::ArchiveUnreadable, ENVIRONMENT));
    let finding = failed(&log, &fixture::inventory(&[(1, 3)], &[(1, 4..=10)]), &to_lsn());
    assert_eq!((finding.code, finding.blame), (Code::WalMissingForBackup, BACKUPS));
}

#[test]
fn a_checkpoint_that_cannot_be_read_blames_the_backups_when_it_fails_twice_at_the_same_place() {
    let attempt = recorded!("no_checkpoint");
    let log = read(&[attempt]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::WalMissingForBackup, UNKNOWN), false));
    let log = read(&[attempt, attempt]);
    assert_eq!((judged(&log), is_final(&log)), ((Code::WalMissingForBackup, BACKUPS), true));
}

#[test]
fn a_broken_record_before_the_target_blames_the_backups_at_the_second_attempt() {
    for (attempt, segment) in [(recorded!("broken_record"), 5), (recorded!("broken_in_backup"), 3)] {
        let log = read(&[attempt]);
        assert_eq!((judged(&log), is_final(&log)), ((Code::RecoveryStop, UNKNOWN), false));
        assert_eq!(undelivered(&log, &whole(), &to_lsn()), None);
        assert_eq!(suspect(&log, &whole(), &to_lsn()).map(|segment| segment.number), Some(segment));
        let log = read(&[attempt, attempt]);
        let finding = failed(&log, &whole(), &to_lsn());
        assert_eq!((finding.code, finding.blame, is_final(&log)), (Code::RecoveryStop, BACKUPS, true));
        assert_eq!(finding.object, Some(format!("00000001000000000000000{segment}")));
    }
    let elsewhere = recorded!("broken_record").replace("0/5080000", "0/5090000").replace("524288", "589824");
    let log = read(&[&elsewhere, recorded!("broken_record")]);
    assert_eq!(
        (judged(&log), is_final(&log)),
        ((Code::RecoveryStop, UNKNOWN), false),
        "it broke at another place before"
    );
}

#[test]
fn a_complaint_behind_the_last_segment_names_no_segment_to_read() {
    let line = postgres("LOG", "invalid record length at 0/A000028: expected at least 24, got 0");
    assert_eq!(suspect(&read(&[&line]), &whole(), &to_lsn()), None);
    assert_eq!(suspect(&read(&[recorded!("reached")]), &whole(), &to_lsn()), None);
}

#[test]
fn a_broken_record_of_a_segment_that_was_not_restored_blames_nobody() {
    let lines = [
        postgres("LOG", "invalid record length at 0/5080000: expected at least 24, got 0"),
        postgres("FATAL", complaint::ENDED_EARLY),
    ];
    let attempt = lines.join("\n");
    assert_eq!(judged(&read(&[&attempt, &attempt])), (Code::RecoveryStop, UNKNOWN));
}

#[test]
fn a_record_that_begins_at_the_target_may_be_completed_by_the_next_segment() {
    let lines = [
        postgres("LOG", "restored log file \"000000010000000000000009\" from archive"),
        postgres("LOG", "invalid record length at 0/9000028: expected at least 24, got 0"),
        postgres("FATAL", complaint::ENDED_EARLY),
    ];
    assert_eq!(judged(&read(&[&lines.join("\n")])), (Code::RecoveryStop, UNKNOWN));
}

#[test]
fn a_segment_that_is_listed_and_did_not_come_is_named_and_blames_nobody() {
    for (log, segment) in [
        (recorded!("segment_not_delivered"), "000000010000000000000006"),
        (recorded!("disk_full"), "000000010000000000000005"),
    ] {
        let log = read(&[log]);
        let finding = failed(&log, &whole(), &to_lsn());
        assert_eq!((finding.code, finding.blame), (Code::RecoveryStop, UNKNOWN));
        assert_eq!(finding.object.as_deref(), Some(segment));
        assert_eq!(undelivered(&log, &whole(), &to_lsn()).unwrap().name(SegmentSize::DEFAULT), segment);
        assert!(!is_final(&log));
    }
}

#[test]
fn a_segment_that_did_not_come_is_named_after_a_recovery_that_succeeded_without_a_target() {
    let without_target = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("FATAL") && !line.contains("\"error\""));
        lines.collect::<Vec<_>>().join("\n")
    };
    let log = read(&[&without_target(recorded!("segment_not_delivered"))]);
    let latest = choice(Stop::EndOfArchive);
    assert_eq!(undelivered(&log, &whole(), &latest).map(|segment| segment.number), Some(6));
    let more = fixture::inventory(&[(1, 3)], &[(1, 3..=20)]);
    let farther = Choice { last_segment: Segment { timeline: Timeline(1), number: 20 }, ..latest };
    assert_eq!(undelivered(&read(&[recorded!("reached")]), &more, &farther), None, "it stopped at its target");
}

#[test]
fn a_target_behind_the_archives_end_blames_nobody() {
    let log = read(&[recorded!("beyond_the_archive")]);
    let inventory = fixture::inventory(&[(1, 3)], &[(1, 3..=13)]);
    let choice = Choice {
        last_segment: Segment { timeline: Timeline(1), number: 12 },
        ..choice(Stop::Time("2027-11-21T00:00:00Z".parse().unwrap()))
    };
    let finding = failed(&log, &inventory, &choice);
    assert_eq!((finding.code, finding.blame), (Code::RecoveryStop, UNKNOWN));
    assert!(finding.hint.unwrap().contains("before the archive's last commit"));
    assert!(!is_final(&log), "the next segment may bring it");
    assert_eq!(undelivered(&log, &inventory, &choice), None);
}

#[test]
fn wal_that_a_broken_connection_ended_is_the_environments() {
    // Texts of CNPG's `wal-restore` and of gRPC.
    let failing = |error: &str| {
        let lines = [
            postgres("LOG", "restored log file \"000000010000000000000005\" from archive"),
            serde_json::json!({
                "level": "info", "ts": "2026-11-21T15:33:29.07Z", "logger": "wal-restore",
                "msg": "wal-restore command failed", "error": error
            })
            .to_string(),
            postgres("FATAL", complaint::ENDED_EARLY),
        ];
        judged(&read(&[&lines.join("\n")]))
    };
    assert_eq!(failing("rpc error: code = Unavailable desc = timeout"), (Code::ArchiveUnreadable, ENVIRONMENT));
    assert_eq!(failing("while getting cluster: EOF"), (Code::ArchiveUnreadable, ENVIRONMENT));
    assert_eq!(failing("rpc error: code = NotFound desc = WAL not found"), (Code::RecoveryStop, UNKNOWN));
}

#[test]
fn a_timeline_that_contradicts_itself_blames_the_backups_only_if_the_listing_says_so() {
    let log = read(&[recorded!("other_timeline")]);
    assert_eq!(judged(&log), (Code::RecoveryStop, UNKNOWN), "no such history was listed");
    let mut inventory = whole();
    let history = |text| History::parse(Timeline(2), text).map_err(|defect| defect.to_string());
    inventory.histories.insert(Timeline(2), history("1\t0/2000000\tno recovery target specified\n"));
    let finding = failed(&log, &inventory, &to_lsn());
    assert_eq!((finding.code, finding.blame), (Code::RecoveryStop, BACKUPS));
    assert!(finding.observed.unwrap().contains("the server forked off from that timeline at 0/2000000"));
    inventory.histories.insert(Timeline(2), history("1\t0/8000000\tno recovery target specified\n"));
    assert_eq!(failed(&log, &inventory, &to_lsn()).blame, UNKNOWN, "it forked off behind the backup");
    assert!(is_final(&log));
}

#[test]
fn an_operator_that_refuses_the_targets_timeline_is_too_old_and_one_that_refuses_a_later_one_is_not() {
    // Text of CNPG 1.28.1's `wal-restore`.
    let refusing = |name: &str| {
        let warning = serde_json::json!({
            "level": "warning", "ts": "2026-11-21T15:33:29.07Z", "logger": "wal-restore",
            "msg": "Refusing to restore future timeline history file", "walName": name, "fileTimeline": 2
        });
        read(&[&[warning.to_string(), postgres("FATAL", complaint::ENDED_EARLY)].join("\n")])
    };
    assert_eq!(judged(&refusing("00000001.history")), (Code::OperatorVersion, ENVIRONMENT));
    assert_eq!(judged(&refusing("00000002.history")), (Code::RecoveryStop, UNKNOWN));
}

#[test]
fn what_cannot_be_recorded_here_is_known_by_its_words() {
    // Texts of facts on CNPG, section 3, and of PostgreSQL's and boto3's sources.
    let restore = |message: &str| barman("barman-cloud-restore", message);
    for (line, code, blame, finality) in [
        (
            restore("Barman cloud restore exception: [Errno 28] No space left on device"),
            Code::SandboxNoSpace,
            ENVIRONMENT,
            true,
        ),
        (
            postgres("FATAL", "could not extend file \"base/1/2606\": No space left on device"),
            Code::SandboxNoSpace,
            ENVIRONMENT,
            true,
        ),
        (
            postgres("FATAL", "could not map anonymous shared memory: Cannot allocate memory"),
            Code::SandboxUnusable,
            ENVIRONMENT,
            true,
        ),
        (
            postgres("LOG", "startup process (PID 36) was terminated by signal 9: Killed"),
            Code::SandboxUnusable,
            ENVIRONMENT,
            true,
        ),
        (
            manager("restore error", "while restoring cluster: no plugin supports the restore job hooks capability"),
            Code::OperatorVersion,
            ENVIRONMENT,
            true,
        ),
        (
            postgres("FATAL", "recovery aborted because of insufficient parameter settings"),
            Code::ServerUp,
            ENVIRONMENT,
            true,
        ),
        (
            restore("Barman cloud restore exception: IncompleteRead(14 bytes read)"),
            Code::ArchiveUnreadable,
            ENVIRONMENT,
            false,
        ),
        (
            restore("Connect timeout on endpoint URL: \"http://minio:9000/x\""),
            Code::ArchiveUnreadable,
            ENVIRONMENT,
            false,
        ),
        (restore("SSL: CERTIFICATE_VERIFY_FAILED"), Code::ArchiveUnreadable, ENVIRONMENT, true),
        (restore("SignatureDoesNotMatch"), Code::ArchiveUnreadable, ENVIRONMENT, true),
        (restore("x-amz-content-sha256 must be UNSIGNED-PAYLOAD"), Code::ArchiveUnreadable, ENVIRONMENT, true),
        (
            manager("restore error", "error while waiting for the API server to be reachable: timeout"),
            Code::SandboxUnusable,
            ENVIRONMENT,
            false,
        ),
        (postgres("PANIC", "WAL contains references to invalid pages"), Code::ServerUp, UNKNOWN, false),
    ] {
        let log = read(&[&line]);
        assert_eq!((judged(&log), is_final(&log)), ((code, blame), finality), "{line}");
    }
}

#[test]
fn a_failure_of_no_class_blames_nobody_and_says_what_was_logged() {
    let log = read(&[&manager("Error while restoring a backup", "something new")]);
    let finding = failed(&log, &whole(), &to_lsn());
    assert_eq!((finding.code, finding.blame), (Code::ServerUp, UNKNOWN));
    assert_eq!(finding.observed.as_deref(), Some("Error while restoring a backup: something new"));
    assert!(!is_final(&log));
    assert_eq!(judged(&read(&[""])), (Code::ServerUp, UNKNOWN));
}

#[test]
fn only_the_last_attempt_is_judged() {
    let log = read(&[recorded!("denied"), recorded!("broken_record")]);
    assert_eq!(judged(&log).0, Code::RecoveryStop);
}

#[test]
fn a_pod_that_was_killed_for_its_memory_explains_only_a_log_that_gives_no_reason() {
    let killed = |log| out_of_memory(&log, "container full-recovery: OOMKilled, exit code 137");
    let finding = killed(read(&[""])).unwrap();
    assert_eq!((finding.code, finding.blame), (Code::SandboxUnusable, ENVIRONMENT));
    assert_eq!(killed(read(&[recorded!("denied")])), None);
}

#[test]
fn an_image_that_the_drill_chose_is_not_the_sources_fault() {
    let finding = failed(&read(&[recorded!("no_barman")]), &whole(), &to_lsn());
    let own = with_own_image(finding.clone());
    assert_eq!((own.code, own.blame), (Code::ImageUnsuitable, ENVIRONMENT));
    assert!(!own.hint.unwrap().contains("would fail the same way"));
    let other = Finding::failed(Code::SourcePaused, Blame::Source, "it hibernates");
    assert_eq!(with_own_image(other.clone()), other);
}

#[test]
fn a_recovery_that_has_paused_is_seen_and_one_that_goes_on_is_not() {
    let finding = paused(&read(&[recorded!("paused")])).unwrap();
    assert_eq!((finding.code, finding.blame), (Code::RecoveryPaused, ENVIRONMENT));
    let observed = finding.observed.unwrap();
    assert!(
        observed
            .ends_with("max_connections = 50 is a lower setting than on the primary server, where its value was 150.")
    );
    assert_eq!(paused(&read(&[recorded!("reached")])), None);
}

#[test]
fn every_class_says_what_to_do() {
    for class in CLASSES.iter().filter(|class| class.judgement != Judgement::EndedEarly) {
        assert!(!class.summary.is_empty() && !class.hint.is_empty() && !class.texts.is_empty(), "{class:?}");
    }
}

use super::*;

const REACHED: &str = include_str!("../recordings/reached.jsonl");

fn read(text: &str) -> RecoveryLog {
    let mut log = RecoveryLog::new(SegmentSize::DEFAULT);
    log.pod("walproof-1-full-recovery-snpxl");
    text.lines().for_each(|line| log.line(line));
    log
}

fn record(severity: &str, message: &str) -> String {
    serde_json::json!({"logger": "postgres", "msg": "record", "record": {"error_severity": severity, "message": message}})
        .to_string()
}

#[test]
fn a_log_is_whole_once_the_end_of_replay_was_seen() {
    let log = read(REACHED);
    assert!(log.is_whole() && log.reached_target());
    let lines: Vec<&str> = REACHED.lines().collect();
    let end = lines.iter().position(|line| line.contains("redo done at")).unwrap();
    assert!(!read(&lines[..end].join("\n")).is_whole(), "it broke off before");
    let mut next = log;
    next.pod("walproof-1-full-recovery-second");
    assert!(!next.is_whole() && !next.reached_target());
}

#[test]
fn a_log_that_is_read_twice_says_what_it_said_once() {
    for text in
        [REACHED, include_str!("../recordings/broken_record.jsonl"), include_str!("../recordings/wrong_size.jsonl")]
    {
        let (once, twice) = (read(text), read(&[text, text].concat()));
        assert_eq!((once.restored(), once.replayed()), (twice.restored(), twice.replayed()));
        assert_eq!((once.invalid_record(), once.is_whole()), (twice.invalid_record(), twice.is_whole()));
        assert!(once.excerpt().eq(twice.excerpt()) && !twice.is_repeated());
    }
}

#[test]
fn what_the_server_said_in_two_attempts_is_told_from_what_another_program_said() {
    let said_twice = |first: &str, second: &str| {
        let mut log = read(first);
        log.pod("walproof-1-full-recovery-second");
        log.line(second);
        log.server_said_twice("invalid page in block 5")
    };
    let server = record("PANIC", "invalid page in block 5");
    let other = serde_json::json!({"level": "error", "logger": "plugin", "msg": "invalid page in block 5"}).to_string();
    assert!(said_twice(&server, &server));
    assert!(!said_twice("", &server) && !said_twice(&server, ""));
    assert!(!said_twice(&other, &server) && !said_twice(&server, &other));
}

#[test]
fn restored_segments_are_counted_once_each() {
    let log = read(REACHED);
    let Restored { first, last, count } = log.restored().unwrap();
    assert_eq!((first.number, last.number, count), (3, 11, 9), "segment 8 was asked for again at the end");
    assert_eq!(log.replayed(), Some(Lsn(0x0900_0028)));
    assert_eq!(log.invalid_record(), None);
}

#[test]
fn progress_is_read_from_the_servers_own_reports() {
    let line = record("LOG", "redo in progress, elapsed time: 10.87 s, current LSN: 0/81A00C0");
    assert_eq!(read(&line).replayed(), Some(Lsn(0x081A_00C0)));
}

#[test]
fn damage_that_ends_a_successful_recovery_early_is_told() {
    let log = read(include_str!("../recordings/broken_record_without_target.jsonl"));
    let (complaint, lsn) = log.invalid_record().unwrap();
    assert!(complaint.starts_with("invalid magic number 2EE9 in WAL segment"), "{complaint}");
    assert_eq!(*lsn, Lsn(0x0508_0000));
    assert!(log.is_whole() && !log.reached_target());
}

#[test]
fn a_new_pod_is_a_new_attempt_and_the_old_one_stays_in_the_excerpt() {
    let mut log = read(include_str!("../recordings/broken_record.jsonl"));
    assert!(!log.is_repeated());
    log.pod("walproof-1-full-recovery-second");
    assert_eq!((log.restored(), log.replayed(), log.invalid_record()), (None, None, None));
    let excerpt: Vec<&str> = log.excerpt().collect();
    assert!(
        excerpt.iter().any(|line| line.contains("recovery ended before configured recovery target")),
        "{excerpt:?}"
    );
    assert_eq!(excerpt.last(), Some(&"attempt 2: walproof-1-full-recovery-second"));
}

#[test]
fn a_restore_of_many_hours_takes_no_more_memory_than_a_short_one() {
    let mut log = read("");
    for number in 0..3000_u64 {
        let segment = Segment { timeline: crate::archive::wal::Timeline(1), number }.name(SegmentSize::DEFAULT);
        log.line(&record("LOG", &format!("restored log file \"{segment}\" from archive")));
        log.line(&record("WARNING", &format!("could not do thing {number}: {}", "x".repeat(2000))));
    }
    assert_eq!(log.restored().unwrap().count, 3000);
    assert_eq!((log.excerpt().count(), log.attempt.notable().count()), (EXCERPT, 2 * NOTABLE));
    assert!(log.excerpt().all(|line| line.chars().count() < 350));
    assert!(log.saying(&["could not do thing 0:"]).next().is_some(), "the first words often hold the reason");
    assert!(log.saying(&["could not do thing 2999:"]).next().is_some());
}

#[test]
fn rows_and_queries_do_not_reach_the_excerpt() {
    let secret = "someone@example.org";
    let mut log = read("");
    for line in [
        serde_json::json!({"level": "info", "logger": "postgres", "msg": "record", "record": {
            "error_severity": "ERROR", "message": "duplicate key", "detail": secret, "query": secret,
            "context": secret, "hint": secret, "internal_query": secret}})
        .to_string(),
        format!("2026-11-21 15:33:41.224 UTC [32] DETAIL:  Key (email)=({secret}) already exists."),
        format!("2026-11-21 15:33:41.224 UTC [32] STATEMENT:  UPDATE people SET email = '{secret}'"),
        format!("\tgoes on with {secret}"),
        format!("{{\"level\":\"info\",\"record\":{{\"detail\":\"{secret}"),
        format!("ity\":\"LOG\",\"detail\":\"{secret}\"}}}}"),
        format!("{secret}) already exists.\"}}}}"),
        serde_json::json!({"logger": "pg_ctl", "pipe": "stderr", "msg": format!("x [1] FATAL:  no\nx [1] DETAIL:  {secret}")})
            .to_string(),
    ] {
        log.line(&line);
    }
    let excerpt: Vec<&str> = log.excerpt().collect();
    assert_eq!(excerpt[1..], ["postgres: duplicate key", "postgres: no"]);
    assert!(log.errors().all(|message| !message.contains(secret)));
}

#[test]
fn lines_that_are_no_json_are_kept_as_they_are() {
    let log = read("exec /controller/manager: exec format error\n\n[]\n17\n\u{0}\u{7f}");
    assert!(log.excerpt().any(|line| line == "container: exec /controller/manager: exec format error"));
}

#[test]
fn a_connection_that_came_too_early_is_not_notable() {
    let log = read(&record("FATAL", "the database system is starting up"));
    assert_eq!(log.excerpt().count(), 1, "only the attempt's own line");
}

#[test]
fn what_the_manager_repeats_is_kept_once() {
    let log = read(include_str!("../recordings/no_backup.jsonl"));
    let errors: Vec<&str> = log.errors().collect();
    assert_eq!(errors, ["Error while restoring a backup: no backup found with ID 20261121T153030"]);
}

#[test]
fn what_is_written_past_the_log_collector_is_understood() {
    // The shape of CNPG 1.30.0, where it also passes on what restore_command writes.
    let past_the_collector = |words: &str| {
        serde_json::json!({
            "level": "info", "ts": "2026-11-21T15:58:17.52Z", "logger": "postgres", "msg": words,
            "source": "/controller/log/postgres"
        })
        .to_string()
    };
    let barman =
        "2026-11-21 15:59:21,158 [33] ERROR: Barman cloud WAL restore exception: [Errno 28] No space left on device";
    let hint = "2026-11-21 15:58:17.455 UTC [31] HINT:  Future log output will go to log destination \"csvlog\".";
    let log = read(&[past_the_collector(hint), past_the_collector(barman)].join("\n"));
    let errors: Vec<&str> = log.errors().collect();
    assert_eq!(errors, ["ERROR: Barman cloud WAL restore exception: [Errno 28] No space left on device"]);
}

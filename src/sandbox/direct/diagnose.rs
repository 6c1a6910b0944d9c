//! Why a server did not recover: a pure reading of its log, of what the spool served, and of the listing. Here stands
//! the hard line between the backups' fault and ours.

use crate::archive::inventory::Inventory;
use crate::archive::store::StoreErrorKind;
use crate::archive::wal::{Lsn, Segment, SegmentSize};
use crate::finding::{Blame, Code, Finding};
use crate::sandbox::direct::fetch::FetchError;
use crate::sandbox::direct::spool::Served;
use crate::target::{Choice, Stop};

/// How much of the log a finding carries.
const LOG_LINES: usize = 3;

/// PostgreSQL's complaints about a record, each followed by the LSN from which WAL cannot be read.
/// Texts of `xlogreader.c`, PostgreSQL 13 to 18.
const INVALID_RECORD: [&str; 10] = [
    "incorrect resource manager data checksum in record at ",
    "invalid record length at ",
    "record with incorrect prev-link",
    "invalid magic number",
    "unexpected pageaddr",
    "invalid resource manager ID",
    "record length",
    "contrecord",
    "invalid info bits",
    "could not decompress image",
];

/// A line of the log and what it means: text, blame, summary, hint. The first that occurs decides.
const KNOWN: [(&str, Blame, &str, &str); 16] = [
    // The path of a tablespace that was made after the base backup; it exists in production only.
    (
        "Create this directory for the tablespace",
        Blame::Environment,
        "the WAL makes a tablespace at a path that does not exist here",
        "choose a base backup that is newer than the tablespace",
    ),
    (
        "No space left on device",
        Blame::Environment,
        "the sandbox's file system is full",
        "set `sandbox.direct.directory` to a larger file system",
    ),
    (
        "could not resize shared memory segment",
        Blame::Environment,
        "the machine gives too little shared memory",
        "give the drill more memory, or a larger /dev/shm",
    ),
    ("Cannot allocate memory", Blame::Environment, "the machine has too little memory", "give the drill more memory"),
    (
        "database files are incompatible with server",
        Blame::Environment,
        "these server programs are not the backup's",
        "set `sandbox.direct.binaries` to the PostgreSQL that wrote the backup",
    ),
    (
        "locale",
        Blame::Environment,
        "the operating system lacks a locale of the source's",
        "install the source's locales, or run the drill in the source's image",
    ),
    (
        "could not access file",
        Blame::Environment,
        "a library of the source's is not installed here",
        "run the drill where the source's extensions are installed",
    ),
    (
        "resource manager",
        Blame::Environment,
        "the WAL needs an extension that is not loaded here",
        "run the drill where the source's extensions are installed",
    ),
    (
        "requested timeline",
        Blame::Backups,
        "the archive's timelines contradict one another",
        "look at the .history objects: which server forked off, and when?",
    ),
    (
        "could not locate required checkpoint record",
        Blame::Backups,
        "the WAL does not hold the checkpoint that the base backup begins with",
        "make a new base backup",
    ),
    (
        "could not locate a valid checkpoint record",
        Blame::Backups,
        "the WAL does not hold the checkpoint that the base backup begins with",
        "make a new base backup",
    ),
    (
        "WAL ends before end of online backup",
        Blame::Backups,
        "the WAL ends before the base backup is consistent",
        "make a new base backup",
    ),
    (
        "WAL ends before consistent recovery point",
        Blame::Backups,
        "the WAL ends before the base backup is consistent",
        "make a new base backup",
    ),
    ("invalid page", Blame::Backups, "the base backup holds a damaged page", "make a new base backup"),
    ("backup_label", Blame::Backups, "the base backup's backup_label cannot be used", "make a new base backup"),
    (
        "from archive:",
        Blame::Environment,
        "PostgreSQL could not run walproof as its restore_command",
        "is the file system of `sandbox.direct.directory` mounted noexec?",
    ),
];

/// The finding for a server that exited before it had recovered.
pub fn exited(log: &str, served: &Served, inventory: &Inventory, choice: &Choice) -> Finding {
    if let Some((name, error)) = &served.failure {
        return not_served(name, error);
    }
    if log.contains("recovery ended before configured recovery target was reached") {
        return ended_early(log, inventory, choice);
    }
    let excerpt = excerpt(log);
    for (text, blame, summary, hint) in KNOWN {
        if log.lines().any(|line| is_severe(line) && line.contains(text)) {
            return Finding::failed(Code::ServerUp, blame, format!("the server did not come up: {summary}"))
                .expected("recovery to the target and promotion")
                .observed(excerpt)
                .hint(hint);
        }
    }
    Finding::failed(Code::ServerUp, Blame::Unknown, "the server did not come up, for a reason that is not known")
        .expected("recovery to the target and promotion")
        .observed(excerpt)
        .hint("run the drill with --keep and read postgresql.log in the sandbox")
}

/// Recovery asked for a listed object and did not get it.
fn not_served(name: &str, error: &FetchError) -> Finding {
    match error {
        FetchError::Damaged(reason) => Finding::failed(
            Code::WalSegmentDamaged,
            Blame::Backups,
            format!("segment {name} cannot be replayed, so nothing behind it can be recovered"),
        )
        .expected("a whole segment of this cluster")
        .observed(reason)
        .hint("make a new base backup now; then find out what wrote or changed this object"),
        FetchError::Store(trouble) if trouble.kind == StoreErrorKind::Frozen => Finding::failed(
            Code::WalSegmentDamaged,
            Blame::Backups,
            format!("segment {name} lies in a storage class that cannot be read at once"),
        )
        .observed(trouble.to_string())
        .hint(trouble.hint()),
        FetchError::Store(trouble) if trouble.is_absent() => {
            Finding::not_checked(Code::BackupVanished, format!("segment {name} was removed during the restore"))
                .observed(trouble.to_string())
                .hint("retention took it meanwhile, or a gap was made just now; run the drill again")
        }
        FetchError::Store(trouble) => Finding::failed(
            Code::ArchiveUnreadable,
            Blame::Environment,
            format!("segment {name} could not be read during the restore"),
        )
        .observed(trouble.to_string())
        .hint(trouble.hint()),
        FetchError::Disk(reason) => Finding::failed(
            Code::SandboxUnusable,
            Blame::Environment,
            format!("segment {name} could not be put into the sandbox"),
        )
        .observed(reason)
        .hint("look at the file system of `sandbox.direct.directory`"),
    }
    .of(name)
}

/// All WAL was served, and PostgreSQL could not read it up to the target.
fn ended_early(log: &str, inventory: &Inventory, choice: &Choice) -> Finding {
    let size = inventory.wal.segment_size;
    let wanted = choice.stop.text();
    let invalid = invalid_record(log, size);
    let finding = |blame, summary: String| Finding::failed(Code::RecoveryStop, blame, summary).expected(wanted.clone());
    let Some((line, lsn)) = invalid else {
        // The archive ended in good order, before the target.
        return match &choice.stop {
            Stop::BeforeLsn(_) => finding(Blame::Unknown, "WAL ended before the target".to_owned())
                .observed("the archive holds no record at or behind the target")
                .hint("the next segment will bring it; run the drill again when it is archived"),
            _ => finding(Blame::Unknown, "the target was never reached: the archive holds nothing like it".to_owned())
                .observed("replay came to the end of the archive")
                .hint("a time must lie before the archive's last commit; a name or transaction must be in the WAL"),
        };
    };
    let broken = Segment::containing(choice.history.timeline, lsn, size);
    // At the target itself a record may begin that only the next segment completes.
    let at_target = matches!(choice.stop, Stop::BeforeLsn(target) if lsn >= target);
    if broken.number >= choice.last_segment.number && (at_target || !matches!(choice.stop, Stop::BeforeLsn(_))) {
        return finding(Blame::Unknown, "WAL ended before the target".to_owned())
            .observed(format!("{line}, in the last segment that replay needs"))
            .hint("the next segment will bring the rest; run the drill again when it is archived");
    }
    finding(
        Blame::Backups,
        format!(
            "WAL cannot be read from {lsn} on, in segment {}, so nothing behind it can be recovered",
            broken.name(size)
        ),
    )
    .of(broken.name(size))
    .observed(line)
    .hint("make a new base backup now; then find out what changed this segment after it was archived")
}

/// The last complaint about a record, and the LSN from which WAL cannot be read.
pub fn invalid_record(log: &str, size: SegmentSize) -> Option<(String, Lsn)> {
    let mut restored_since = None;
    for line in log.lines().rev() {
        let Some((_, message)) = line.split_once("LOG:  ") else { continue };
        if let Some(segment) = restored(message, size) {
            restored_since = restored_since.max(Some(segment.number));
            continue;
        }
        // What replay got over is no end.
        if message.contains("successfully skipped") || !INVALID_RECORD.iter().any(|text| message.contains(text)) {
            continue;
        }
        // Complaints about a page name segment and offset; those about a record end in its LSN.
        let words = message.split(|character: char| !(character.is_ascii_hexdigit() || character == '/'));
        let last = || words.filter(|word| word.contains('/')).filter_map(|word| word.parse().ok()).next_back();
        let Some(lsn) = from_segment_and_offset(message, size).or_else(last) else { continue };
        let was_got_over = restored_since.is_some_and(|number| number > lsn.0 / size.bytes());
        return (!was_got_over).then(|| (message.to_owned(), lsn));
    }
    None
}

/// `restored log file "000000010000000000000009" from archive`.
fn restored(message: &str, size: SegmentSize) -> Option<Segment> {
    let (_, rest) = message.split_once("restored log file \"")?;
    Segment::parse(rest.split_once('"')?.0, size)
}

/// `… in log segment 000000010000000000000004, offset 8192` (`WAL segment` and an LSN between since 16).
fn from_segment_and_offset(message: &str, size: SegmentSize) -> Option<Lsn> {
    let (_, rest) = message.split_once("segment ")?;
    let (name, rest) = rest.split_once(',')?;
    let offset: u64 = rest.split_once("offset ")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let segment = Segment::parse(name.trim(), size)?;
    Some(Lsn(segment.start(size).0 + offset))
}

fn is_severe(line: &str) -> bool {
    ["FATAL:", "PANIC:", "ERROR:", "DETAIL:", "HINT:", "WARNING:"].iter().any(|severity| line.contains(severity))
}

/// The last severe lines, without DETAIL, which may hold rows.
fn excerpt(log: &str) -> String {
    let severe = |line: &&str| line.contains("FATAL:") || line.contains("PANIC:");
    let mut lines: Vec<&str> = log.lines().filter(severe).collect();
    if lines.is_empty() {
        lines = log.lines().filter(|line| !line.trim().is_empty() && !line.contains("DETAIL:")).collect();
    }
    let from = lines.len().saturating_sub(LOG_LINES);
    let message = |line: &&str| line.split_once("] ").map_or(*line, |(_, message)| message).to_owned();
    lines[from..].iter().map(message).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::store::StoreError;

    const SIZE: SegmentSize = SegmentSize::DEFAULT;

    fn at(line: &str) -> Option<u64> {
        let log =
            format!("2026-11-21 12:00:00.000 UTC [7] LOG:  {line}\n2026-11-21 12:00:00.001 UTC [7] LOG:  redo done");
        invalid_record(&log, SIZE).map(|(_, lsn)| lsn.0)
    }

    #[test]
    fn the_place_of_a_broken_record_is_read_from_every_complaint() {
        // Texts of PostgreSQL 15 and 17.
        assert_eq!(at("incorrect resource manager data checksum in record at 0/9000028"), Some(0x0900_0028));
        assert_eq!(at("invalid record length at 0/9000060: wanted 24, got 0"), Some(0x0900_0060));
        assert_eq!(at("record with incorrect prev-link 0/1 at 0/9000090"), Some(0x0900_0090));
        assert_eq!(
            at("unexpected pageaddr 0/3000000 in log segment 000000010000000000000009, offset 8192"),
            Some(0x0900_2000)
        );
        assert_eq!(
            at("invalid magic number 0000 in WAL segment 000000010000000000000009, LSN 0/9002000, offset 8192"),
            Some(0x0900_2000)
        );
        assert_eq!(at("restored log file \"000000010000000000000009\" from archive"), None);
    }

    #[test]
    fn a_complaint_that_replay_got_over_is_none() {
        assert_eq!(at("successfully skipped missing contrecord at 0/9000090, overwritten at 2026-11-21"), None);
        let complaint = "x LOG:  invalid record length at 0/9000060: wanted 24, got 0\n";
        let restored = |name: &str| format!("{complaint}x LOG:  restored log file \"{name}\" from archive\n");
        assert_eq!(invalid_record(&restored("00000001000000000000000A"), SIZE), None);
        assert!(invalid_record(&restored("000000010000000000000009"), SIZE).is_some(), "asked for again, no better");
    }

    #[test]
    fn what_the_store_would_not_give_is_not_the_backups_fault() {
        let blame = |error| not_served("000000010000000000000009", &error).blame;
        assert_eq!(blame(FetchError::Damaged("cut".into())), Some(Blame::Backups));
        assert_eq!(blame(FetchError::Disk("full".into())), Some(Blame::Environment));
        for (kind, expected) in [
            (StoreErrorKind::Unreachable, Some(Blame::Environment)),
            (StoreErrorKind::Denied, Some(Blame::Environment)),
            (StoreErrorKind::Frozen, Some(Blame::Backups)),
            (StoreErrorKind::Absent, None),
        ] {
            assert_eq!(blame(FetchError::Store(StoreError::for_tests(kind))), expected, "{kind:?}");
        }
    }

    #[test]
    fn rows_in_a_log_do_not_reach_a_report() {
        let log = "x [7] FATAL:  could not start\nx [7] DETAIL:  Key (email)=(someone@example.org) already exists.\n";
        assert_eq!(excerpt(log), "FATAL:  could not start");
        assert!(!excerpt("x [7] DETAIL:  Key (email)=(someone@example.org)\n").contains("someone"));
    }
}

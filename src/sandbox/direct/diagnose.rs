//! Why a server did not recover: a pure reading of its log, of what the spool served, and of the listing. Here stands
//! the hard line between the backups' fault and ours.

use crate::archive::inventory::Inventory;
use crate::archive::store::StoreErrorKind;
use crate::archive::wal::{Lsn, SegmentSize};
use crate::finding::{Blame, Code, Finding};
use crate::sandbox::complaint::{self, Complaints};
use crate::sandbox::direct::fetch::FetchError;
use crate::sandbox::direct::spool::Served;
use crate::target::Choice;

/// How much of the log a finding carries.
const LOG_LINES: usize = 3;

/// A line of the log and what it means: text, blame, summary, hint. The first that occurs decides.
const KNOWN: [(&str, Blame, &str, &str); 17] = [
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
    // The choice of the base backup went by its own word on where it ends.
    (
        "requested recovery stop point is before consistent recovery point",
        Blame::Unknown,
        "the target lies before the end of the base backup, which is later than backup.info says",
        "choose a later target, or an earlier base backup with `backup`",
    ),
    (
        "unexpected timeline ID",
        Blame::Backups,
        "a segment holds WAL of another timeline than its name says",
        "look at the .history objects, and who wrote into this archive; make a new base backup now",
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
    if log.contains(complaint::ENDED_EARLY) {
        let invalid = invalid_record(log, inventory.wal.segment_size);
        return complaint::ended_early(invalid.as_ref(), inventory, choice);
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

/// The finding for a listed object of WAL that could not be read whole.
pub fn not_served(name: &str, error: &FetchError) -> Finding {
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
        FetchError::CreatesTablespace(_) => Finding::failed(
            Code::SandboxUnusable,
            Blame::Environment,
            format!("the WAL of segment {name} creates a tablespace at its original path: the copy would write there"),
        )
        .expected("a base backup that is newer than every tablespace")
        .observed(error.to_string())
        .hint("choose a newer base backup with `backup`; make one if there is none"),
    }
    .of(name)
}

/// The last complaint about a record that recovery did not get over, and the LSN from which WAL cannot be read.
pub fn invalid_record(log: &str, size: SegmentSize) -> Option<(String, Lsn)> {
    let mut complaints = Complaints::new(size);
    for (_, message) in log.lines().filter_map(|line| line.split_once("LOG:  ")) {
        complaints.message(message);
    }
    complaints.last().cloned()
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

    #[test]
    fn a_complaint_is_read_from_a_line_of_the_servers_log() {
        let log = "2026-11-21 12:00:00.000 UTC [7] LOG:  invalid record length at 0/9000060: wanted 24, got 0\n\
                   2026-11-21 12:00:00.001 UTC [7] LOG:  redo done at 0/9000028\n";
        let complaint = ("invalid record length at 0/9000060: wanted 24, got 0".to_owned(), Lsn(0x0900_0060));
        assert_eq!(invalid_record(log, SegmentSize::DEFAULT), Some(complaint));
    }

    #[test]
    fn what_the_store_would_not_give_is_not_the_backups_fault() {
        let blame = |error| not_served("000000010000000000000009", &error).blame;
        assert_eq!(blame(FetchError::Damaged("cut".into())), Some(Blame::Backups));
        assert_eq!(blame(FetchError::Disk("full".into())), Some(Blame::Environment));
        assert_eq!(blame(FetchError::CreatesTablespace(Lsn(0x0900_0028))), Some(Blame::Environment));
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

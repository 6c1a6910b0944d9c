//! Why the operator's recovery failed, or hangs: a pure reading of its log against the listing. Here stands the hard line
//! between the backups' fault and everybody else's; the classes are those of operators' issues and of our own trials.

use super::recovery_log::RecoveryLog;
use crate::archive::inventory::{Backup, Inventory};
use crate::archive::timeline::History;
use crate::archive::wal::{Segment, SegmentSize, Timeline};
use crate::finding::{Blame, Code, Finding};
use crate::sandbox::complaint;
use crate::target::Choice;

mod classes;

use classes::{CLASSES, Class, Judgement, WRONG_SIZE};

/// How many of the log's errors a finding of no class carries.
const ERRORS: usize = 3;
const MEMORY_HINT: &str = "give the sandbox's namespace more memory, or the source's Cluster: its `spec.resources` are \
                           copied, and a copied shared_buffers must fit";

/// The finding for an attempt that failed. Blames the backups only where the log and the listing agree on it.
pub fn failed(log: &RecoveryLog, inventory: &Inventory, choice: &Choice) -> Finding {
    let Some((class, message)) = class_of(log) else {
        let errors: Vec<&str> = log.errors().rev().take(ERRORS).collect();
        let observed = if errors.is_empty() {
            "the recovery log holds no error".to_owned()
        } else {
            errors.into_iter().rev().collect::<Vec<_>>().join(" | ")
        };
        let summary = "the operator's recovery failed, for a reason that is not known";
        return Finding::failed(Code::ServerUp, Blame::Unknown, summary)
            .expected("recovery to the target and promotion")
            .observed(observed)
            .hint("read the recovery log in the report, or run the drill with --keep and read the recovery pod's log");
    };
    let case = Case { class, message, log, inventory, choice };
    match class.judgement {
        Judgement::Is(blame) => case.finding(blame),
        Judgement::WrongSize => case.wrong_size(),
        Judgement::Page => case.page(),
        Judgement::Configuration => case.configuration(),
        Judgement::Timeline => case.timeline(),
        Judgement::Vanished => case.vanished(),
        Judgement::BaseBackup => case.base_backup(),
        Judgement::Segment => case.segment(),
        Judgement::BackupsWal => case.backups_wal(),
        Judgement::EndedEarly => case.ended_early(),
    }
}

/// The finding for an attempt whose container was killed for its memory, in Kubernetes' words. None where the log itself
/// gives a reason.
pub fn out_of_memory(log: &RecoveryLog, killed: &str) -> Option<Finding> {
    let summary = "the recovery pod was killed because it took more memory than it may";
    class_of(log).is_none().then(|| {
        Finding::failed(Code::SandboxUnusable, Blame::Environment, summary)
            .expected("recovery to the target and promotion")
            .observed(killed)
            .hint(MEMORY_HINT)
    })
}

/// What an image lacks is the drill's own fault where the drill chose the image: for a run with
/// `sandbox.operator.imageOverride`. Any other finding stays as it is.
#[must_use]
pub fn with_own_image(finding: Finding) -> Finding {
    if finding.code != Code::ImageUnsuitable || finding.blame != Some(Blame::Source) {
        return finding;
    }
    let hint =
        "set `sandbox.operator.imageOverride` to an image with a newer barman; this says nothing of the source's own";
    Finding { blame: Some(Blame::Environment), ..finding }.hint(hint)
}

/// The finding for a recovery that waits for a person and would do so for ever.
pub fn paused(log: &RecoveryLog) -> Option<Finding> {
    let message = log.saying(&["recovery has paused"]).next()?;
    let reason = log.saying(&["insufficient parameter settings"]).next();
    let summary = "recovery has paused: a setting of the scratch cluster is lower than the source's was";
    let finding = match reason {
        Some(reason) => Finding::failed(Code::RecoveryPaused, Blame::Environment, summary).observed(reason),
        None => Finding::failed(Code::RecoveryPaused, Blame::Unknown, "recovery has paused").observed(message),
    };
    Some(finding.expected("replay to the target").hint(
        "the source's setting was raised after this base backup: make a new one; a real recovery needs the higher value \
         in its manifest as well",
    ))
}

/// Whether no further attempt of the recovery can end otherwise.
pub fn is_final(log: &RecoveryLog) -> bool {
    class_of(log).is_some_and(|(class, message)| match class.judgement {
        Judgement::EndedEarly | Judgement::BackupsWal => log.is_repeated(),
        Judgement::WrongSize | Judgement::Page => log.server_said_twice(message),
        _ => !class.may_heal,
    })
}

/// The segment at which this attempt took WAL for ended although the listing shows it, whether recovery failed or, without
/// a target, succeeded: whether the segment is damaged or only could not be fetched, reading it tells. None where recovery
/// stopped for another reason.
pub fn undelivered(log: &RecoveryLog, inventory: &Inventory, choice: &Choice) -> Option<Segment> {
    let came_to_an_end = log.is_whole() && !log.reached_target();
    let never_began = || {
        let of_the_backups_wal = CLASSES.iter().filter(|class| class.judgement == Judgement::BackupsWal);
        of_the_backups_wal.flat_map(|class| class.texts).any(|text| log.saying(&[text]).next().is_some())
    };
    if log.invalid_record().is_some() || !(came_to_an_end || never_began()) {
        return None;
    }
    let size = inventory.wal.segment_size;
    let begin = || Some(inventory.backup(&choice.backup)?.needed(size)?.1);
    let number = log.restored().map_or_else(begin, |restored| restored.last.number.checked_add(1))?;
    listed(number, inventory, choice)
}

/// The segment in which this attempt's PostgreSQL could not read WAL on, or that it called of wrong size, where the listing
/// shows it. Damage that reading it shows is the archive's. If it reads whole, a wrong size was an accident of the
/// sandbox, but a record within may still be broken.
pub fn suspect(log: &RecoveryLog, inventory: &Inventory, choice: &Choice) -> Option<Segment> {
    let size = inventory.wal.segment_size;
    let of_wrong_size = log.saying(&[WRONG_SIZE]).find_map(|message| named(message, size));
    match (of_wrong_size, log.invalid_record()) {
        (Some(segment), _) => Some(segment).filter(|&segment| inventory.wal.run_of(segment).is_some()),
        (None, Some((_, lsn))) => listed(lsn.0 / size.bytes(), inventory, choice),
        (None, None) => None,
    }
}

/// The segment of this number that the listing shows on the target's way, up to the last that replay needs.
fn listed(number: u64, inventory: &Inventory, choice: &Choice) -> Option<Segment> {
    let candidates = choice.history.candidates(number, inventory.wal.segment_size);
    let mut needed = candidates.into_iter().filter(|_| number <= choice.last_segment.number);
    needed.find(|&segment| inventory.wal.run_of(segment).is_some())
}

/// The segment of `archive file "000000010000000000000005" has wrong size: 8388608 instead of 16777216`
fn named(message: &str, size: SegmentSize) -> Option<Segment> {
    Segment::parse(message.split('"').nth(1)?, size)
}

/// The first class of the table that this attempt shows, and the message that shows it.
fn class_of(log: &RecoveryLog) -> Option<(&'static Class, &str)> {
    CLASSES.iter().find_map(|class| {
        let says = |message: &&str| !class.unless.iter().any(|text| message.contains(text));
        Some((class, log.saying(class.texts).find(says)?))
    })
}

/// An attempt that shows a class, and what to hold it against.
struct Case<'a> {
    class: &'static Class,
    message: &'a str,
    log: &'a RecoveryLog,
    inventory: &'a Inventory,
    choice: &'a Choice,
}

impl Case<'_> {
    fn finding(&self, blame: Blame) -> Finding {
        let Class { code, summary, hint, .. } = self.class;
        self.described(Finding::failed(*code, blame, *summary)).hint(*hint)
    }

    fn described(&self, finding: Finding) -> Finding {
        finding.expected("recovery to the target and promotion").observed(self.message)
    }

    fn backup(&self) -> Option<&Backup> {
        self.inventory.backup(&self.choice.backup)
    }

    /// Operators before 1.27.4 and 1.28.2 could hand PostgreSQL a prefetched segment that was not complete yet: it takes
    /// two attempts, with the same size, to blame the object.
    fn wrong_size(&self) -> Finding {
        let size = self.inventory.wal.segment_size;
        let Some(segment) = named(self.message, size) else { return self.finding(Blame::Unknown) };
        let is_damaged = self.inventory.wal.run_of(segment).is_some() && self.log.server_said_twice(self.message);
        self.finding(if is_damaged { Blame::Backups } else { Blame::Unknown }).of(segment.name(size))
    }

    /// The same page of a base backup that was fetched twice.
    fn page(&self) -> Finding {
        self.finding(if self.log.server_said_twice(self.message) { Blame::Backups } else { Blame::Unknown })
    }

    /// The last words do not name the setting; those before do.
    fn configuration(&self) -> Finding {
        let settings = self.log.saying(&["invalid value for parameter", "unrecognized configuration parameter"]);
        let mut messages: Vec<&str> = settings.take(ERRORS).collect();
        messages.push(self.message);
        self.finding(Blame::Environment).observed(messages.join(" | "))
    }

    /// `requested timeline 2 is not a child of this server's history`: true only if our own reading of that timeline's
    /// history says so too.
    fn timeline(&self) -> Finding {
        let number = || self.message.split_once("requested timeline ")?.1.split(' ').next()?.parse().ok();
        let Some(timeline) = number().map(Timeline) else { return self.finding(Blame::Unknown) };
        let is_child = |history: &History| self.backup().is_some_and(|backup| backup.lies_on(history));
        let blame = match self.inventory.histories.get(&timeline) {
            Some(Ok(history)) if is_child(history) => Blame::Unknown,
            Some(_) if self.backup().is_some() => Blame::Backups,
            _ => Blame::Unknown,
        };
        self.finding(blame).of(format!("{:08X}.history", timeline.0))
    }

    /// The operator does not see what the listing showed.
    fn vanished(&self) -> Finding {
        let Class { code, summary, hint, .. } = self.class;
        self.described(Finding::not_checked(*code, *summary)).of(&self.choice.backup).hint(*hint)
    }

    /// A tar that cannot be unpacked is damaged if it cannot be unpacked twice.
    fn base_backup(&self) -> Finding {
        let is_whole_by_listing = self.backup().is_some_and(Backup::is_restorable);
        let is_damaged = is_whole_by_listing && self.log.said_before(self.message);
        self.finding(if is_damaged { Blame::Backups } else { Blame::Unknown }).of(&self.choice.backup)
    }

    /// So is a segment; which one, only the order of segments tells.
    fn segment(&self) -> Finding {
        let Some(segment) = undelivered(self.log, self.inventory, self.choice) else {
            return self.finding(Blame::Unknown);
        };
        let is_damaged = self.log.said_before(self.message);
        let finding = self.finding(if is_damaged { Blame::Backups } else { Blame::Unknown });
        finding.of(segment.name(self.inventory.wal.segment_size))
    }

    /// Between its first and its last segment a base backup is not consistent.
    fn backups_wal(&self) -> Finding {
        let size = self.inventory.wal.segment_size;
        let gaps = self.backup().map(|backup| self.inventory.gaps_from(backup, &self.choice.history, 0));
        if let Some(gap) = gaps.unwrap_or_default().first() {
            return self.finding(Blame::Backups).of(&self.choice.backup).observed(format!(
                "{}; the archive lacks {}",
                self.message,
                gap.text(size)
            ));
        }
        let Some((complaint, lsn)) = self.log.invalid_record() else {
            let summary = "the recovery pod did not get WAL that the listing shows";
            return self
                .described(Finding::failed(Code::ArchiveUnreadable, Blame::Environment, summary))
                .hint("what stands between the sandbox's pods and the object store? Run the drill again");
        };
        // A prefetched segment may not have been complete yet.
        let blame = if self.log.is_repeated() { Blame::Backups } else { Blame::Unknown };
        let segment = Segment::containing(self.choice.history.timeline, *lsn, size).name(size);
        self.finding(blame).of(segment).observed(format!("{}; {complaint}", self.message))
    }

    fn ended_early(&self) -> Finding {
        let refused = self.log.saying(&["Refusing to restore future timeline history file"]).any(|message| {
            let name = message.split_whitespace().find_map(|word| word.strip_suffix(".history"));
            let refused = name.and_then(|name| u32::from_str_radix(name, 16).ok());
            // Timelines behind the target's are asked for out of habit.
            refused.is_some_and(|number| number <= self.choice.history.timeline.0)
        });
        if refused {
            let summary = "the operator refuses to follow the source's timeline";
            return self.described(Finding::failed(Code::OperatorVersion, Blame::Environment, summary)).hint(
                "upgrade CloudNativePG to 1.28.4, 1.29.2 or 1.30.0: earlier ones stop at a backup's own timeline",
            );
        }
        let size = self.inventory.wal.segment_size;
        if let Some(segment) = undelivered(self.log, self.inventory, self.choice) {
            let name = segment.name(size);
            let summary = format!("recovery ended before the target: it did not get segment {name}");
            return Finding::failed(Code::RecoveryStop, Blame::Unknown, summary)
                .of(name)
                .expected(self.choice.stop.text())
                .observed("the listing shows it; the operator does not say why it could not be had")
                .hint(
                    "read this object: if it is whole, a full volume (`sandbox.operator.storageFactor`) or the network kept \
                     recovery from it",
                );
        }
        let finding = complaint::ended_early(self.log.invalid_record(), self.inventory, self.choice);
        let came_from_the_archive = self.log.invalid_record().is_some_and(|(_, lsn)| {
            self.log.restored().is_some_and(|restored| restored.last.number >= lsn.0 / size.bytes())
        });
        if !finding.blames_backups() || (came_from_the_archive && self.log.is_repeated()) {
            return finding;
        }
        Finding { blame: Some(Blame::Unknown), ..finding }.hint(
            "run the drill again: operators before 1.27.4 and 1.28.2 can hand PostgreSQL a segment that is not complete yet; \
             what two attempts say of the same place is damage",
        )
    }
}

#[cfg(test)]
mod tests;

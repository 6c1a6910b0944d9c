//! Judges the WAL of an inventory: what every backup needs, and gaps on the way from the oldest to the end.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::archive::gaps::{Gap, gaps as find_gaps};
use crate::archive::inventory::{Backup, Inventory};
use crate::archive::timeline::History;
use crate::archive::wal::{Segment, SegmentSize, Timeline};
use crate::archive::wal_listing::Extent;
use crate::finding::{Blame, Code, Finding};
use crate::plan::{Plan, signed};
use crate::report::text::{count, moment};
use crate::source::archiver::Archiver;

/// How many gaps become findings of their own; an archive with more is broken enough.
const MOST_GAPS: usize = 20;

/// All gaps that may become findings: on the way from the oldest restorable backup to the end of `timeline`, and
/// within each backup.
pub fn gaps(inventory: &Inventory, timeline: Timeline) -> Vec<Gap> {
    if inventory.wal.extent != Extent::All {
        return Vec::new();
    }
    let history = inventory.history(timeline).ok();
    let mut found = history.as_ref().map(|history| way_gaps(inventory, history)).unwrap_or_default();
    for backup in inventory.restorable() {
        for gap in own_gaps(inventory, backup, history.as_ref()) {
            if !found.iter().any(|known| known.first <= gap.first && gap.last <= known.last) {
                found.push(gap);
            }
        }
    }
    found
}

/// `confirmed` holds the first segment numbers of the gaps that an earlier listing showed too. `archiver` is the
/// source's own word, where it was asked.
pub fn judge(
    plan: &Plan,
    inventory: &Inventory,
    timeline: Timeline,
    archiver: Option<&Archiver>,
    confirmed: &BTreeSet<u64>,
) -> Vec<Finding> {
    let size = inventory.wal.segment_size;
    let mut findings = objects(inventory);
    if inventory.wal.extent != Extent::All {
        let summary = "only the end of the WAL was listed";
        findings.push(Finding::note(Code::WalGap, summary).hint("`--depth full` looks for gaps"));
        findings.extend(inventory.restorable().next_back().map(|backup| for_newest(inventory, backup)));
        return findings;
    }
    findings.extend(histories(inventory, timeline));
    let grace = signed(plan.freshness.max_wal_age);
    // A history that cannot be read is among the findings already.
    let history = inventory.history(timeline).ok();
    findings.extend(for_backups(inventory, history.as_ref(), archiver, confirmed, grace));
    if let Some(history) = history {
        let found = way_gaps(inventory, &history);
        if found.is_empty() {
            findings.extend(unbroken(inventory, &history));
        }
        if let Some(more) = found.len().checked_sub(MOST_GAPS).filter(|&more| more > 0) {
            let summary = format!("{} more are not listed here", count(more as u64, "gap", "gaps"));
            findings.push(Finding::note(Code::WalGap, summary));
        }
        findings.extend(
            found
                .iter()
                .take(MOST_GAPS)
                .map(|gap| way_gap(inventory, gap, confirmed, gap.may_close(inventory.taken_at, grace, None), size)),
        );
    }
    findings.extend(missing_history(inventory, timeline));
    findings.extend(forked(inventory, timeline));
    findings
}

/// The gaps from the oldest backup that leads along `history` to the last segment on it.
fn way_gaps(inventory: &Inventory, history: &History) -> Vec<Gap> {
    let Some((newest, _)) = inventory.newest_along(history) else { return Vec::new() };
    let size = inventory.wal.segment_size;
    let leading = inventory.leading_along(history, inventory.system_identifier());
    let Some(first) = leading.filter_map(|backup| Some(backup.needed(size)?.1)).min() else { return Vec::new() };
    find_gaps(&inventory.wal, history, first, newest.number)
}

/// The gaps between a backup's own begin and end: along `history` where it leads there, because the segment in which it
/// ended may be archived under the next timeline's name only; else on its own timeline.
fn own_gaps(inventory: &Inventory, backup: &Backup, history: Option<&History>) -> Vec<Gap> {
    let Some((timeline, begin, end)) = backup.needed(inventory.wal.segment_size) else { return Vec::new() };
    let own = History::root(timeline);
    find_gaps(&inventory.wal, history.filter(|history| backup.lies_on(history)).unwrap_or(&own), begin, end)
}

fn for_backups(
    inventory: &Inventory,
    history: Option<&History>,
    archiver: Option<&Archiver>,
    confirmed: &BTreeSet<u64>,
    grace: SignedDuration,
) -> Vec<Finding> {
    let size = inventory.wal.segment_size;
    let mut findings = Vec::new();
    let mut unfinished = Vec::new();
    let mut whole = 0;
    for backup in inventory.restorable() {
        let missing = own_gaps(inventory, backup, history);
        // What a second listing showed has only just arrived, or was seen while retention removed it.
        let Some(gap) = missing.iter().find(|gap| confirmed.contains(&gap.first)) else {
            whole += 1;
            continue;
        };
        if gap.may_close(inventory.taken_at, grace, backup.end_time()) {
            let summary = format!("{} has not arrived yet; base backup {} needs it", gap.text(size), backup.id);
            findings.push(Finding::note(Code::WalMissingForBackup, summary).of(&backup.id));
            continue;
        }
        let has_gone_on = source_has_finished(gap, archiver, size) || backed_up_later(inventory, gap);
        if gap.after.is_none() && !has_gone_on {
            let summary = format!(
                "base backup {} becomes restorable with segment {}, which is not archived yet",
                backup.id,
                gap.text(size)
            );
            unfinished.push(
                Finding::note(Code::WalMissingForBackup, summary).of(&backup.id).hint(
                    "a backup from a standby does not end its segment; an idle primary ends it with its next write",
                ),
            );
            continue;
        }
        findings.push(
            Finding::failed(
                Code::WalMissingForBackup,
                Blame::Backups,
                format!("base backup {} never becomes consistent: it needs {}", backup.id, gap.text(size)),
            )
            .of(&backup.id)
            .expected("every segment between the begin and the end of the base backup")
            .observed(format!("{} is not in the archive", gap.text(size)))
            .hint("make a new base backup; this one cannot be restored to any point"),
        );
    }
    if whole > 0 {
        let summary = format!("{} the WAL to become consistent", count(whole, "base backup has", "base backups have"));
        findings.insert(0, Finding::passed(Code::WalMissingForBackup, summary));
    }
    findings.extend(unfinished);
    findings
}

/// True when the source itself says that it has gone on to a later segment.
pub fn source_has_finished(gap: &Gap, archiver: Option<&Archiver>, size: SegmentSize) -> bool {
    let current = archiver.and_then(|archiver| Segment::parse(&archiver.current_segment, size));
    current.is_some_and(|current| current.number > gap.last)
}

/// True when a later base backup began behind the gap: whatever wrote it had finished these segments by then.
fn backed_up_later(inventory: &Inventory, gap: &Gap) -> bool {
    let size = inventory.wal.segment_size;
    let mut needed = inventory.restorable().filter_map(|backup| backup.needed(size));
    needed.any(|(timeline, begin, _)| timeline == gap.timeline && begin > gap.last)
}

/// What a listing of the end shows of the newest backup's own WAL. A segment that it does not show may still be there.
fn for_newest(inventory: &Inventory, backup: &Backup) -> Finding {
    let finding = match own_gaps(inventory, backup, None).first() {
        None => Finding::passed(Code::WalMissingForBackup, "the WAL that the newest base backup needs is there"),
        Some(gap) => Finding::not_checked(
            Code::WalMissingForBackup,
            format!("{} was not among what this depth lists", gap.text(inventory.wal.segment_size)),
        )
        .hint("`--depth full` lists everything"),
    };
    finding.of(&backup.id)
}

fn way_gap(inventory: &Inventory, gap: &Gap, confirmed: &BTreeSet<u64>, may_close: bool, size: SegmentSize) -> Finding {
    let text = gap.text(size);
    let name = gap.first_segment().name(size);
    if !confirmed.contains(&gap.first) {
        let summary = format!("{text} was missing in a first listing and there in a second");
        return Finding::note(Code::WalGap, summary).of(name);
    }
    if may_close {
        return Finding::note(Code::WalGap, format!("{text} has not arrived yet; later segments have"))
            .of(name)
            .hint("archiving is parallel; this becomes a gap when it does not arrive within `freshness.maxWalAge`");
    }
    let lost = match (gap.before, gap.after) {
        (Some(before), Some(after)) => {
            format!("no moment between {} and {} can be recovered", moment(before), moment(after))
        }
        (None, Some(after)) => format!("no moment before {} can be recovered", moment(after)),
        (_, None) => "no moment behind it can be recovered".to_owned(),
    };
    let newest_begin =
        inventory.restorable().next_back().and_then(|backup| backup.needed(size)).map_or(0, |(_, begin, _)| begin);
    let reach = if gap.last >= newest_begin {
        "it cuts the newest base backup off from the end of the archive"
    } else {
        "newer base backups do not need it, but older moments do"
    };
    Finding::failed(Code::WalGap, Blame::Backups, format!("WAL is missing: {text}; {lost}"))
        .of(name)
        .expected("an unbroken run from the oldest base backup to the end of the archive")
        .observed(format!("{text} missing in two listings; {reach}"))
        .hint("make a new base backup now; then find out who removed the segment or why it was never archived")
}

/// No gap was found: because there is none, or because no backup leads along this timeline at all.
fn unbroken(inventory: &Inventory, history: &History) -> Option<Finding> {
    let (newest, _) = inventory.newest_along(history)?;
    let size = inventory.wal.segment_size;
    let oldest = inventory.leading_along(history, inventory.system_identifier()).next();
    let is_known = history.timeline == Timeline(1) || inventory.histories.contains_key(&history.timeline);
    match oldest {
        Some(oldest) => {
            let summary = format!("WAL is unbroken from base backup {} to {}", oldest.id, newest.name(size));
            Some(Finding::passed(Code::WalGap, summary))
        }
        None if is_known && inventory.restorable().next().is_some() => Some(
            Finding::failed(
                Code::BackupNone,
                Blame::Backups,
                format!("no base backup leads to the source's timeline {}", history.timeline),
            )
            .expected(format!("a base backup that ended before timeline {} forked off", history.timeline))
            .observed("every complete base backup lies on a branch that was left")
            .hint("make a base backup now; until then nothing can be recovered to the present"),
        ),
        None => None,
    }
}

fn histories(inventory: &Inventory, current: Timeline) -> Vec<Finding> {
    let damaged = inventory.histories.iter().filter_map(|(timeline, history)| {
        let reason = history.as_ref().err()?;
        let name = format!("{:08X}.history", timeline.0);
        let finding =
            Finding::failed(Code::WalHistoryDamaged, Blame::Backups, format!("{name} cannot be read: {reason}"))
                .of(name)
                .expected("a line for each ancestor: timeline, switch LSN, reason")
                .observed(reason)
                .hint("recovery along this timeline fails; make a new base backup on it");
        // Recovery reads the history of its own timeline only.
        Some(if *timeline == current { finding } else { finding.into_note() })
    });
    damaged.collect()
}

/// Without its history no backup of an earlier timeline leads to this one; recovery to the latest point would end, in
/// good order, where the parent ends.
fn missing_history(inventory: &Inventory, timeline: Timeline) -> Option<Finding> {
    if !inventory.lacks_history(timeline) {
        return None;
    }
    let name = format!("{:08X}.history", timeline.0);
    let own = |backup: &Backup| matches!(&backup.info, Ok(info) if info.timeline == Some(timeline));
    let summary = format!("{name} is not in the archive, though WAL of timeline {timeline} is");
    let finding = if inventory.restorable().any(own) {
        Finding::note(Code::WalHistoryDamaged, summary)
            .observed("base backups of this timeline need none; earlier ones do not lead here")
    } else {
        Finding::failed(Code::WalHistoryDamaged, Blame::Backups, summary)
            .expected("the history of every timeline that has WAL")
            .observed("no base backup leads to the newest WAL")
            .hint("make a new base backup now; the source may still have the file in pg_wal")
    };
    Some(finding.of(name))
}

/// Two timelines that both receive WAL: an old primary that was not fenced, or a restored copy that archives.
fn forked(inventory: &Inventory, timeline: Timeline) -> Option<Finding> {
    let (_, newest) = inventory.wal.newest(timeline)?;
    let other = inventory.wal.timelines.keys().find(|&&other| {
        other != timeline && inventory.wal.newest(other).is_some_and(|(_, modified)| modified > newest)
    })?;
    Some(
        Finding::note(
            Code::WalStale,
            format!("timeline {other} received WAL after timeline {timeline}: two servers archive here"),
        )
        .hint("is an old primary still running, or did a restored copy archive into this place?"),
    )
}

/// Objects that are there and should not be, or not like this.
fn objects(inventory: &Inventory) -> Vec<Finding> {
    let wal = &inventory.wal;
    let mut findings = Vec::new();
    if wal.zero_length.count > 0 {
        findings.push(
            Finding::failed(
                Code::WalZeroLength,
                Blame::Unknown,
                format!("{} WAL objects are empty", wal.zero_length.count),
            )
            .observed(wal.zero_length.text())
            .hint("an upload was cut off; whether a segment is missing stands under wal.gap"),
        );
    }
    if wal.wrong_size.count > 0 {
        findings.push(
            Finding::failed(
                Code::WalWrongSize,
                Blame::Backups,
                format!("{} uncompressed segments have the wrong size", wal.wrong_size.count),
            )
            .expected(format!("{} bytes", wal.segment_size.bytes()))
            .observed(wal.wrong_size.text())
            .hint("PostgreSQL refuses a segment of the wrong size; make a new base backup now"),
        );
    }
    for (code, examples, what) in [
        (Code::WalDuplicate, &wal.duplicates, "segments are stored under two extensions; barman takes the first"),
        (Code::ArchiveOrphan, &wal.orphans, "objects below wals/ are no WAL"),
    ] {
        if examples.count > 0 {
            let summary = format!("{} {what}", examples.count);
            findings.push(Finding::note(code, summary).observed(examples.text()));
        }
    }
    findings
}

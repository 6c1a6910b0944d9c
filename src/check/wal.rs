//! Judges the WAL of an inventory: what every backup needs, and gaps on the way from the oldest to the end.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::archive::gaps::{Gap, gaps as find_gaps};
use crate::archive::inventory::{Backup, Inventory};
use crate::archive::timeline::History;
use crate::archive::wal::{SegmentSize, Timeline};
use crate::archive::wal_listing::Extent;
use crate::finding::{Blame, Code, Finding};
use crate::plan::{Plan, signed};
use crate::report::text::{count, moment};

/// How many gaps are listed a second time and become findings; an archive with more is broken enough.
pub const CONFIRMED_GAPS: usize = 20;

/// All gaps that may become findings: on the way from the oldest restorable backup to the end of `timeline`, and
/// within each backup.
pub fn gaps(inventory: &Inventory, timeline: Timeline) -> Vec<Gap> {
    if inventory.wal.extent != Extent::All {
        return Vec::new();
    }
    let mut found = way_gaps(inventory, timeline).unwrap_or_default();
    for backup in inventory.restorable() {
        for gap in own_gaps(inventory, backup) {
            if !found.iter().any(|known| known.first <= gap.first && gap.last <= known.last) {
                found.push(gap);
            }
        }
    }
    found
}

/// `confirmed` holds the first segment numbers of the gaps that a second listing showed again.
pub fn judge(plan: &Plan, inventory: &Inventory, timeline: Timeline, confirmed: &BTreeSet<u64>) -> Vec<Finding> {
    let size = inventory.wal.segment_size;
    let mut findings = objects(inventory);
    if inventory.wal.extent != Extent::All {
        let summary = "only the end of the WAL was listed";
        findings.push(Finding::note(Code::WalGap, summary).hint("`--depth full` looks for gaps"));
        findings.extend(inventory.restorable().next_back().map(|backup| for_newest(inventory, backup)));
        return findings;
    }
    findings.extend(histories(inventory));
    let grace = signed(plan.freshness.max_wal_age);
    findings.extend(for_backups(inventory, confirmed, grace));

    match way_gaps(inventory, timeline) {
        // It is among the findings already.
        Err(_) => {}
        Ok(found) => {
            if found.is_empty() {
                findings.push(unbroken(inventory, timeline));
            }
            if let Some(more) = found.len().checked_sub(CONFIRMED_GAPS).filter(|&more| more > 0) {
                let summary = format!("{} more are not looked at again", count(more as u64, "gap", "gaps"));
                findings.push(Finding::note(Code::WalGap, summary));
            }
            findings.extend(
                found.iter().take(CONFIRMED_GAPS).map(|gap| {
                    way_gap(inventory, gap, confirmed, gap.may_close(inventory.taken_at, grace, None), size)
                }),
            );
        }
    }
    findings.extend(missing_history(inventory, timeline));
    findings.extend(forked(inventory, timeline));
    findings
}

/// The gaps from the oldest restorable backup's begin to the last segment of `timeline`.
fn way_gaps(inventory: &Inventory, timeline: Timeline) -> Result<Vec<Gap>, String> {
    let history = inventory.history(timeline)?;
    let Some((newest, _)) = inventory.wal.newest(timeline) else { return Ok(Vec::new()) };
    let spans = history.spans();
    let begins = inventory.restorable().filter_map(|backup| {
        let (own, begin, _) = backup.needed(inventory.wal.segment_size)?;
        spans.iter().any(|span| span.timeline == own).then_some(begin)
    });
    let Some(first) = begins.min() else { return Ok(Vec::new()) };
    Ok(find_gaps(&inventory.wal, &history, first, newest.number))
}

/// The gaps between a backup's own begin and end, on its own timeline.
fn own_gaps(inventory: &Inventory, backup: &Backup) -> Vec<Gap> {
    let Some((timeline, begin, end)) = backup.needed(inventory.wal.segment_size) else { return Vec::new() };
    find_gaps(&inventory.wal, &History::root(timeline), begin, end)
}

fn for_backups(inventory: &Inventory, confirmed: &BTreeSet<u64>, grace: SignedDuration) -> Vec<Finding> {
    let size = inventory.wal.segment_size;
    let mut findings = Vec::new();
    let mut whole = 0;
    for backup in inventory.restorable() {
        let missing = own_gaps(inventory, backup);
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
    findings
}

/// What a listing of the end shows of the newest backup's own WAL. A segment that it does not show may still be there.
fn for_newest(inventory: &Inventory, backup: &Backup) -> Finding {
    let finding = match own_gaps(inventory, backup).first() {
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

fn unbroken(inventory: &Inventory, timeline: Timeline) -> Finding {
    let summary = match inventory.recovery_window(timeline) {
        Some(window) if window.broken_by.is_none() => format!(
            "WAL is unbroken from base backup {} to {}",
            window.backup,
            window.last_segment.name(inventory.wal.segment_size)
        ),
        _ => format!("no segment is missing on timeline {timeline}"),
    };
    Finding::passed(Code::WalGap, summary)
}

fn histories(inventory: &Inventory) -> Vec<Finding> {
    let damaged = inventory.histories.iter().filter_map(|(timeline, history)| {
        let reason = history.as_ref().err()?;
        let name = format!("{:08X}.history", timeline.0);
        Some(
            Finding::failed(Code::WalHistoryDamaged, Blame::Backups, format!("{name} cannot be read: {reason}"))
                .of(name)
                .expected("a line for each ancestor: timeline, switch LSN, reason")
                .observed(reason)
                .hint("recovery along this timeline fails; make a new base backup on it"),
        )
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

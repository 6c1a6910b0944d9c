//! Which backup to start from and where to stop: a pure choice over the inventory, the baseline and the plan.

use jiff::Timestamp;

use crate::archive::gaps::Gap;
use crate::archive::inventory::{Backup, Inventory};
use crate::archive::timeline::History;
use crate::archive::wal::{Lsn, Segment, SegmentSize, Timeline};
use crate::finding::{Blame, Code, Finding};
use crate::plan::{BackupChoice, CLOCK_SKEW, Target, signed};
use crate::source::baseline::Baseline;

/// What will be restored, and to where.
#[derive(Debug, Clone)]
pub struct Choice {
    pub backup: String,
    pub stop: Stop,
    /// Recovery follows this timeline and no other.
    pub history: History,
    /// The last segment that replay may ask for and that the listing shows.
    pub last_segment: Segment,
    /// True when the target had to be the archive's end because the archive does not reach the baseline.
    pub short_of_baseline: bool,
}

/// PostgreSQL's recovery target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Before the first record at or behind this LSN.
    BeforeLsn(Lsn),
    EndOfArchive,
    /// Before the first commit later than this.
    Time(Timestamp),
    Xid(u64),
    RestorePoint(String),
}

impl Stop {
    pub fn text(&self) -> String {
        match self {
            Stop::BeforeLsn(lsn) => format!("LSN {lsn}, exclusive"),
            Stop::EndOfArchive => "the end of the archive".to_owned(),
            Stop::Time(time) => format!("time {time}"),
            Stop::Xid(xid) => format!("transaction {xid}"),
            Stop::RestorePoint(name) => format!("restore point {name}"),
        }
    }
}

/// Chooses, or says why nothing can be restored. `now` seeds the rotation and the target *before*.
pub fn choose(
    inventory: &Inventory,
    baseline: Option<&Baseline>,
    target: &Target,
    backup: &BackupChoice,
    now: Timestamp,
) -> Result<Choice, Box<Finding>> {
    let timeline = baseline
        .map(|baseline| covering_timeline(inventory, baseline).unwrap_or(baseline.server.timeline))
        .or_else(|| inventory.wal.newest_timeline())
        .ok_or_else(|| Box::new(no_wal(inventory)))?;
    let history = inventory.history(timeline).map_err(|reason| {
        let summary = format!("the history of timeline {timeline} cannot be read: {reason}");
        Finding::failed(Code::WalHistoryDamaged, Blame::Backups, summary)
            .of(format!("{:08X}.history", timeline.0))
            .expected("a line for each ancestor: timeline, switch LSN, reason")
            .observed(reason)
            .hint("without it recovery cannot follow this timeline; make a new base backup on it")
    })?;
    let size = inventory.wal.segment_size;
    let newest = inventory.newest_along(&history).map(|(segment, _)| segment);
    if let Some(finding) = only_the_parents(&history, newest, size) {
        return Err(finding);
    }

    let (stop, needed, short_of_baseline) = match (target, baseline) {
        (Target::Baseline, None) => {
            let summary = "the target is the baseline, and there is none";
            return Err(Box::new(Finding::not_checked(Code::BaselineNotCaptured, summary)));
        }
        (Target::Baseline, Some(baseline)) => {
            let containing = Segment::containing(timeline, baseline.lsn, size);
            if newest.is_some_and(|newest| newest.number >= containing.number) {
                (Stop::BeforeLsn(baseline.lsn), Some(containing), false)
            } else {
                (Stop::EndOfArchive, newest, true)
            }
        }
        (Target::Latest, _) => (Stop::EndOfArchive, newest, false),
        (Target::Before(ago), _) => {
            (Stop::Time(now.saturating_sub(signed(*ago)).unwrap_or(Timestamp::MIN)), None, false)
        }
        (Target::Time(time), _) => (Stop::Time(*time), None, false),
        (Target::Lsn(lsn), _) => (Stop::BeforeLsn(*lsn), Some(Segment::containing(timeline, *lsn, size)), false),
        (Target::Xid(xid), _) => (Stop::Xid(*xid), None, false),
        (Target::Name(name), _) => (Stop::RestorePoint(name.clone()), None, false),
    };

    let system_identifier = baseline
        .and_then(|baseline| baseline.server.system_identifier.parse().ok())
        .filter(|&system| inventory.leading_along(&history, Some(system)).next().is_some())
        .or_else(|| inventory.system_identifier());
    let mut candidates: Vec<&Backup> = inventory
        .leading_along(&history, system_identifier)
        .filter(|backup| ends_before(backup, &stop, short_of_baseline))
        .collect();
    // The WAL at the end of a standby's backup is archived only when the primary moves on: prefer a backup that is whole.
    let is_whole = |backup: &&Backup| inventory.gaps_from(backup, &history, 0).iter().all(|gap| gap.after.is_some());
    if !matches!(backup, BackupChoice::Id(_)) && candidates.iter().any(is_whole) {
        candidates.retain(is_whole);
    }
    let chosen = pick(inventory, &candidates, backup, &stop, now)?;
    let Some(last_segment) = needed.or(newest) else { return Err(Box::new(no_wal(inventory))) };
    if let Stop::BeforeLsn(lsn) = stop
        && newest.is_none_or(|newest| newest.number < last_segment.number)
    {
        let end = newest.map_or("nothing".to_owned(), |newest| newest.end(size).to_string());
        let summary = format!("the target lies behind the end of the archive's timeline {timeline}");
        return Err(Box::new(
            Finding::failed(Code::TargetOutsideWindow, Blame::Unknown, summary)
                .expected(format!("an archive that reaches {lsn}"))
                .observed(format!("it reaches {end}"))
                .hint("wait until the segment is archived, or choose an earlier target"),
        ));
    }
    Ok(Choice { backup: chosen.id.clone(), stop, history, last_segment, short_of_baseline })
}

/// The gaps on the way of a choice. A proven one fails the backups without a restore.
pub fn gaps_on_the_way(inventory: &Inventory, choice: &Choice) -> Vec<Gap> {
    inventory
        .backup(&choice.backup)
        .map(|backup| inventory.gaps_from(backup, &choice.history, choice.last_segment.number))
        .unwrap_or_default()
}

/// The timeline along which the archive reaches the baseline's LSN: the baseline's own, or one that forked off it
/// behind that LSN (the segment of the fork is archived under the child's name only).
pub fn covering_timeline(inventory: &Inventory, baseline: &Baseline) -> Option<Timeline> {
    let own = baseline.server.timeline;
    let reaches = |timeline: Timeline| {
        let containing = Segment::containing(timeline, baseline.lsn, inventory.wal.segment_size);
        inventory.wal.newest(timeline).is_some_and(|(newest, _)| newest.number >= containing.number)
    };
    if reaches(own) {
        return Some(own);
    }
    children(inventory, own).find(|&(child, fork)| fork >= baseline.lsn && reaches(child)).map(|(child, _)| child)
}

/// Says where a fail-over left the baseline's timeline before its LSN, if one did.
pub fn fork_before(inventory: &Inventory, baseline: &Baseline) -> Option<String> {
    let own = baseline.server.timeline;
    // A history that is older than the baseline is of a branch that the source did not take.
    let is_new = |child: Timeline| {
        let stored = inventory.wal.histories.get(&child).map(|object| object.modified);
        stored.is_none_or(|stored| stored >= baseline.captured_at.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN))
    };
    children(inventory, own)
        .find(|&(child, fork)| fork < baseline.lsn && is_new(child))
        .map(|(child, fork)| format!("timeline {child} forked off timeline {own} at {fork}"))
}

/// The timelines that forked off `parent`, directly or not, and where.
fn children(inventory: &Inventory, parent: Timeline) -> impl Iterator<Item = (Timeline, Lsn)> {
    inventory.histories.iter().filter_map(move |(&child, history)| {
        let ancestors = &history.as_ref().ok()?.ancestors;
        let fork = ancestors.iter().find(|ancestor| ancestor.timeline == parent)?;
        Some((child, fork.switch))
    })
}

fn ends_before(backup: &Backup, stop: &Stop, short_of_baseline: bool) -> bool {
    let Ok(info) = &backup.info else { return false };
    match stop {
        Stop::BeforeLsn(lsn) => info.end_lsn.is_some_and(|end| end <= *lsn),
        Stop::Time(time) => info.end_time.is_some_and(|end| end <= *time),
        Stop::EndOfArchive | Stop::Xid(_) | Stop::RestorePoint(_) => !short_of_baseline || info.end_lsn.is_some(),
    }
}

fn pick<'a>(
    inventory: &Inventory,
    candidates: &[&'a Backup],
    choice: &BackupChoice,
    stop: &Stop,
    now: Timestamp,
) -> Result<&'a Backup, Box<Finding>> {
    if let BackupChoice::Id(id) = choice {
        return candidates.iter().find(|backup| &backup.id == id).copied().ok_or_else(|| {
            let reason = match inventory.backup(id) {
                None => "the archive holds no such backup".to_owned(),
                Some(backup) => backup
                    .defect()
                    .unwrap_or_else(|| format!("it ended behind {} or lies on another timeline", stop.text())),
            };
            let summary = format!("backup {id} cannot be restored to {}: {reason}", stop.text());
            Box::new(
                Finding::failed(Code::TargetOutsideWindow, Blame::Unknown, summary)
                    .of(id)
                    .hint("choose another with `backup`; `walproof check` lists them"),
            )
        });
    }
    let Some(last) = candidates.len().checked_sub(1) else {
        if inventory.restorable().next().is_none() {
            return Err(no_backup(inventory));
        }
        let ends: Vec<String> = inventory
            .restorable()
            .map(|backup| format!("{} ends at {}", backup.id, backup.end_time().map_or("?".into(), |t| t.to_string())))
            .collect();
        return Err(Box::new(
            Finding::failed(
                Code::TargetOutsideWindow,
                Blame::Unknown,
                format!("no backup ends before {}", stop.text()),
            )
            .expected(format!("a completed backup that ends before {}", stop.text()))
            .observed(ends.join(", "))
            .hint("choose a later target; the recovery window begins where the oldest backup ends"),
        ));
    };
    let index = match choice {
        BackupChoice::Oldest => 0,
        BackupChoice::Newest | BackupChoice::Id(_) => last,
        BackupChoice::Rotate => {
            let day = usize::try_from(now.as_second().max(0) / 86_400).unwrap_or(0);
            last - day % candidates.len()
        }
    };
    Ok(candidates[index])
}

/// Right after a promotion, the archive may have the whole of the segment in which it happened from the old primary, and
/// nothing from the new one. Replay would go on with what the old one wrote behind the fork, which the source never had.
fn only_the_parents(history: &History, newest: Option<Segment>, size: SegmentSize) -> Option<Box<Finding>> {
    let fork = history.ancestors.last()?;
    let needed = Segment::containing(history.timeline, fork.switch, size);
    newest.filter(|newest| newest.timeline != needed.timeline && newest.number >= needed.number)?;
    let summary = format!("timeline {} has a history and no WAL in the archive yet", history.timeline);
    Some(Box::new(
        Finding::failed(Code::TargetOutsideWindow, Blame::Unknown, summary)
            .of(needed.name(size))
            .expected(format!("the segment that begins with the fork at {}", fork.switch))
            .observed(format!("only timeline {}'s own segment of that place", fork.timeline))
            .hint("run the drill again when it is archived; if it never is, see `wal.stale`"),
    ))
}

/// The finding for base backups beside which no WAL lies. Whether it is lost or not there yet, the listing cannot tell.
fn no_wal(inventory: &Inventory) -> Finding {
    let Some(backup) = inventory.restorable().next_back() else { return *no_backup(inventory) };
    Finding::failed(Code::WalMissingForBackup, Blame::Unknown, "the archive holds no WAL to recover with")
        .of(&backup.id)
        .expected("at least the segments between the begin and the end of a base backup")
        .observed("no segment")
        .hint("does the source archive its WAL to this place? See `wal.stale`")
}

/// The finding for an archive from which nothing can be restored.
pub fn no_backup(inventory: &Inventory) -> Box<Finding> {
    let defects: Vec<String> =
        inventory.backups.iter().filter_map(|backup| Some(format!("{}: {}", backup.id, backup.defect()?))).collect();
    let observed = if defects.is_empty() { "none".to_owned() } else { defects.join("; ") };
    Box::new(
        Finding::failed(Code::BackupNone, Blame::Backups, "there is no completed base backup to start from")
            .expected("at least one base backup with status DONE and all its parts")
            .observed(observed)
            .hint("make a base backup now, and look why the scheduled ones do not complete"),
    )
}

#[cfg(test)]
mod tests;

//! Judges whether WAL and base backups keep arriving. From the store alone an idle source and a dead archiver look the
//! same; with the source's own word they do not.

use jiff::{SignedDuration, Timestamp};

use crate::archive::inventory::Inventory;
use crate::archive::wal::Segment;
use crate::archive::wal_listing::Extent;
use crate::finding::{Blame, Code, Finding};
use crate::plan::{CLOCK_SKEW, Plan, signed};
use crate::report::text::{duration, moment};
use crate::source::archiver::Archiver;

/// What the source calls archived has been stored for at least as long as this, or never was.
const UPLOAD_GRACE: SignedDuration = SignedDuration::from_mins(1);

pub fn judge(plan: &Plan, inventory: &Inventory, archiver: Option<&Archiver>, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![wal(plan, inventory, archiver, now)];
    if let Some(archiver) = archiver {
        findings.push(match archiver.is_failing(now, plan.freshness.max_wal_age) {
            Some(reason) => Finding::failed(
                Code::SourceArchivingFailing,
                Blame::Backups,
                format!("the source does not archive its WAL: {reason}"),
            )
            .expected("every finished segment is archived")
            .observed(reason)
            .hint("see the source's log for archive_command; every hour adds to what would be lost"),
            None => Finding::passed(Code::SourceArchivingFailing, "the source's archiver reports no trouble"),
        });
    }
    findings.extend(backup(plan, inventory, archiver.is_some(), now));
    findings.extend(window(plan, inventory, archiver));
    findings
}

fn wal(plan: &Plan, inventory: &Inventory, archiver: Option<&Archiver>, now: Timestamp) -> Finding {
    let size = inventory.wal.segment_size;
    if inventory.wal.extent == Extent::Unknown {
        return Finding::not_checked(Code::WalStale, "the archive is too large to find its end within this depth")
            .hint("`--depth full` lists all of it");
    }
    let timeline = archiver.map(|archiver| archiver.timeline).or_else(|| inventory.wal.newest_timeline());
    let newest = timeline.and_then(|timeline| inventory.wal.newest(timeline));
    let Some((newest, stored_at)) = newest else {
        return match archiver {
            Some(archiver) => no_wal_of_its_timeline(plan, inventory, archiver, now),
            None => Finding::failed(Code::WalStale, Blame::Unknown, "the archive holds no WAL")
                .hint("does `archive.s3` name the place that the source archives to?"),
        };
    };
    let age = now.duration_since(stored_at);
    let max_age = signed(plan.freshness.max_wal_age);
    let name = newest.name(size);
    let stored = format!("{name}, stored {} ({} ago)", moment(stored_at), duration(age));

    let from_the_future = || {
        Finding::not_checked(Code::WalStale, "the newest segment was stored in the future, so its age is not known")
            .of(&name)
            .expected(format!("a time up to now, {}", moment(now)))
            .observed(format!("{name}, stored {}", moment(stored_at)))
            .hint("do the clocks of the object store and of this machine agree?")
    };
    let Some(archiver) = archiver else {
        if age < -CLOCK_SKEW {
            return from_the_future();
        }
        if age <= max_age {
            return Finding::passed(Code::WalStale, format!("the newest segment is {stored}")).of(name);
        }
        return Finding::failed(
            Code::WalStale,
            Blame::Unknown,
            "no WAL arrived lately, and the source was not asked why",
        )
        .of(name)
        .expected(format!("a segment within {}", duration(max_age)))
        .observed(stored)
        .hint("configure `connection`: an idle source and a dead archiver look the same from here");
    };
    let Some(current) = Segment::parse(&archiver.current_segment, size) else {
        let summary = format!("`{}` is no segment of {} bytes", archiver.current_segment, size.bytes());
        return Finding::not_checked(Code::WalStale, summary).hint("is this archive the source's?");
    };
    let behind = current.number.saturating_sub(newest.number);
    // The current segment is unfinished, so an archive that has the one before it has everything.
    if behind <= 1 {
        let summary = if age <= max_age {
            format!("the newest segment is {stored}")
        } else {
            format!("every finished segment is archived; the newest is {stored}, the source has been idle since")
        };
        return Finding::passed(Code::WalStale, summary).of(name);
    }
    if age < -CLOCK_SKEW {
        return from_the_future();
    }
    if age <= max_age {
        let summary = format!("the newest segment is {stored}; {} finished segments are under way", behind - 1);
        return Finding::passed(Code::WalStale, summary).of(name);
    }
    overdue(plan, archiver, newest.number, inventory, now)
        .of(&name)
        .expected(format!("segments up to the one before {}", archiver.current_segment))
        .observed(stored)
}

/// Finished segments are not in the archive. Whether they are late says only the source: how long they wait, or that it
/// believes them archived. After an idle time the archive's newest object is old and the missing ones are seconds old.
fn overdue(plan: &Plan, archiver: &Archiver, newest: u64, inventory: &Inventory, now: Timestamp) -> Finding {
    let size = inventory.wal.segment_size;
    let believed =
        archiver.last_archived_segment.as_deref().and_then(|name| Segment::parse(name, size)).filter(|last| {
            let since = archiver.last_archived_at.map(|at| archiver.observed_at.duration_since(at));
            last.timeline == archiver.timeline
                && last.number > newest
                && since.is_some_and(|since| since > UPLOAD_GRACE)
        });
    let hint = "see the source's log for archive_command; every hour adds to what would be lost";
    if let Some(believed) = believed {
        let summary = format!("the source believes {} archived, and it is not in the archive", believed.name(size));
        return Finding::failed(Code::WalStale, Blame::Backups, summary)
            .hint("does the source's archive_command write to this place, and does it report its failures?");
    }
    let max_age = signed(plan.freshness.max_wal_age);
    let waits = archiver.oldest_ready_at.map(|since| archiver.observed_at.duration_since(since));
    if archiver.is_failing(now, plan.freshness.max_wal_age).is_some() || waits.is_some_and(|waits| waits > max_age) {
        let summary = "the source has finished segments that the archive does not get";
        return Finding::failed(Code::WalStale, Blame::Backups, summary).hint(hint);
    }
    if archiver.ready_count.is_some() {
        return Finding::passed(Code::WalStale, "finished segments are under way, none of them for long");
    }
    Finding::not_checked(
        Code::WalStale,
        "finished segments are not in the archive yet; how long they wait is not known",
    )
    .hint("GRANT pg_monitor to the role of `connection`, so that it may look at pg_ls_archive_statusdir()")
}

/// Right after a fail-over the new timeline has no finished segment, only its history.
fn no_wal_of_its_timeline(plan: &Plan, inventory: &Inventory, archiver: &Archiver, now: Timestamp) -> Finding {
    let size = inventory.wal.segment_size;
    let timeline = archiver.timeline;
    let stored_at = inventory.wal.histories.get(&timeline).map(|history| history.modified);
    let forked_in = inventory
        .histories
        .get(&timeline)
        .and_then(|history| Some(history.as_ref().ok()?.ancestors.last()?.switch.0 / size.bytes()));
    let current = Segment::parse(&archiver.current_segment, size);
    let finished = current.zip(forked_in).map(|(current, forked_in)| current.number.saturating_sub(forked_in));
    match (stored_at, finished) {
        (Some(_), Some(0)) => Finding::passed(
            Code::WalStale,
            format!("the source has finished no segment on its new timeline {timeline}; its history is archived"),
        ),
        (Some(_), Some(finished)) => overdue(plan, archiver, forked_in.unwrap_or(0), inventory, now)
            .expected(format!("{finished} segments of timeline {timeline}"))
            .observed(format!("only the history of timeline {timeline}")),
        _ => Finding::not_checked(
            Code::WalStale,
            format!("the archive knows nothing of the source's timeline {timeline}"),
        )
        .hint("right after a fail-over this passes; otherwise, does `archive.s3` name this source's archive?"),
    }
}

fn backup(plan: &Plan, inventory: &Inventory, source_is_up: bool, now: Timestamp) -> Option<Finding> {
    let newest = inventory.restorable().next_back()?;
    let ended = newest.end_time().unwrap_or(newest.newest_object);
    let age = now.duration_since(ended);
    let max_age = signed(plan.freshness.max_backup_age);
    let observed = format!("{}, ended {} ({} ago)", newest.id, moment(ended), duration(age));
    if age < -CLOCK_SKEW {
        let summary = format!("base backup {} ended in the future, so its age is not known", newest.id);
        return Some(
            Finding::not_checked(Code::BackupStale, summary)
                .observed(moment(ended))
                .hint("do the clocks of the source and of this machine agree?"),
        );
    }
    if age <= max_age {
        return Some(
            Finding::passed(Code::BackupStale, format!("the newest base backup is {observed}")).of(&newest.id),
        );
    }
    // A source that is paused on purpose makes no backups; one that answers should.
    let blame = if source_is_up { Blame::Backups } else { Blame::Unknown };
    Some(
        Finding::failed(Code::BackupStale, blame, "the newest base backup is too old")
            .of(&newest.id)
            .expected(format!("one that ended within {}", duration(max_age)))
            .observed(observed)
            .hint("look why the scheduled backup did not run or did not complete"),
    )
}

fn window(plan: &Plan, inventory: &Inventory, archiver: Option<&Archiver>) -> Option<Finding> {
    let promised = signed(plan.objectives.recovery_window?);
    if inventory.wal.extent != Extent::All {
        return None;
    }
    let timeline = archiver.map(|archiver| archiver.timeline).or_else(|| inventory.wal.newest_timeline())?;
    let Some(window) = inventory.recovery_window(timeline) else {
        return Some(
            Finding::failed(Code::ObjectiveRecoveryWindow, Blame::Unknown, "there is no recovery window")
                .expected(duration(promised)),
        );
    };
    let length = window.to.duration_since(window.from);
    let observed = format!("{}, from {} to {}", duration(length), moment(window.from), moment(window.to));
    Some(if length >= promised {
        Finding::passed(Code::ObjectiveRecoveryWindow, format!("the recovery window is {observed}"))
    } else {
        Finding::failed(Code::ObjectiveRecoveryWindow, Blame::Source, "the recovery window is shorter than promised")
            .expected(duration(promised))
            .observed(observed)
            .hint("a new archive grows into its window; otherwise raise the retention, or look for a gap")
    })
}

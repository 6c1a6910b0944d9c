//! Which base backup the operator would choose by itself: a person at 3 a.m. pins none. The operator looks at times and
//! LSNs alone, neither at the status nor at the timeline (barman-cloud `pkg/catalog/catalog.go`).

use crate::archive::backup_info::Status;
use crate::archive::inventory::{Backup, Inventory};
use crate::finding::{Blame, Code, Finding};
use crate::target::{Choice, Stop};

/// What an unpinned recovery to this stop would start from.
#[derive(Debug)]
enum Pick<'a> {
    Backup(&'a Backup),
    /// It would find none.
    Nothing,
    /// The operator demands a pinned one for such a target.
    NotOffered,
}

fn pick<'a>(inventory: &'a Inventory, stop: &Stop) -> Pick<'a> {
    let counts = |backup: &&Backup| {
        let Ok(info) = &backup.info else { return false };
        let (Some(_), Some(end_time)) = (info.begin_time, info.end_time) else { return false };
        match stop {
            Stop::BeforeLsn(lsn) => info.end_lsn.is_some_and(|end| end < *lsn),
            Stop::Time(time) => end_time <= *time,
            Stop::EndOfArchive | Stop::Xid(_) | Stop::RestorePoint(_) => true,
        }
    };
    match stop {
        Stop::Xid(_) | Stop::RestorePoint(_) => Pick::NotOffered,
        Stop::BeforeLsn(_) | Stop::Time(_) | Stop::EndOfArchive => inventory
            .backups
            .iter()
            .filter(counts)
            .max_by_key(|backup| backup.end_time())
            .map_or(Pick::Nothing, Pick::Backup),
    }
}

pub(super) fn judge(inventory: &Inventory, choice: &Choice) -> Finding {
    let code = Code::BackupUnpinnedChoice;
    let picked = match pick(inventory, &choice.stop) {
        Pick::Backup(picked) => picked,
        Pick::Nothing => {
            let summary = format!("a recovery to {} that pins no base backup would find none", choice.stop.text());
            return Finding::note(code, summary).hint(format!("pin it by hand: `backupID: {}`", choice.backup));
        }
        Pick::NotOffered => {
            let summary = format!("a recovery to {} must pin its base backup", choice.stop.text());
            return Finding::note(code, summary);
        }
    };
    let id = &picked.id;
    if *id == choice.backup {
        return Finding::passed(code, "a recovery that pins no base backup would choose this one too").of(id);
    }
    let is_failed = picked.info.as_ref().is_ok_and(|info| info.status == Status::Failed);
    let trouble = picked.defect().or_else(|| {
        let timeline = choice.history.timeline;
        (!picked.lies_on(&choice.history)).then(|| format!("it does not lead to timeline {timeline}"))
    });
    match trouble {
        Some(trouble) => {
            let what = if is_failed { "a failed base backup" } else { "a base backup that cannot be restored" };
            Finding::failed(code, Blame::Source, format!("a recovery that pins none would start from {what}"))
                .of(id)
                .expected(format!("base backup {}", choice.backup))
                .observed(format!("{id}: {trouble}"))
                .hint(format!(
                    "remove it with barman-cloud-backup-delete, or remember to pin `backupID: {}`",
                    choice.backup
                ))
        }
        None => Finding::note(code, format!("a recovery that pins no base backup would start from {id}"))
            .of(id)
            .observed(format!("the drill restores {}", choice.backup)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::inventory::NoInfo;
    use crate::archive::inventory::fixture::{SIZE, inventory};
    use crate::archive::timeline::History;
    use crate::archive::wal::{Lsn, Segment, Timeline};
    use crate::finding::Outcome;

    /// Three backups, in segments 3, 5 and 7, ended at minutes 3, 5 and 7; the second failed after its end.
    fn archive() -> Inventory {
        let mut inventory = inventory(&[(1, 3), (1, 5), (1, 7)], &[(1, 3..=9)]);
        inventory.backups[1].info.as_mut().unwrap().status = Status::Failed;
        inventory
    }

    fn judged(inventory: &Inventory, backup: usize, stop: Stop) -> (Outcome, Option<String>) {
        let choice = Choice {
            backup: inventory.backups[backup].id.clone(),
            stop,
            history: History::root(Timeline(1)),
            last_segment: Segment { timeline: Timeline(1), number: 9 },
            short_of_baseline: false,
        };
        let finding = judge(inventory, &choice);
        (finding.outcome, finding.object)
    }

    fn before(number: u64, offset: u64) -> Stop {
        Stop::BeforeLsn(Lsn(number * SIZE.bytes() + offset))
    }

    #[test]
    fn the_operator_chooses_by_lsn_and_time_and_takes_a_failed_backup() {
        let archive = archive();
        let id = |index: usize| Some(archive.backups[index].id.clone());
        let time = |text: &str| Stop::Time(text.parse().unwrap());
        for (name, backup, stop, expected) in [
            ("the newest", 2, Stop::EndOfArchive, (Outcome::Passed, id(2))),
            ("an older one was rotated to", 0, Stop::EndOfArchive, (Outcome::Note, id(2))),
            ("behind the last", 2, before(8, 0), (Outcome::Passed, id(2))),
            ("exactly at an end is not behind it", 0, before(5, 0x100), (Outcome::Passed, id(0))),
            ("right behind a failed one", 0, before(5, 0x101), (Outcome::Failed, id(1))),
            ("before all", 0, before(3, 0x100), (Outcome::Note, None)),
            ("a time is inclusive", 2, time("2026-11-21T00:07:30Z"), (Outcome::Passed, id(2))),
            ("a moment earlier", 0, time("2026-11-21T00:07:29Z"), (Outcome::Failed, id(1))),
            ("a transaction needs a pin", 0, Stop::Xid(700), (Outcome::Note, None)),
        ] {
            assert_eq!(judged(&archive, backup, stop), expected, "{name}");
        }
    }

    #[test]
    fn a_backup_without_its_times_does_not_count() {
        let mut archive = archive();
        archive.backups[2].info.as_mut().unwrap().end_time = None;
        archive.backups[1].info = Err(NoInfo::Missing);
        assert_eq!(judged(&archive, 0, Stop::EndOfArchive).0, Outcome::Passed);
    }

    #[test]
    fn a_backup_of_another_branch_is_a_bad_choice() {
        let mut archive = archive();
        archive.backups[2].info.as_mut().unwrap().timeline = Some(Timeline(2));
        assert_eq!(judged(&archive, 0, Stop::EndOfArchive).0, Outcome::Failed);
    }
}

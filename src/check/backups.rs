//! Judges the base backups of an inventory.

use crate::archive::backup_info::{BackupInfo, Status};
use crate::archive::inventory::{Backup, Inventory, NoInfo};
use crate::archive::wal_listing::Extent;
use crate::finding::{Blame, Code, Finding};
use crate::report::text::count;
use crate::target;

/// True when something in the listing would blame the backups.
pub fn is_suspicious(inventory: &Inventory) -> bool {
    inventory.restorable().next().is_none() || inventory.backups.iter().any(claims_falsely)
}

/// `earlier` is a first listing of the same archive: a backup that retention removes meanwhile loses its parts one by
/// one, so only what both listings show is a defect.
pub fn judge(inventory: &Inventory, earlier: Option<&Inventory>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let restorable: Vec<&Backup> = inventory.restorable().collect();
    match restorable.last() {
        Some(newest) => findings.push(
            Finding::passed(
                Code::BackupNone,
                format!("complete base backups: {} of {}", restorable.len(), inventory.backups.len()),
            )
            .of(&newest.id),
        ),
        None if inventory.wal.extent != Extent::All => findings.push(
            Finding::not_checked(
                Code::BackupNone,
                "none of the newest base backups is complete; older ones were not looked at",
            )
            .hint("`--depth full` looks at all of them"),
        ),
        None => findings.push(*target::no_backup(inventory)),
    }
    findings.extend(inventory.backups.iter().filter_map(|backup| not_restorable(backup, earlier)));
    let frozen = inventory.frozen.count + inventory.wal.frozen.count;
    if frozen > 0 {
        let examples = if inventory.frozen.count > 0 { &inventory.frozen } else { &inventory.wal.frozen };
        findings.push(
            Finding::failed(
                Code::ArchiveFrozen,
                Blame::Backups,
                format!(
                    "{} lie in a storage class that must be thawed before a restore",
                    count(frozen, "object", "objects")
                ),
            )
            .expected("every object can be read at once")
            .observed(examples.text())
            .hint("exempt this prefix from the life-cycle rule, and thaw what retention still keeps"),
        );
    }
    if inventory.orphans.count > 0 {
        let summary = format!("{} objects below base/ belong to no backup", inventory.orphans.count);
        findings.push(Finding::note(Code::ArchiveOrphan, summary).observed(inventory.orphans.text()));
    }
    let unknown: Vec<&str> = inventory
        .restorable()
        .filter_map(|backup| backup.info.as_ref().ok())
        .flat_map(|info| info.unknown_keys.iter().map(String::as_str))
        .collect();
    if let Some(key) = unknown.first() {
        let summary =
            format!("backup.info has the unknown key `{key}`; a barman that is too old refuses such a backup");
        findings.push(
            Finding::note(Code::BackupNotRestorable, summary)
                .hint("restore with a barman at least as new as the one that archives"),
        );
    }
    findings
}

/// A backup that says DONE and cannot be restored is the archive's fault; one that says so itself is only a note.
fn not_restorable(backup: &Backup, earlier: Option<&Inventory>) -> Option<Finding> {
    let defect = backup.defect()?;
    let summary = format!("base backup {} cannot be restored: {defect}", backup.id);
    let seen_twice = earlier.and_then(|earlier| earlier.backup(&backup.id)).is_some_and(claims_falsely);
    let finding = if claims_falsely(backup) && seen_twice {
        Finding::failed(Code::BackupNotRestorable, Blame::Backups, summary)
            .expected("a base backup with status DONE has all its parts")
            .observed(defect)
            .hint("make a new base backup; remove this one so that no recovery picks it")
    } else if matches!(backup.info, Err(NoInfo::Unreadable(_))) {
        // A newer barman may write what we cannot read, so this blames nobody.
        Finding::failed(Code::BackupNotRestorable, Blame::Unknown, summary)
            .hint("try `barman-cloud-backup-list`: if it cannot read the file either, make a new base backup")
    } else {
        Finding::note(Code::BackupNotRestorable, summary)
    };
    Some(finding.of(&backup.id))
}

/// It says DONE and cannot be restored. A snapshot's data lie elsewhere, and an incremental backup needs its parent:
/// neither is broken.
fn claims_falsely(backup: &Backup) -> bool {
    let claims =
        |info: &BackupInfo| info.status == Status::Done && !info.is_snapshot && info.parent_backup_id.is_none();
    backup.info.as_ref().is_ok_and(claims) && !backup.is_restorable()
}

//! Judges the base backups of an inventory.

use crate::archive::backup_info::{BackupInfo, Status};
use crate::archive::inventory::{Backup, Inventory, NoInfo};
use crate::finding::{Blame, Code, Finding};
use crate::report::text::count;
use crate::target;

pub fn judge(inventory: &Inventory) -> Vec<Finding> {
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
        None => findings.push(*target::no_backup(inventory)),
    }
    findings.extend(inventory.backups.iter().filter_map(not_restorable));
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
fn not_restorable(backup: &Backup) -> Option<Finding> {
    let defect = backup.defect()?;
    let summary = format!("base backup {} cannot be restored: {defect}", backup.id);
    // A snapshot's data lie elsewhere, and an incremental backup needs its parent: neither is broken.
    let claims =
        |info: &BackupInfo| info.status == Status::Done && !info.is_snapshot && info.parent_backup_id.is_none();
    let finding = if backup.info.as_ref().is_ok_and(claims) {
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

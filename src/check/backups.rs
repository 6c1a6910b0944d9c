//! Judges the base backups of an inventory.

use crate::archive::backup_info::Status;
use crate::archive::inventory::{Backup, Inventory};
use crate::finding::{Blame, Code, Finding};
use crate::target;

pub fn judge(inventory: &Inventory) -> Vec<Finding> {
    let mut findings = Vec::new();
    let restorable: Vec<&Backup> = inventory.restorable().collect();
    match restorable.last() {
        Some(newest) => findings.push(
            Finding::passed(
                Code::BackupNone,
                format!("{} of {} base backups are complete", restorable.len(), inventory.backups.len()),
            )
            .of(&newest.id),
        ),
        None => findings.push(*target::no_backup(inventory)),
    }
    findings.extend(inventory.backups.iter().filter_map(not_restorable));
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
    let says_done = matches!(&backup.info, Ok(info) if info.status == Status::Done);
    let finding = if says_done {
        Finding::failed(Code::BackupNotRestorable, Blame::Backups, summary)
            .expected("a base backup with status DONE has all its parts")
            .observed(defect)
            .hint("make a new base backup; remove this one so that no recovery picks it")
    } else {
        Finding::note(Code::BackupNotRestorable, summary)
    };
    Some(finding.of(&backup.id))
}

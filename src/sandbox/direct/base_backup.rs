//! Downloads and unpacks the base backup: several tars at once, each through parallel ranges.

use std::sync::Arc;

use futures_util::StreamExt;

use super::unpack::{UnpackError, Unpacked, unpack};
use super::{Sandbox, unusable};
use crate::archive::backup_info::BackupInfo;
use crate::archive::inventory::{Backup, Tar};
use crate::archive::reader::{ObjectReader, store_error};
use crate::archive::store::Store;
use crate::check;
use crate::drill::progress::Progress;
use crate::finding::{Blame, Code, Finding};

/// Tars unpacked at once: one inflates while another waits for the store or the disk.
const TARS_AT_ONCE: usize = 2;
/// Ranges in flight for each tar; with 4 MiB each, 32 MiB in all.
const RANGES_AT_ONCE: usize = 4;

/// Restores the files of `backup` into the sandbox. Returns the notes that unpacking gave.
pub async fn restore(
    store: &Store,
    backup: &Backup,
    info: &BackupInfo,
    sandbox: &Sandbox,
    progress: &Arc<Progress>,
) -> Result<Vec<Finding>, Box<Finding>> {
    progress.expect_bytes(info.cluster_size.unwrap_or(backup.bytes));
    for tablespace in &info.tablespaces {
        let directory = sandbox.tablespace(tablespace.oid);
        std::fs::create_dir_all(&directory)
            .and_then(|()| sandbox.own(&directory))
            .map_err(|error| unusable(format!("the directory of a tablespace could not be made: {error}")))?;
    }
    let unpack_one = |tar: Tar| {
        let directory = tar.tablespace.map_or_else(|| sandbox.data(), |oid| sandbox.tablespace(oid));
        let (owner, store, progress) = (sandbox.owner(), store.clone(), Arc::clone(progress));
        async move {
            let reader = ObjectReader::start(store.clone(), tar.key.clone(), RANGES_AT_ONCE);
            let codec = tar.compression;
            let work = move || unpack(reader, codec, &directory, owner, progress.bytes_counter());
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(unpacked)) => Ok((tar, unpacked)),
                Ok(Err(error)) => Err(finding(&store, backup, &tar, &error)),
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
    };
    let mut all = futures_util::stream::iter(backup.tars.clone()).map(unpack_one).buffered(TARS_AT_ONCE);
    let mut unpacked = Vec::new();
    while let Some(one) = all.next().await {
        unpacked.push(one.map_err(Box::new)?);
    }
    verify(backup, info, &unpacked).map_err(Box::new)?;

    let skipped: Vec<&str> = unpacked.iter().flat_map(|(_, tar)| tar.skipped.iter().map(String::as_str)).collect();
    Ok(skipped
        .first()
        .map(|first| {
            let summary = format!("{} members that are neither files nor directories were left out", skipped.len());
            Finding::note(Code::BackupUnsafeMember, summary).observed((*first).to_owned())
        })
        .into_iter()
        .collect())
}

/// The last part of the data closes with `pg_control` and then `backup_label`, and the label is this backup's.
fn verify(backup: &Backup, info: &BackupInfo, unpacked: &[(Tar, Unpacked)]) -> Result<(), Finding> {
    let damaged = |summary: String| {
        Finding::failed(Code::BackupDamaged, Blame::Backups, summary)
            .of(&backup.id)
            .hint("make a new base backup; this one starts no server that can be trusted")
    };
    let data = || unpacked.iter().filter(|(tar, _)| tar.tablespace.is_none());
    if !data().any(|(_, unpacked)| unpacked.has_control_file) {
        return Err(damaged(format!("base backup {} holds no global/pg_control", backup.id))
            .expected("global/pg_control among its last members")
            .observed("no such member"));
    }
    let Some(label) = data().next_back().and_then(|(_, unpacked)| unpacked.backup_label.as_ref()) else {
        return Err(damaged(format!("base backup {} does not end in its backup_label", backup.id))
            .expected("backup_label as the last member of the last part")
            .observed("another last member, or none"));
    };
    match &info.backup_label {
        Some(expected) if expected.trim() != label.trim() => Err(damaged(format!(
            "the data of base backup {} are another backup's: its backup_label is not the one in backup.info",
            backup.id
        ))
        .expected(expected.lines().next().unwrap_or_default())
        .observed(label.lines().next().unwrap_or_default())),
        _ => Ok(()),
    }
}

fn finding(store: &Store, backup: &Backup, tar: &Tar, error: &UnpackError) -> Finding {
    match error {
        UnpackError::Damaged(reason) => {
            Finding::failed(Code::BackupDamaged, Blame::Backups, format!("{} cannot be unpacked", tar.key))
                .expected("a whole tar")
                .observed(reason)
                .hint("make a new base backup; barman would restore this one in part and say nothing")
        }
        UnpackError::Unsafe { .. } => {
            Finding::failed(Code::BackupUnsafeMember, Blame::Backups, format!("{} was refused: {error}", tar.key))
                .hint("who can write to this archive? barman would write this member where it says")
        }
        UnpackError::Io(error) => match store_error(error) {
            Some(trouble) if trouble.is_absent() => {
                Finding::not_checked(Code::BackupVanished, format!("{} was removed during the download", tar.key))
                    .hint("retention took this backup meanwhile; run the drill again")
            }
            Some(trouble) => check::unreadable(store, trouble),
            None => unusable(format!("{} could not be unpacked: {error}", tar.key)),
        },
    }
    .of(&backup.id)
}

//! The restore in the direct sandbox: download, replay, and the wait until the server has recovered.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::{Recovered, Task, begun};
use crate::archive::backup_info::BackupInfo;
use crate::archive::wal::Lsn;
use crate::drill::evidence::{Evidence, milliseconds};
use crate::drill::progress::Step;
use crate::drill::prove::End;
use crate::finding::{Code, Finding, Outcome};
use crate::plan::DirectSandbox;
use crate::probe::recovery::Touched;
use crate::sandbox::direct::server::{Arrival, Server, prepare};
use crate::sandbox::direct::settings::{ControlFile, settings};
use crate::sandbox::direct::spool::{self, Spool};
use crate::sandbox::direct::{Sandbox, base_backup, binaries, diagnose, unusable};
use crate::target::{Choice, Stop};

pub(super) async fn restore(
    task: &Task<'_>,
    plan: &DirectSandbox,
    sandbox: &mut Sandbox,
    evidence: &mut Evidence,
) -> Result<Recovered, End> {
    let Task { store, inventory, baseline, choice, progress, .. } = *task;
    let size = inventory.wal.segment_size;
    let backup = inventory.backup(&choice.backup).ok_or(End::Decided)?;
    let Ok(info) = &backup.info else { return Err(End::Decided) };
    let (_, first, _) = backup.needed(size).ok_or(End::Decided)?;
    let superuser = baseline.map_or("postgres", |baseline| baseline.server.superuser.as_str()).to_owned();
    evidence.superuser.clone_from(&superuser);

    // Replay of its creation would make it at production's own path, on whatever machine this is. The spool refuses every
    // such record; this one is known before anything is downloaded.
    let known = |oid: u32| info.tablespaces.iter().any(|tablespace| tablespace.oid == oid);
    let newer = baseline.and_then(|baseline| baseline.server.tablespaces.iter().find(|space| !known(space.oid)));
    if let Some(tablespace) = newer {
        return Err(End::because(
            unusable(format!("the tablespace {} is newer than base backup {}", tablespace.name, backup.id))
                .of(&backup.id)
                .expected("a base backup that holds every tablespace of the source")
                .hint("choose a newer base backup with `backup`; make one if there is none"),
        ));
    }
    let wal_bytes = choice.last_segment.number.saturating_sub(first) * size.bytes();
    let room = sandbox.room(backup, wal_bytes, plan.spool);
    let no_room = room.outcome == Outcome::Failed;
    evidence.add(room);
    let programs = binaries::find(plan.binaries.as_deref(), info.major().unwrap_or(0))?;
    if no_room {
        return Err(End::Decided);
    }
    sandbox.create().map_err(|error| {
        End::because(
            unusable(format!("the sandbox {} could not be made: {error}", sandbox.root().display()))
                .hint("is `sandbox.direct.directory` writable?"),
        )
    })?;
    evidence.restore = Some(begun("direct", backup, task));

    let began = Instant::now();
    progress.enter(Step::Download);
    let ahead = spool::way(inventory, &choice.history, first, choice.last_segment.number);
    let replayed = replayed(info, choice);
    let bytes = plan.spool;
    let spool =
        Spool::start(store.clone(), Arc::clone(inventory), ahead, replayed, bytes, sandbox, Arc::clone(progress))
            .map_err(|error| {
                End::because(unusable(format!("the socket for restore_command could not be made: {error}")))
            })?;
    evidence.extend(base_backup::restore(store, backup, info, sandbox, progress).await?);
    evidence.phase("download", began);
    if let Some(restore) = &mut evidence.restore {
        restore.bytes_unpacked = progress.glance().bytes;
    }

    progress.enter(Step::Replay);
    let replaying = Instant::now();
    prepare(sandbox, info)
        .map_err(|error| End::because(unusable(format!("the data directory could not be prepared: {error}"))))?;
    let control = ControlFile::read(&programs.controldata, &sandbox.data())?;
    let settings = settings(sandbox, &control, size, choice, info);
    let server = Server::start(&programs.postgres, sandbox, &settings, &superuser)
        .map_err(|error| End::because(unusable(format!("{} could not be started: {error}", programs.version))))?;
    let log = sandbox.log();
    sandbox.attach(server);
    let arrival = match sandbox.server() {
        Some(server) => server.arrival(&log).await,
        None => return Err(End::Decided),
    };
    evidence.phase("replay", replaying);
    let replayed = spool.stop().await;
    if let Some(restore) = &mut evidence.restore {
        restore.segments_replayed = replayed.segments;
        restore.first_segment_replayed = replayed.first.map(|segment| segment.name(size));
        restore.last_segment_replayed = replayed.last.map(|segment| segment.name(size));
    }
    match arrival {
        Arrival::Up(client) => {
            if let Some(restore) = &mut evidence.restore {
                restore.recovery_time_ms = Some(milliseconds(began.elapsed()));
            }
            evidence
                .add(Finding::passed(Code::ServerUp, format!("{} recovered and takes connections", programs.version)));
            Ok(Recovered {
                client,
                control: control.system_identifier(),
                backup: info.system_identifier,
                touched: Touched::Never,
            })
        }
        Arrival::Exited(log) => Err(End::because(diagnose::exited(&log, &replayed, inventory, choice))),
        Arrival::Refused(reason) => Err(End::because(
            Finding::not_checked(Code::ServerUp, format!("the restored server refuses the connection: {reason}"))
                .hint(format!("is `{superuser}` a superuser of the source?")),
        )),
    }
}

/// The LSNs of the records that are replayed, as far as they are known before.
fn replayed(info: &BackupInfo, choice: &Choice) -> Range<Lsn> {
    // Replay begins where the data's own backup_label says, which the download compares with this one.
    let from = info.labels_agree().ok().and(info.begin_lsn).unwrap_or(Lsn(0));
    let to = match choice.stop {
        Stop::BeforeLsn(lsn) => lsn,
        Stop::EndOfArchive | Stop::Time(_) | Stop::Xid(_) | Stop::RestorePoint(_) => Lsn(u64::MAX),
    };
    from..to
}

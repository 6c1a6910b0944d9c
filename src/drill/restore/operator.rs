//! The restore by the operator: a scratch `Cluster` is made and waited for, then its restored server is connected to.

use std::time::Instant;

use super::{Recovered, Task, begun};
use crate::archive::inventory::Inventory;
use crate::archive::layout;
use crate::archive::wal::Segment;
use crate::drill::evidence::{Evidence, milliseconds};
use crate::drill::progress::Step;
use crate::drill::prove::End;
use crate::finding::{Blame, Code, Finding, Outcome};
use crate::plan::OperatorSandbox;
use crate::probe::recovery::Touched;
use crate::sandbox::direct::diagnose::not_served;
use crate::sandbox::direct::fetch::{self, FetchError};
use crate::sandbox::operator::connect::Server;
use crate::sandbox::operator::recovery::await_recovery;
use crate::sandbox::operator::room::Sizes;
use crate::sandbox::operator::{Sandbox, diagnose, locked, manifest, network};
use crate::source::cluster::SourceCluster;
use crate::source::gates;
use crate::target::Choice;

pub(super) async fn restore(
    task: &Task<'_>,
    plan: &OperatorSandbox,
    sandbox: &mut Sandbox,
    evidence: &mut Evidence,
) -> Result<Recovered, End> {
    let Task { inventory, choice, progress, .. } = task;
    let source = task.source.ok_or(End::Decided)?;
    let size = inventory.wal.segment_size;
    let backup = inventory.backup(&choice.backup).ok_or(End::Decided)?;
    let Ok(info) = &backup.info else { return Err(End::Decided) };
    let (_, first, _) = backup.needed(size).ok_or(End::Decided)?;
    "postgres".clone_into(&mut evidence.superuser);
    let sizes = sizes(source, plan, inventory, choice)?;

    let gates = gates::of_choice(&sandbox.kubernetes, source, plan, inventory, choice, &sizes).await;
    let ends_here = gates.iter().any(gates::ends_drill);
    evidence.extend(gates);
    if ends_here {
        return Err(End::Decided);
    }
    let mut restore = begun("operator", backup, task);
    restore.deviations = manifest::deviations(source, plan, choice);
    evidence.restore = Some(restore);

    progress.enter(Step::MakeSandbox);
    let began = Instant::now();
    sandbox.create_owner().await?;
    let network = network::test(sandbox, source, plan).await;
    let is_blocked = network.iter().any(gates::ends_drill);
    sandbox.egress_closed =
        network.iter().any(|finding| finding.code == Code::NetworkEgressOpen && finding.outcome == Outcome::Passed);
    evidence.extend(network);
    evidence.phase("network", began);
    if is_blocked {
        return Err(End::Decided);
    }

    let creating = Instant::now();
    let owner = sandbox.owner().cloned();
    sandbox.make(&manifest::store_secret(source, &sandbox.names, owner.as_ref())).await?;
    if let Some(object_store) = manifest::object_store(source, &sandbox.names, owner.as_ref()) {
        sandbox.make(&object_store).await?;
    }
    let cluster = manifest::cluster(source, plan, &sizes, choice, &sandbox.names, owner.as_ref());
    let log = sandbox.begin_log(size);
    sandbox.make(&cluster).await?;
    evidence.phase("create", creating);

    progress.enter(Step::Recover);
    progress.expect_segments(choice.last_segment.number.saturating_sub(first) + 1);
    let recovering = Instant::now();
    let primary = await_recovery(sandbox, &log, inventory, choice, progress).await;
    evidence.phase("operator", recovering);
    if let (Some(restore), Some(restored)) = (&mut evidence.restore, locked(&log).restored()) {
        restore.segments_replayed = restored.count;
        restore.first_segment_replayed = Some(restored.first.name(size));
        restore.last_segment_replayed = Some(restored.last.name(size));
    }
    let primary = match primary {
        Ok(primary) => primary,
        Err(finding) => {
            let finding = if plan.image_override.is_some() { diagnose::with_own_image(*finding) } else { *finding };
            let (undelivered, suspect) = {
                let log = locked(&log);
                (diagnose::undelivered(&log, inventory, choice), diagnose::suspect(&log, inventory, choice))
            };
            let read = match (undelivered, suspect) {
                (Some(segment), _) => read_again(task, segment).await,
                // A whole object clears a wrong size; a record within it may still be broken.
                (None, Some(segment)) => read_again(task, segment)
                    .await
                    .filter(|read| read.blames_backups() || finding.code == Code::WalSegmentDamaged),
                (None, None) => None,
            };
            return Err(End::because(read.unwrap_or(finding)));
        }
    };

    progress.enter(Step::Connect);
    let connecting = Instant::now();
    let not_up = |reason: String| {
        Finding::failed(Code::ServerUp, Blame::Environment, "the restored server is healthy and cannot be connected to")
            .of(&primary)
            .observed(reason)
            .hint("do the sandbox's network policies admit the drill's pod on 5432, and its Role the Secrets and the Service?")
    };
    let server = Server::find(sandbox, &primary).await.map_err(|reason| End::because(not_up(reason)))?;
    let client = server.first_connection().await.map_err(|error| End::because(not_up(error.to_string())))?;
    sandbox.attach(server);
    evidence.phase("connect", connecting);
    if let Some(restore) = &mut evidence.restore {
        restore.recovery_time_ms = Some(milliseconds(creating.elapsed()));
    }
    let question = "SELECT system_identifier::text, current_setting('server_version') FROM pg_control_system()";
    let answer = client.query_one(question, &[]).await.ok();
    let control = answer.as_ref().and_then(|row| row.get::<_, String>(0).parse().ok());
    let version = answer.map(|row| row.get::<_, String>(1)).unwrap_or_default();
    evidence.add(
        Finding::passed(
            Code::ServerUp,
            format!("PostgreSQL {version} was recovered by the operator and takes connections"),
        )
        .of(&primary),
    );
    Ok(Recovered { client, control, backup: info.system_identifier, touched: Touched::ByOperator })
}

/// Recovery did not get this segment and nothing says why: reading it here tells whose fault it is. None when that is
/// not possible either.
async fn read_again(task: &Task<'_>, segment: Segment) -> Option<Finding> {
    let size = task.inventory.wal.segment_size;
    let name = segment.name(size);
    let compression = task.inventory.wal.compression_of(segment)?;
    let what = (segment, size, task.inventory.system_identifier());
    let read = async || {
        let key = layout::segment_key(segment, size, compression);
        fetch::read_whole(task.store, key, compression, what).await
    };
    // A connection that broke looks like a damaged object once, not twice.
    match (read().await, read().await) {
        (Err(FetchError::Damaged(_)), Err(damage @ FetchError::Damaged(_))) => Some(
            not_served(&name, &damage).observed(format!("the operator's recovery ended at it, and read here: {damage}")),
        ),
        (Ok(()), Ok(())) => Some(
            Finding::failed(
                Code::RecoveryStop,
                Blame::Environment,
                format!("recovery ended before the target: it did not get segment {name}, which is whole"),
            )
            .of(name)
            .expected(task.choice.stop.text())
            .observed("read here, the object is a whole segment of this cluster")
            .hint("look at the recovery log: a full volume (`sandbox.operator.storageFactor`) or the network kept it away"),
        ),
        _ => None,
    }
}

/// How large the sandbox's volumes must be for this choice.
pub fn sizes(
    source: &SourceCluster,
    plan: &OperatorSandbox,
    inventory: &Inventory,
    choice: &Choice,
) -> Result<Sizes, Box<Finding>> {
    let size = inventory.wal.segment_size;
    let backup = inventory.backup(&choice.backup);
    let first = backup.and_then(|backup| backup.needed(size)).map_or(0, |(_, first, _)| first);
    let wal_bytes = choice.last_segment.number.saturating_sub(first) * size.bytes();
    let cluster_size = backup.and_then(|backup| backup.info.as_ref().ok()?.cluster_size);
    Sizes::of(source, cluster_size, wal_bytes, plan.storage_factor)
}

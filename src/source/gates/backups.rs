//! The source's `Backup` and `ScheduledBackup` objects against the clock and the archive.

use jiff::{SignedDuration, Timestamp};

use super::{cut, unread};
use crate::archive::inventory::Inventory;
use crate::cnpg::{Backup, ScheduledBackup};
use crate::finding::{Blame, Code, Finding};
use crate::kubernetes::ApiError;
use crate::report::text::moment;
use crate::source::cluster::SourceCluster;

/// The operator makes a scheduled Backup within moments; an operator that is upgraded takes its time.
const MISSED_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The completed one that ended last.
pub(super) fn newest_completed(backups: &[Backup]) -> Option<&Backup> {
    let completed = backups.iter().filter(|backup| phase(backup) == Some("completed"));
    completed.max_by_key(|backup| backup.status.as_ref().and_then(|status| status.stopped_at))
}

fn phase(backup: &Backup) -> Option<&str> {
    backup.status.as_ref()?.phase.as_deref()
}

pub(super) fn scheduled(cluster: &str, scheduled: &Result<Vec<ScheduledBackup>, ApiError>, now: Timestamp) -> Finding {
    let code = Code::BackupNotScheduled;
    let all = match scheduled {
        Ok(all) => all,
        Err(error) => {
            let summary = "whether base backups are scheduled is not known";
            return unread(code, summary, error, "`list` on scheduledbackups in the source's namespace");
        }
    };
    let name = |scheduled: &ScheduledBackup| scheduled.metadata.name.clone().unwrap_or_default();
    let troubles: Vec<String> =
        all.iter().filter_map(|one| Some(format!("{} {}", name(one), trouble(one, now)?))).collect();
    if let Some(working) = all.iter().find(|one| trouble(one, now).is_none()) {
        let summary = format!("{} makes base backups, at {}", name(working), cut(&working.spec.schedule));
        let finding = Finding::passed(code, summary).of(cluster);
        if troubles.is_empty() { finding } else { finding.observed(troubles.join("; ")) }
    } else {
        let (summary, observed) = if all.is_empty() {
            ("no ScheduledBackup makes base backups of the source", "none".to_owned())
        } else {
            ("no ScheduledBackup of the source is in working order", troubles.join("; "))
        };
        Finding::failed(code, Blame::Source, summary)
            .of(cluster)
            .expected("a ScheduledBackup that is not suspended, has no error and has missed none")
            .observed(observed)
            .hint("retention counts on new base backups; if something else makes them, this can be ignored")
    }
}

/// Why a scheduled one makes none.
fn trouble(scheduled: &ScheduledBackup, now: Timestamp) -> Option<String> {
    if scheduled.spec.suspend == Some(true) {
        return Some("is suspended".to_owned());
    }
    let status = scheduled.status.as_ref()?;
    if let Some(error) = status.error.as_deref().filter(|error| !error.is_empty()) {
        return Some(format!("has an error: {}", cut(error)));
    }
    let next = status.next_schedule_time?;
    (now.duration_since(next) > MISSED_AFTER).then(|| format!("missed the one of {}", moment(next)))
}

/// Says so when no Backup object has completed; the rest is told by the archive.
pub(super) fn completed(backups: &Result<Vec<Backup>, ApiError>) -> Option<Finding> {
    let code = Code::BackupNotInArchive;
    let all = match backups {
        Ok(all) => all,
        Err(error) => {
            let summary = "the source's Backup objects were not compared with the archive";
            return Some(unread(code, summary, error, "`list` on backups in the source's namespace"));
        }
    };
    if newest_completed(all).is_some() {
        return None;
    }
    let newest = all.iter().max_by_key(|backup| backup.metadata.creation_timestamp.as_ref().map(|time| time.0));
    Some(match newest {
        None => Finding::note(code, "the source has no Backup object; what the archive holds was made otherwise")
            .hint("base backups that CloudNativePG makes leave a Backup object each"),
        Some(newest) => {
            let error = newest.status.as_ref().and_then(|status| status.error.as_deref());
            let error = error.map(|error| format!(": {}", cut(error))).unwrap_or_default();
            Finding::failed(code, Blame::Source, "no Backup of the source has completed")
                .of(newest.metadata.name.clone().unwrap_or_default())
                .expected("at least one Backup in phase completed")
                .observed(format!("the newest is in phase {}{error}", cut(phase(newest).unwrap_or("none"))))
                .hint("`kubectl describe` this Backup, and see the log of the instance it names")
        }
    })
}

/// Whether the archive holds what the newest completed Backup to this place says.
pub(super) fn in_archive(
    source: &SourceCluster,
    backups: &Result<Vec<Backup>, ApiError>,
    inventory: &Inventory,
) -> Option<Finding> {
    let place = source.store.destination_path.trim_end_matches('/');
    let is_here = |backup: &&Backup| {
        let Some(status) = &backup.status else { return false };
        // The plugin's Backups name neither.
        status.server_name.as_ref().is_none_or(|name| *name == source.server_name)
            && status.destination_path.as_ref().is_none_or(|path| path.trim_end_matches('/') == place)
            && status.backup_id.is_some()
    };
    let here: Vec<Backup> = backups.as_ref().ok()?.iter().filter(is_here).cloned().collect();
    let newest = newest_completed(&here)?;
    let name = newest.metadata.name.clone().unwrap_or_default();
    let status = newest.status.as_ref()?;
    let id = status.backup_id.as_deref()?;
    let code = Code::BackupNotInArchive;
    if inventory.backup(id).is_some() {
        return Some(Finding::passed(code, format!("the newest completed Backup is in the archive, as {id}")).of(name));
    }
    if status.stopped_at.is_some_and(|stopped| stopped > inventory.taken_at) {
        return Some(Finding::note(code, format!("Backup {name} completed after the archive was listed")).of(name));
    }
    let held = inventory.backups.last().map_or("none".to_owned(), |backup| backup.id.clone());
    Some(
        Finding::failed(code, Blame::Source, "the newest completed Backup is not in the archive")
            .of(name)
            .expected(format!("base backup {id}"))
            .observed(format!("the newest one there is {held}"))
            .hint("who removed it: retention of another cluster, a life-cycle rule of the bucket, a person?"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::archive::inventory::fixture::inventory;
    use crate::finding::Outcome;
    use crate::source::fixture::{self, object};

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn one(spec: &Value, status: &Value) -> ScheduledBackup {
        let mut spec = spec.clone();
        spec["cluster"] = json!({"name": "prod"});
        object(json!({"metadata": {"name": "nightly"}, "spec": spec, "status": status}))
    }

    #[test]
    fn a_schedule_must_be_there_awake_and_on_time() {
        let ago = |minutes| (NOW - SignedDuration::from_mins(minutes)).to_string();
        let good = || one(&json!({}), &json!({"nextScheduleTime": ago(-600)}));
        let suspended = || one(&json!({"suspend": true}), &json!({}));
        for (name, all, expected) in [
            ("none", vec![], Outcome::Failed),
            ("good", vec![good()], Outcome::Passed),
            ("never ran yet", vec![one(&json!({"suspend": false}), &json!({}))], Outcome::Passed),
            ("suspended", vec![suspended()], Outcome::Failed),
            ("one of two", vec![suspended(), good()], Outcome::Passed),
            ("error", vec![one(&json!({}), &json!({"error": "bad schedule"}))], Outcome::Failed),
            ("due a moment ago", vec![one(&json!({}), &json!({"nextScheduleTime": ago(30)}))], Outcome::Passed),
            ("missed", vec![one(&json!({}), &json!({"nextScheduleTime": ago(90)}))], Outcome::Failed),
        ] {
            let finding = scheduled("prod", &Ok(all), NOW);
            assert_eq!(finding.outcome, expected, "{name}");
        }
        assert_eq!(scheduled("prod", &Err(fixture::api_error(403)), NOW).outcome, Outcome::Note);
    }

    #[test]
    fn backups_of_which_none_completed_are_the_source_s_trouble() {
        let backup = |phase: &str| object(json!({"metadata": {"name": "b"}, "spec": {}, "status": {"phase": phase}}));
        let of = |phases: &[&str]| {
            completed(&Ok(phases.iter().map(|phase| backup(phase)).collect())).map(|finding| finding.outcome)
        };
        assert_eq!(of(&[]), Some(Outcome::Note));
        assert_eq!(of(&["failed", "completed"]), None);
        assert_eq!(of(&["failed", "walArchivingFailing"]), Some(Outcome::Failed));
        assert_eq!(completed(&Err(fixture::api_error(403))).unwrap().outcome, Outcome::Note);
    }

    #[test]
    fn the_newest_completed_backup_to_this_place_must_be_in_the_archive() {
        let source = fixture::source();
        let inventory = inventory(&[(1, 3)], &[(1, 3..=5)]);
        let held = inventory.backups[0].id.clone();
        let backup = |id: &str, minute: u32, server: &str, path: &str| -> Backup {
            object(json!({"metadata": {"name": "b"}, "spec": {}, "status": {
                "phase": "completed", "backupId": id, "stoppedAt": format!("2026-11-21T00:{minute:02}:00Z"),
                "serverName": server, "destinationPath": path
            }}))
        };
        let here = |id: &str, minute| backup(id, minute, "prod", "s3://postgres-wal");
        let late: Backup = object(json!({"metadata": {"name": "b"}, "spec": {}, "status": {
            "phase": "completed", "backupId": "x", "stoppedAt": "2026-11-21T13:00:00Z"
        }}));
        for (name, backups, expected) in [
            ("there", vec![here("older", 1), here(&held, 2)], Some(Outcome::Passed)),
            ("older one gone by retention", vec![here(&held, 2), here("older", 1)], Some(Outcome::Passed)),
            ("newer one gone", vec![here(&held, 1), here("newer", 2)], Some(Outcome::Failed)),
            ("another server's", vec![backup("x", 3, "other", "s3://postgres-wal/")], None),
            ("another store's", vec![backup("x", 3, "prod", "s3://elsewhere/")], None),
            ("after the listing", vec![late], Some(Outcome::Note)),
            ("none", vec![], None),
        ] {
            let finding = in_archive(&source, &Ok(backups), &inventory);
            assert_eq!(finding.map(|finding| finding.outcome), expected, "{name}");
        }
    }
}

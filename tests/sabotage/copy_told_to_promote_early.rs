//! The base backup carries what makes a copy stop early or never: other targets, the files that make a standby, a
//! `promote` that a person left behind. A server that heeds them comes up healthy, too early.
//!
//! Caught by `sandbox::direct::server::prepare`, which removes them, and by `sandbox::direct::settings`, which has its own
//! where nothing overrides them. What does not belong to any version since 12 keeps PostgreSQL from starting.

use crate::support::Prepared;
use crate::trial::{Judged, Trial};

/// Drills a newest backup with these files in its data directory; one that is there is replaced.
#[track_caller]
fn drill_with(files: &[(&str, &str)]) -> Judged {
    let backup = &Prepared::get().backups[1];
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite_backup_tar(backup, "data.tar.gz", |path, content| {
            let path = path.trim_start_matches("./");
            (!files.iter().any(|(name, _)| *name == path)).then_some(content)
        });
        archive.rewrite(&archive.backup_key(backup, "data.tar.gz"), |tar| {
            let mut with = tar::Builder::new(Vec::new());
            for (name, content) in files {
                let mut header = tar::Header::new_ustar();
                header.set_size(content.len() as u64);
                header.set_mode(0o600);
                with.append_data(&mut header, name, content.as_bytes()).unwrap();
            }
            let mut members = with.into_inner().unwrap();
            members.truncate(members.len() - 1024);
            tar.splice(..0, members);
        });
    });
    trial.drill()
}

const EARLY: [&str; 5] = [
    "recovery_target = 'immediate'",
    "recovery_target_action = 'pause'",
    "recovery_target_timeline = '1'",
    "recovery_min_apply_delay = '1h'",
    "hot_standby = 'on'",
];

#[test]
fn settings_and_signals_that_end_recovery_early_are_kept_from_it() {
    let settings = EARLY.join("\n");
    for signal in ["recovery.signal", "standby.signal"] {
        let trigger = format!("{settings}\npromote_trigger_file = 'trigger'\n");
        let judged = drill_with(&[("postgresql.conf", &trigger), (signal, ""), ("promote", ""), ("trigger", "")]);
        judged.passes();
    }
}

#[test]
fn a_recovery_conf_of_older_versions_is_never_a_pass() {
    let judged = drill_with(&[("recovery.conf", "recovery_target = 'immediate'\n")]);
    judged.is_inconclusive(&[("server.up", "")]);
}

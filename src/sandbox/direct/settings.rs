//! The restored server's settings. None of the restored ones is read: they name paths, libraries and an archive of
//! production's.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::{MAX_WAL_BYTES, Sandbox, unusable};
use crate::archive::backup_info::BackupInfo;
use crate::archive::wal::SegmentSize;
use crate::finding::Finding;
use crate::target::{Choice, Stop};

/// Values that recovery needs at least as large as the primary had them; `pg_control` remembers those.
const AS_ON_THE_PRIMARY: [(&str, &str); 5] = [
    ("max_connections setting", "max_connections"),
    ("max_worker_processes setting", "max_worker_processes"),
    ("max_wal_senders setting", "max_wal_senders"),
    ("max_prepared_xacts setting", "max_prepared_transactions"),
    ("max_locks_per_xact setting", "max_locks_per_transaction"),
];

/// What `pg_control` says of the unpacked data directory.
#[derive(Debug, Clone)]
pub struct ControlFile {
    fields: BTreeMap<String, String>,
}

impl ControlFile {
    pub fn read(controldata: &Path, data: &Path) -> Result<Self, Box<Finding>> {
        let doing = |reason: String| Box::new(unusable(format!("pg_control could not be read: {reason}")));
        let output = Command::new(controldata).arg("-D").arg(data).env("LC_ALL", "C").output();
        let output = output.map_err(|error| doing(error.to_string()))?;
        if !output.status.success() {
            return Err(doing(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(Self::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Self { fields: fields.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect() }
    }

    pub fn system_identifier(&self) -> Option<u64> {
        self.fields.get("Database system identifier")?.parse().ok()
    }
}

/// The settings for the command line, where nothing restored can override them.
pub fn settings(
    sandbox: &Sandbox,
    control: &ControlFile,
    size: SegmentSize,
    choice: &Choice,
    info: &BackupInfo,
) -> Vec<(String, String)> {
    let path = |path: &Path| path.display().to_string();
    let mut settings: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| settings.push((name.to_owned(), value));

    set("data_directory", path(&sandbox.data()));
    set("hba_file", path(&sandbox.root().join("pg_hba.conf")));
    set("ident_file", path(&sandbox.root().join("pg_ident.conf")));
    set("listen_addresses", String::new());
    set("unix_socket_directories", path(&sandbox.socket_directory()));
    set("unix_socket_permissions", "0700".to_owned());

    // The copy must never write into the archive that it came from.
    set("archive_mode", "off".to_owned());
    set("archive_command", String::new());
    // A setting that a version does not know keeps it from starting.
    if info.major().is_some_and(|major| major >= 15) {
        set("archive_library", String::new());
    }
    set("archive_cleanup_command", String::new());
    set("recovery_end_command", String::new());
    set("primary_conninfo", String::new());
    set("primary_slot_name", String::new());

    // Nothing may run in the copy but us.
    set("autovacuum", "off".to_owned());
    set("max_logical_replication_workers", "0".to_owned());
    set("shared_preload_libraries", String::new());
    set("session_preload_libraries", String::new());
    set("local_preload_libraries", String::new());
    set("synchronous_standby_names", String::new());
    if info.major().is_some_and(|major| major >= 17) {
        set("event_triggers", "off".to_owned());
    }

    set("restore_command", restore_command(sandbox));
    // Pinned either way; a way that never leaves the backup's own timeline needs no history file.
    let timeline = choice.history.timeline;
    let current = info.timeline == Some(timeline);
    set("recovery_target_timeline", if current { "current".to_owned() } else { timeline.to_string() });
    set("recovery_target_action", "promote".to_owned());
    set("recovery_min_apply_delay", "0".to_owned());
    match &choice.stop {
        Stop::BeforeLsn(lsn) => {
            set("recovery_target_lsn", lsn.to_string());
            set("recovery_target_inclusive", "off".to_owned());
        }
        Stop::Time(time) => {
            // PostgreSQL accepts no `Z`; an offset means the same.
            set("recovery_target_time", time.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string());
            set("recovery_target_inclusive", "on".to_owned());
        }
        Stop::Xid(xid) => set("recovery_target_xid", xid.to_string()),
        Stop::RestorePoint(name) => set("recovery_target_name", name.clone()),
        Stop::EndOfArchive => {}
    }

    // With hot standby off, most settings need not be as large as the primary's.
    set("hot_standby", "off".to_owned());
    for (field, name) in AS_ON_THE_PRIMARY {
        if let Some(value) = control.fields.get(field) {
            set(name, value.clone());
        }
    }

    // The copy lives for minutes and is thrown away: nothing has to survive a crash.
    set("fsync", "off".to_owned());
    set("full_page_writes", "off".to_owned());
    set("synchronous_commit", "off".to_owned());
    set("wal_level", "replica".to_owned());
    set("checkpoint_timeout", "1h".to_owned());
    set("max_wal_size", format!("{}MB", (MAX_WAL_BYTES >> 20).max(2 * (size.bytes() >> 20))));
    set("min_wal_size", format!("{}MB", (2 * (size.bytes() >> 20)).max(80)));
    set("shared_buffers", "128MB".to_owned());
    set("huge_pages", "off".to_owned());
    set("jit", "off".to_owned());

    // Messages are read by `diagnose`.
    set("lc_messages", "C".to_owned());
    set("log_destination", "stderr".to_owned());
    set("logging_collector", "off".to_owned());
    set("log_line_prefix", "%m [%p] ".to_owned());
    set("log_timezone", "UTC".to_owned());
    set("timezone", "UTC".to_owned());
    set("log_min_messages", "warning".to_owned());
    set("log_statement", "none".to_owned());
    set("log_min_error_statement", "panic".to_owned());
    settings
}

fn restore_command(sandbox: &Sandbox) -> String {
    let quoted = |path: &Path| {
        let text = path.display().to_string().replace('\'', r"'\''").replace('%', "%%");
        format!("'{text}'")
    };
    format!("{} wal-fetch {} %f %p", quoted(&sandbox.program()), quoted(&sandbox.wal_socket()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pg_control_is_read_by_field() {
        let control = ControlFile::parse(
            "Database system identifier:           7710429258705097786\nmax_connections setting:              100\n",
        );
        assert_eq!(control.system_identifier(), Some(7_710_429_258_705_097_786));
        assert_eq!(control.fields["max_connections setting"], "100");
    }
}

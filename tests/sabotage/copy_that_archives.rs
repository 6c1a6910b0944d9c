//! The base backup carries a `postgresql.auto.conf` that archives: the copy would promote and write its own timeline
//! into the place that it came from (PostgreSQL reads that file whatever other configuration it is given). Others name
//! a library and a certificate that are not here, a primary, or another target.
//!
//! Caught by `sandbox::direct::server::prepare`, which empties the file, and by `sandbox::direct::settings`, which turns
//! archiving off where no file can turn it on again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Prepared;
use crate::trial::{Judged, Trial};

/// Drills a newest backup whose `postgresql.auto.conf` was replaced.
#[track_caller]
fn drill_with(settings: &str) -> Judged {
    let mut replaced = 0;
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite_backup_tar(&Prepared::get().backups[1], "data.tar.gz", |path, content| {
            let is_it = path.trim_start_matches("./") == "postgresql.auto.conf";
            replaced += usize::from(is_it);
            Some(if is_it { settings.as_bytes().to_vec() } else { content })
        });
    });
    assert_eq!(replaced, 1, "the tar holds one postgresql.auto.conf");
    trial.drill()
}

#[test]
fn a_copy_that_would_archive_is_kept_from_it_and_passes() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let commands = ["archive_command", "recovery_end_command", "archive_cleanup_command", "ssl_passphrase_command"];
    let touch = |name: &str| format!("{name} = 'touch {}'\n", directory.path().join(name).display());
    let settings = format!("archive_mode = 'always'\n{}", commands.map(touch).concat());

    let judged = drill_with(&settings);
    let marks: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(marks.is_empty(), "commands of the restored configuration ran: {marks:?}\n{judged}");
    judged.passes();
    judged.finding("server.isolation", "passed");
}

#[test]
fn settings_that_only_work_in_production_do_not_keep_the_copy_from_coming_up() {
    let settings = "shared_preload_libraries = 'no_such_library'\nssl = 'on'\nssl_cert_file = '/nowhere/tls.crt'\n\
        restore_command = 'false'\nprimary_conninfo = 'host=192.0.2.1 user=streaming_replica'\n\
        recovery_target = 'immediate'\nport = 6543\nno_such.setting = 'x'\n";
    drill_with(settings).passes();
}

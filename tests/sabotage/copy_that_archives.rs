//! The base backup carries a `postgresql.auto.conf` that archives: the copy would promote and write its own timeline
//! into the place that it came from (PostgreSQL reads that file whatever other configuration it is given). It also
//! names a library that is not here, a primary, commands and a certificate.
//!
//! Caught by `sandbox::direct::server::prepare`, which empties the file, and by `sandbox::direct::settings`, which turns
//! archiving off where no file can turn it on again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_copy_that_would_archive_is_kept_from_it_and_passes() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let touch = |name: &str| format!("touch {}", directory.path().join(name).display());
    let settings = format!(
        "archive_mode = 'always'\narchive_command = '{}'\nrestore_command = '{}'\nrecovery_end_command = '{}'\n\
         archive_cleanup_command = '{}'\nshared_preload_libraries = 'no_such_library'\nssl = 'on'\n\
         primary_conninfo = 'host=192.0.2.1 user=streaming_replica'\nrecovery_target = 'immediate'\n",
        touch("archive"),
        touch("restore"),
        touch("end"),
        touch("cleanup"),
    );
    let backup = &Prepared::get().backups[1];
    let mut found = 0;
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite_backup_tar(backup, "data.tar.gz", |path, content| {
            let is_it = path.trim_start_matches("./") == "postgresql.auto.conf";
            found += usize::from(is_it);
            Some(if is_it { settings.clone().into_bytes() } else { content })
        });
    });
    assert_eq!(found, 1, "the tar holds one postgresql.auto.conf");

    let judged = trial.drill();
    judged.passes();
    judged.finding("server.isolation", "passed");
    let marks: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(marks.is_empty(), "a command of the restored configuration ran: {marks:?}");
}

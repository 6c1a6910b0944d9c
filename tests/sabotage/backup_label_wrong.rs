//! The `backup_label` in the base backup's tar, which tells PostgreSQL where to begin, is not the one that the backup
//! was made with: it names another place, or is gone. Begun elsewhere, replay skips what it should repair.
//!
//! Caught by `sandbox::direct::base_backup::verify`, which compares it with the one in `backup.info`.

use crate::support::Prepared;
use crate::trial::{Judged, Trial};

/// Drills the newest backup with another `backup_label` in its tar.
#[track_caller]
fn drill_with(edit: impl Fn(String) -> Option<String>) -> Judged {
    let mut edited = 0;
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite_backup_tar(&Prepared::get().backups[1], "data.tar.gz", |path, content| {
            if path.trim_start_matches("./") != "backup_label" {
                return Some(content);
            }
            edited += 1;
            edit(String::from_utf8(content).unwrap()).map(String::into_bytes)
        });
    });
    assert_eq!(edited, 1, "the tar holds one backup_label");
    trial.drill()
}

fn damaged(edit: impl Fn(String) -> Option<String>) {
    drill_with(edit).fails(&[("backup.damaged", &Prepared::get().backups[1])]);
}

#[test]
fn a_backup_label_that_begins_elsewhere_fails_the_drill() {
    let earlier = &Prepared::get().segments[0];
    damaged(|label| {
        let start = label.lines().next().unwrap().to_owned();
        let elsewhere = format!("START WAL LOCATION: 0/1000028 (file {earlier})");
        Some(label.replace(&start, &elsewhere))
    });
}

#[test]
fn a_base_backup_without_its_backup_label_fails_the_drill() {
    damaged(|_| None);
}

#[test]
fn an_empty_backup_label_fails_the_drill() {
    damaged(|_| Some(String::new()));
}

//! The data of yesterday's base backup lie under today's name: a copy between buckets that mixed them up, a store that
//! served an old version. Both are whole and of this source. What yesterday's lack is in no WAL that today's begins with.
//!
//! Caught by `sandbox::direct::base_backup::verify`, which compares the labels; when even the label was exchanged, by
//! `probe::tables::judge`.

use crate::support::{ArchiveCopy, Prepared};
use crate::trial::Trial;

fn serve_yesterdays(archive: &ArchiveCopy) {
    let [yesterday, today] = &Prepared::get().backups[..] else { panic!("two backups") };
    archive.rename(&archive.backup_key(yesterday, "data.tar.gz"), &archive.backup_key(today, "data.tar.gz"));
    archive.delete(&archive.backup_key(yesterday, "backup.info"));
}

#[test]
fn the_data_of_another_backup_fail_the_drill_by_their_label() {
    let today = &Prepared::get().backups[1];
    let judged = Trial::of_prepared(serve_yesterdays).drill();
    judged.fails(&[("backup.damaged", today)]);
    let damaged = judged.finding("backup.damaged", "failed");
    assert!(damaged["summary"].as_str().unwrap().contains("another backup's"), "{judged}");
}

#[test]
fn the_data_of_another_backup_with_the_right_label_fail_the_drill_by_their_content() {
    let today = &Prepared::get().backups[1];
    let trial = Trial::of_prepared(|archive| {
        let mut label = Vec::new();
        archive.rewrite_backup_tar(today, "data.tar.gz", |path, content| {
            if path.trim_start_matches("./") == "backup_label" {
                label.clone_from(&content);
            }
            Some(content)
        });
        serve_yesterdays(archive);
        archive.rewrite_backup_tar(today, "data.tar.gz", |path, content| {
            let is_label = path.trim_start_matches("./") == "backup_label";
            Some(if is_label { label.clone() } else { content })
        });
    });
    trial.drill().fails(&[
        ("integrity.index", "paledocs: public.notes_pkey"),
        ("integrity.index", "shop: public.orders_pkey"),
        ("table.row_count", "paledocs: public.notes"),
        ("table.row_count", "shop: public.orders"),
    ]);
}

//! The base backup's tar ends early. barman restores what is there, exits 0 and says nothing.
//!
//! Caught by `sandbox::direct::unpack`: the compression's end when the object is cut, the tar's own end when what was
//! compressed is.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_base_backup_whose_object_is_cut_fails_the_drill() {
    let backup = &Prepared::get().backups[1];
    let trial = Trial::of_prepared(|archive| {
        let key = archive.backup_key(backup, "data.tar.gz");
        archive.truncate(&key, archive.bytes(&key).len() / 2);
    });

    let judged = trial.drill();
    judged.fails(&[("backup.damaged", backup)]);
    assert!(!judged.codes("passed").contains(&"server.up".to_owned()), "{judged}");
}

#[test]
fn a_base_backup_that_lacks_its_last_members_fails_the_drill_though_its_compression_is_whole() {
    let backup = &Prepared::get().backups[1];
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite(&archive.backup_key(backup, "data.tar.gz"), |tar| tar.truncate(tar.len() / 512 / 2 * 512));
    });
    trial.drill().fails(&[("backup.damaged", backup)]);
}

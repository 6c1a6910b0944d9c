//! The base backup lacks `global/pg_control`, without which no server starts. The tar is whole, and a member less.
//!
//! Caught by `sandbox::direct::base_backup::verify`, before a server is started.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_base_backup_without_pg_control_fails_the_drill() {
    let backup = &Prepared::get().backups[1];
    let mut left_out = 0;
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite_backup_tar(backup, "data.tar.gz", |path, content| {
            let is_it = path.trim_start_matches("./") == "global/pg_control";
            left_out += usize::from(is_it);
            (!is_it).then_some(content)
        });
    });
    assert_eq!(left_out, 1, "the tar held global/pg_control");
    trial.drill().fails(&[("backup.damaged", backup)]);
}

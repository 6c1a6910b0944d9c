//! The file of a catalog's index is not in the base backup. Nothing that only reads needs it: the server comes up, every
//! count is right. The first `CREATE TABLE` fails, and so would every migration after a disaster.
//!
//! Caught by `probe::write::classify`, which knows a relation's missing file from a missing library.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_database_that_takes_no_ddl_fails_the_drill_by_its_name() {
    let prepared = Prepared::get();
    let file = prepared.file("vault", "pg_depend_depender_index");
    let mut removed = 0;
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite_backup_tar(&prepared.backups[1], "data.tar.gz", |path, content| {
            let is_it = path.trim_start_matches("./") == file;
            removed += usize::from(is_it);
            (!is_it).then_some(content)
        });
    });
    assert_eq!(removed, 1, "the tar holds {file}");

    let judged = trial.drill();
    judged.fails(&[("server.write", "vault")]);
    judged.finding("table.row_count", "passed");
}

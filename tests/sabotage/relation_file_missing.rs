//! The base backup lacks a table's only file: the tar is whole, and a member less. No WAL touches the table, so that the
//! server comes up and knows nothing of it until somebody reads the table.
//!
//! Caught by `probe::tables::read`, which asks for the file when PostgreSQL cannot open one.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_table_without_its_file_fails_the_drill_by_its_name() {
    let prepared = Prepared::get();
    let file = prepared.file("vault", "accounts");
    let mut left_out = 0;
    let trial = Trial::of_prepared(|archive| {
        archive.rewrite_backup_tar(&prepared.backups[1], "data.tar.gz", |path, content| {
            let is_it = path.trim_start_matches("./") == file;
            left_out += usize::from(is_it);
            (!is_it).then_some(content)
        });
    });
    assert_eq!(left_out, 1, "the tar held {file}");

    let accounts = "vault: public.accounts";
    trial.drill().fails(&[
        ("integrity.table", accounts),
        ("server.write", "vault: app_owner"),
        ("table.row_count", accounts),
    ]);
}

//! Large loads that are under way while the baseline is read: their rows are in the files and in the WAL before its LSN,
//! and nobody may see them yet. Later one commits, and one does not.

use crate::{Session, Source, assert_nothing_differs, read_document, rows_in};

#[test]
fn rows_of_a_load_that_has_not_committed_count_on_neither_side() {
    let source = Source::start();
    let sql = "CREATE TABLE loads (id int, body text, created_at timestamptz DEFAULT now());
        CREATE INDEX ON loads (id); CREATE TABLE changed (id int PRIMARY KEY, body text);
        INSERT INTO loads SELECT n, 'before' FROM generate_series(1, 1000) n;
        INSERT INTO changed SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n";
    source.postgres.sql("postgres", sql);
    let mut commits = Session::open(&source.postgres);
    commits.run("BEGIN; INSERT INTO loads SELECT n, 'committed' FROM generate_series(1, 60000) n");
    commits.run("DELETE FROM changed WHERE id % 2 = 0; UPDATE changed SET body = 'y' WHERE id < 1000");
    let mut aborts = Session::open(&source.postgres);
    aborts.run("BEGIN; INSERT INTO loads SELECT n, 'aborted' FROM generate_series(1, 40000) n; CREATE TABLE unseen AS TABLE loads");

    let open = source.baseline_now("open.json");
    commits.run("COMMIT");
    aborts.run("ROLLBACK");
    let closed = source.baseline_now("closed.json");
    source.write();
    source.postgres.archive_wal();

    for (document, loaded, changed) in [(open, 1000, 5000), (closed, 61_000, 2500)] {
        let read = read_document(&document);
        assert_eq!(rows_in(&read, "postgres", ("public", "loads")), Some(loaded));
        assert_eq!(rows_in(&read, "postgres", ("public", "changed")), Some(changed));
        assert_eq!(rows_in(&read, "postgres", ("public", "unseen")), None);
        assert_nothing_differs(&source.drill_with(&document));
    }
}

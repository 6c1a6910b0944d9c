//! Two fail-overs since the base backup: the way leads over three timelines, and the segments in which the source left
//! the first two lie in the archive as `.partial`, beside what the old primaries archived meanwhile.

use crate::support::ArchiveCopy;
use crate::support::postgres::Stop;
use crate::support::prepared::SERVER;
use crate::{Postgres, Source, assert_nothing_differs, write};

/// The primary goes as in a crash, and a standby takes over that has not all of its last segment.
fn fail_over(primary: &mut Postgres) -> Postgres {
    write(primary);
    primary.archive_wal();
    let standby = primary.standby();
    write(primary);
    standby.wait_until_caught_up_with(primary);
    primary.wait_until_archived();
    primary.stop(Stop::Immediate);
    standby.promote();
    write(&standby);
    standby
}

#[test]
fn a_third_timeline_is_reached_from_a_base_backup_on_the_first() {
    let mut source = Source::start();
    let mut second = fail_over(&mut source.postgres);
    let third = fail_over(&mut second);
    third.archive_wal();
    write(&third);
    let document = source.baseline(&source.walproof().connection(&third), "third.json");
    write(&third);
    third.archive_wal();

    let keys = ArchiveCopy::copy(source.s3.root(), SERVER).wal_keys();
    assert_eq!(keys.iter().filter(|key| key.contains(".partial")).count(), 2, "{keys:?}");
    let outcome = source.drill_with(&document);
    assert_nothing_differs(&outcome);
    assert_eq!(outcome.report()["restore"]["baseline"]["timeline"], 3, "{outcome}");
    let check = source.walproof().connection(&third).run(&["check", "--output", "json"]);
    assert_eq!(check.report()["verdict"], "PASS", "{check}");
}

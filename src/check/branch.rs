//! Judges where a recovery that names no timeline would go: PostgreSQL follows the newest that the archive has a history
//! of, one number after another from the base backup's own.

use jiff::Timestamp;

use crate::archive::inventory::Inventory;
use crate::archive::timeline::History;
use crate::archive::wal::{Lsn, Timeline};
use crate::finding::{Blame, Code, Finding};
use crate::plan::CLOCK_SKEW;
use crate::source::archiver::Archiver;
use crate::source::baseline::Baseline;

/// Where the source itself stood.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub timeline: Timeline,
    pub lsn: Lsn,
    pub at: Timestamp,
    /// A standby, which may not have followed a fail-over.
    pub in_recovery: bool,
}

impl From<&Archiver> for Place {
    fn from(archiver: &Archiver) -> Self {
        let Archiver { timeline, current_lsn: lsn, observed_at: at, in_recovery, .. } = *archiver;
        Self { timeline, lsn, at, in_recovery }
    }
}

impl From<&Baseline> for Place {
    fn from(baseline: &Baseline) -> Self {
        let server = &baseline.server;
        Self { timeline: server.timeline, lsn: baseline.lsn, at: baseline.captured_at, in_recovery: server.in_recovery }
    }
}

/// The finding for an archive whose newest timeline left the source's before `source`, and was there by then: a copy
/// wrote it, or another cluster. None of a full listing without one.
pub fn judge(inventory: &Inventory, source: Place) -> Option<Finding> {
    let newest = newest_followed(inventory, source.timeline)?;
    // A fail-over since then has taken the source along.
    let stored = inventory.wal.histories.get(&newest.timeline)?.modified;
    if stored >= source.at.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN) {
        return None;
    }
    let forked = newest.ancestors.iter().find(|ancestor| ancestor.timeline == source.timeline);
    let went = match forked {
        Some(fork) if fork.switch >= source.lsn => return None,
        Some(fork) => format!("it left timeline {} at {}", source.timeline, fork.switch),
        None => format!("it does not come from timeline {}", source.timeline),
    };
    let summary =
        format!("a recovery that names no timeline would follow {}, which is not the source's", newest.timeline);
    let name = format!("{:08X}.history", newest.timeline.0);
    let observed = format!("timeline {} in the archive since {stored}; {went}", newest.timeline);
    if source.in_recovery {
        return Some(Finding::note(Code::WalOtherBranch, summary).of(name).observed(observed));
    }
    Some(
        Finding::failed(Code::WalOtherBranch, Blame::Backups, summary)
            .of(name)
            .expected(format!("no timeline newer than {}, on which the source was at {}", source.timeline, source.lsn))
            .observed(observed)
            .hint(
                "find the server that archived it and stop it, then move its objects away; until then pin the timeline",
            ),
    )
}

/// The newest timeline that PostgreSQL finds by asking for one history after another, unless it is `from` itself. One
/// that cannot be read is among the findings already.
fn newest_followed(inventory: &Inventory, from: Timeline) -> Option<&History> {
    let later = (from.0..u32::MAX).map(|number| Timeline(number + 1));
    let newest = later.map_while(|timeline| inventory.histories.get(&timeline)).last()?;
    newest.as_ref().ok()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::archive::compression::Compression;
    use crate::archive::inventory::fixture::{SIZE, inventory, now};
    use crate::archive::wal_listing::HistoryObject;
    use crate::finding::Outcome;

    /// An archive with these histories, stored an hour before the source was asked.
    fn archive(histories: &[(u32, &str)]) -> Inventory {
        let mut inventory = inventory(&[(1, 3)], &[(1, 3..=9)]);
        for &(timeline, text) in histories {
            let timeline = Timeline(timeline);
            let modified = now() - SignedDuration::from_hours(1);
            let object = HistoryObject { key: String::new(), compression: Compression::None, modified };
            inventory.wal.histories.insert(timeline, object);
            inventory.histories.insert(timeline, History::parse(timeline, text).map_err(|defect| defect.to_string()));
        }
        inventory
    }

    fn source(timeline: u32) -> Place {
        let lsn = Lsn(7 * SIZE.bytes());
        Place { timeline: Timeline(timeline), lsn, at: now(), in_recovery: false }
    }

    fn found(histories: &[(u32, &str)]) -> Option<String> {
        let finding = judge(&archive(histories), source(1))?;
        assert!(finding.blames_backups(), "{finding:?}");
        finding.observed
    }

    #[test]
    fn the_sources_own_timeline_is_the_newest() {
        assert_eq!(found(&[]), None);
        assert!(judge(&archive(&[(2, "1\t0/4000000\tx\n")]), source(2)).is_none(), "it went along");
    }

    #[test]
    fn a_branch_from_before_the_sources_place_is_not_its_future() {
        assert!(found(&[(2, "1\t0/6000000\tx\n")]).unwrap().ends_with("it left timeline 1 at 0/6000000"));
        assert!(found(&[(2, "1\t0/8000000\tx\n")]).is_none());
    }

    #[test]
    fn the_last_of_a_chain_without_a_hole_decides() {
        let left = (2, "1\t0/6000000\tx\n");
        assert!(found(&[left, (3, "1\t0/8000000\tx\n")]).is_none(), "a fail-over of the source since");
        assert!(found(&[left, (4, "1\t0/8000000\tx\n")]).is_some(), "PostgreSQL finds no third and asks for no fourth");
        assert!(found(&[(3, "1\t0/6000000\tx\n")]).is_none(), "nor for a third without a second");
    }

    #[test]
    fn a_timeline_of_another_cluster_comes_from_nowhere() {
        let finding = judge(&archive(&[(6, "4\t0/6000000\tx\n")]), source(5)).unwrap();
        assert!(finding.observed.unwrap().ends_with("it does not come from timeline 5"));
    }

    #[test]
    fn a_fail_over_after_the_source_was_asked_is_none_of_these() {
        let mut archive = archive(&[(2, "1\t0/6000000\tx\n")]);
        archive.wal.histories.get_mut(&Timeline(2)).unwrap().modified = now() - SignedDuration::from_mins(1);
        assert!(judge(&archive, source(1)).is_none());
    }

    #[test]
    fn a_standby_may_not_have_followed() {
        let standby = Place { in_recovery: true, ..source(1) };
        let finding = judge(&archive(&[(2, "1\t0/6000000\tx\n")]), standby).unwrap();
        assert_eq!(finding.outcome, Outcome::Note);
    }
}

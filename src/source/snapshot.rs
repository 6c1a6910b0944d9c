//! PostgreSQL's snapshots as text, and the questions about transactions that they answer. All of it is pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many transactions are named; there may be millions.
const NAMED: usize = 10;
/// How far [`Snapshot::reaching`] goes.
const NAMED_RUNNING: u64 = 10_000;

/// A `pg_snapshot`: `xmin:xmax:in progress`. Its xids are 64 bits wide and never wrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Snapshot {
    /// Every transaction below this has finished.
    pub xmin: u64,
    /// No transaction from here on has finished.
    pub xmax: u64,
    /// Between the two, in ascending order. Always empty on a standby, where nobody knows.
    pub in_progress: Vec<u64>,
}

/// The text is not `xmin:xmax:xid,xid…` with ascending xids from xmin up to, not including, xmax.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: {0:?}")]
pub struct NotASnapshot(String);

/// The transactions that finished between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finished {
    pub count: u64,
    /// The first few of them.
    pub first: Vec<u64>,
}

impl Snapshot {
    /// Whether this transaction had finished, by commit or by abort. On a standby a yes below xmax may be wrong when
    /// xmin and xmax differ.
    pub fn is_finished(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.in_progress.binary_search(&xid).is_err())
    }

    /// Whether the snapshot shows what this transaction wrote, provided that it committed.
    pub fn is_visible(&self, xid: u64) -> bool {
        self.is_finished(xid)
    }

    /// The transactions that `second` knows as finished and this snapshot does not show. `second` was taken later.
    pub fn finished_between(&self, second: &Self) -> Finished {
        let mut finished = Finished::default();
        for &xid in self.in_progress.iter().filter(|&&xid| second.is_finished(xid)) {
            finished.count += 1;
            if finished.first.len() < NAMED {
                finished.first.push(xid);
            }
        }
        let new = self.xmax..second.xmax;
        let running = second.in_progress.iter().filter(|xid| new.contains(xid)).count() as u64;
        finished.count += new.end.saturating_sub(new.start) - running;
        let room = NAMED - finished.first.len();
        // At most `running` of the range are skipped, so this does not walk far.
        finished.first.extend(new.filter(|&xid| second.is_finished(xid)).take(room));
        finished
    }

    /// `None` when every transaction that this snapshot knows as finished is below `bound`; else the largest that is
    /// not.
    pub fn all_finished_below(&self, bound: u64) -> Option<u64> {
        let largest = (0..self.xmax).rev().find(|&xid| self.is_finished(xid))?;
        (largest >= bound).then_some(largest)
    }

    /// The same snapshot, written so that its xmax lies above these running transactions (their lower 32 bits). `None`
    /// when that would name more than ten thousand.
    pub fn reaching(mut self, running: &[u32]) -> Option<Self> {
        let xmax = self.xmax;
        let ahead = |xid: u32| {
            // As PostgreSQL compares: what is less than half the circle ahead is newer.
            let distance = u64::from(xid.wrapping_sub(u32::try_from(xmax & 0xFFFF_FFFF).unwrap_or(0)));
            (distance < 1 << 31).then_some(xmax + distance)
        };
        let Some(newest) = running.iter().copied().filter_map(ahead).max() else { return Some(self) };
        if newest - xmax >= NAMED_RUNNING {
            return None;
        }
        // Nothing from xmax on has finished, so all of it may be called in progress.
        self.in_progress.extend(xmax..=newest);
        self.xmax = newest + 1;
        Some(self)
    }

    /// Whether the snapshot says of every transaction whether it had finished. On a standby it does so only when no
    /// transaction can have been in progress.
    pub fn is_decided(&self, in_recovery: bool) -> bool {
        !in_recovery || self.xmin == self.xmax
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_progress: Vec<String> = self.in_progress.iter().map(u64::to_string).collect();
        write!(formatter, "{}:{}:{}", self.xmin, self.xmax, in_progress.join(","))
    }
}

impl FromStr for Snapshot {
    type Err = NotASnapshot;

    fn from_str(text: &str) -> Result<Self, NotASnapshot> {
        let parse = || {
            let (xmin, rest) = text.split_once(':')?;
            let (xmax, in_progress) = rest.split_once(':')?;
            let (xmin, xmax) = (number(xmin)?, number(xmax)?);
            let in_progress = match in_progress {
                "" => Vec::new(),
                list => list.split(',').map(number).collect::<Option<Vec<u64>>>()?,
            };
            let is_sound = xmin > 0
                && xmin <= xmax
                && in_progress.is_sorted_by(|a, b| a < b)
                && in_progress.iter().all(|xid| (xmin..xmax).contains(xid));
            is_sound.then_some(Self { xmin, xmax, in_progress })
        };
        parse().ok_or_else(|| NotASnapshot(text.to_owned()))
    }
}

/// Digits only: `parse` would take a sign as well.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl TryFrom<String> for Snapshot {
    type Error = NotASnapshot;

    fn try_from(text: String) -> Result<Self, NotASnapshot> {
        text.parse()
    }
}

impl From<Snapshot> for String {
    fn from(snapshot: Snapshot) -> Self {
        snapshot.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().unwrap()
    }

    #[test]
    fn a_snapshot_reads_as_postgresql_writes_it() {
        for text in ["10:20:10,14,15", "731:731:", "4294967296:4294967299:4294967297"] {
            assert_eq!(snapshot(text).to_string(), text);
        }
        for text in ["", "10", "10:20", "20:10:", "0:5:", "10:20:9", "10:20:20", "10:20:14,12", "10:20:12,12", "+1:2:"]
        {
            assert!(text.parse::<Snapshot>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_transaction_is_visible_below_xmin_and_between_unless_in_progress() {
        let snapshot = snapshot("10:20:10,14,15");
        let visible: Vec<u64> = (8..22).filter(|&xid| snapshot.is_visible(xid)).collect();
        assert_eq!(visible, [8, 9, 11, 12, 13, 16, 17, 18, 19]);
    }

    #[test]
    fn nothing_finished_between_equal_snapshots_or_while_all_stay_in_progress() {
        for (first, second) in [("731:731:", "731:731:"), ("10:20:10,14", "10:20:10,14"), ("731:731:", "729:731:")] {
            assert_eq!(snapshot(first).finished_between(&snapshot(second)), Finished::default(), "{first} {second}");
        }
    }

    #[test]
    fn what_ended_or_came_and_went_between_two_snapshots_is_counted() {
        let finished = snapshot("10:20:10,14").finished_between(&snapshot("14:25:14,21,22"));
        assert_eq!(finished, Finished { count: 4, first: vec![10, 20, 23, 24] });
    }

    #[test]
    fn a_distant_second_snapshot_is_counted_without_walking_there() {
        let finished = snapshot("5:5:").finished_between(&snapshot("4000000000000:4000000000000:"));
        assert_eq!((finished.count, finished.first.len()), (3_999_999_999_995, NAMED));
    }

    #[test]
    fn the_largest_finished_transaction_decides_whether_one_is_missing() {
        assert_eq!(snapshot("726:726:").all_finished_below(726), None);
        assert_eq!(snapshot("726:726:").all_finished_below(725), Some(725));
        assert_eq!(snapshot("10:20:17,18,19").all_finished_below(17), None);
        assert_eq!(snapshot("10:20:17,18,19").all_finished_below(16), Some(16));
    }

    #[test]
    fn a_snapshot_can_reach_over_running_transactions_without_saying_anything_else() {
        assert_eq!(snapshot("100:100:").reaching(&[100]).unwrap().to_string(), "100:101:100");
        assert_eq!(snapshot("98:100:98").reaching(&[98, 102]).unwrap().to_string(), "98:103:98,100,101,102");
        assert_eq!(snapshot("98:100:98").reaching(&[98, 99]).unwrap().to_string(), "98:100:98");
        assert_eq!(snapshot("98:100:98").reaching(&[]).unwrap().to_string(), "98:100:98");
        assert_eq!(snapshot("100:100:").reaching(&[1_000_000]), None);
    }

    #[test]
    fn a_running_transaction_beyond_the_wraparound_is_recognised() {
        let before = snapshot("4294967295:4294967295:");
        assert_eq!(
            before.reaching(&[1]).unwrap().to_string(),
            "4294967295:4294967298:4294967295,4294967296,4294967297"
        );
        let behind = snapshot("4294967299:4294967299:");
        assert_eq!(behind.clone().reaching(&[u32::MAX]).unwrap(), behind);
    }

    #[test]
    fn a_standby_knows_only_when_nothing_can_be_in_progress() {
        assert!(snapshot("188559:188559:").is_decided(true));
        assert!(!snapshot("188557:188559:").is_decided(true));
        assert!(snapshot("188557:188559:").is_decided(false));
    }

    fn any_snapshot() -> impl Strategy<Value = Snapshot> {
        proptest::collection::btree_set(1_u64..40, 0..8).prop_flat_map(|xids| {
            let xids: Vec<u64> = xids.into_iter().collect();
            let lowest = xids.first().copied().unwrap_or(1);
            let highest = xids.last().copied().unwrap_or(lowest);
            (1..=lowest, highest + 1..=45).prop_map(move |(xmin, xmax)| Snapshot {
                xmin,
                xmax,
                in_progress: xids.clone(),
            })
        })
    }

    proptest! {
        #[test]
        fn the_count_is_what_asking_of_every_transaction_gives(first in any_snapshot(), second in any_snapshot()) {
            let asked = (first.xmin..first.xmax.max(second.xmax))
                .filter(|&xid| second.is_finished(xid) && !first.is_visible(xid))
                .count() as u64;
            prop_assert_eq!(first.finished_between(&second).count, asked);
            prop_assert_eq!(first.to_string().parse(), Ok(first));
        }
    }
}

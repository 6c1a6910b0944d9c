//! The target is nowhere in the archive: an LSN, a time, a transaction or a restore point beyond its end. A recovery that
//! takes the end for the target is healthy, and not what was asked for.
//!
//! Caught by `target::choose` for an LSN; by `sandbox::complaint::ended_early` for what only replay can know.

use serde_json::{Value, json};

use crate::trial::{Judged, Trial};

fn to(target: Value) -> Judged {
    Trial::of_prepared(|_| ()).set("/sources/0/target", target).drill()
}

#[test]
fn an_lsn_beyond_the_archives_end_is_inconclusive_without_a_restore() {
    let judged = to(json!({"lsn": "F/0"}));
    judged.is_inconclusive(&[("target.outside_window", "")]);
    assert!(judged.report().get("restore").is_none(), "{judged}");
}

#[test]
fn a_time_a_transaction_or_a_restore_point_that_never_comes_is_inconclusive() {
    for target in [json!({"time": "2098-12-31T12:00:00Z"}), json!({"xid": 4_000_000}), json!({"name": "never made"})] {
        let judged = to(target);
        judged.is_inconclusive(&[("recovery.stop", "")]);
        assert!(!judged.codes("passed").contains(&"server.up".to_owned()), "{judged}");
    }
}

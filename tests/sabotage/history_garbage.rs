//! The history of the source's timeline cannot be read, or says what cannot be.
//!
//! Caught by `archive::timeline::History::parse`, whose word `check::wal::histories` and `target::choose` pass on.

use crate::archives::TwoTimelines;

#[test]
fn a_history_that_is_none_fails_check_and_drill() {
    let forged: [&[u8]; 4] = [
        b"\xff\xfenever a history",
        // Its own ancestor, a later one, and none at all.
        b"2\t0/3000000\tno recovery target specified\n",
        b"1\t0/3000000\tno recovery target specified\n7\t0/4000000\tno recovery target specified\n",
        b"",
    ];
    for forged in forged {
        let trial = TwoTimelines::get().trial(2, |archive| {
            archive.rewrite(&archive.wal_key("00000002.history"), |content| *content = forged.to_vec());
        });
        for judged in [trial.check(), trial.drill()] {
            judged.fails(&[("wal.history_damaged", "00000002.history")]);
            assert!(judged.report().get("restore").is_none(), "{judged}");
        }
    }
}

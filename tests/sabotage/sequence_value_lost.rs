//! A sequence stands where it stood long ago, and the checksum of its page is right: a page that was written back late.
//! No row is different, so no count and no content shows it; the next tickets get numbers that others have.
//!
//! Caught by `probe::sequences::judge`, which wants at least the baseline's value.

use crate::support::{Prepared, page};
use crate::trial::Trial;

/// Drills an archive in which a sequence of `vault` stands at another value.
fn drill_with(sequence: &str, from: i64, to: i64) -> crate::trial::Judged {
    let prepared = Prepared::get();
    let trial = Trial::of_prepared(|archive| {
        page::edit(archive, &prepared.backups[1], prepared.file("vault", sequence), |pages| {
            let value = pages.live_row(&from.to_le_bytes());
            pages.replace(value, &from.to_le_bytes(), &to.to_le_bytes());
        });
    });
    trial.drill()
}

#[test]
fn a_sequence_that_went_back_fails_the_drill_by_its_name() {
    let judged = drill_with("ticket_number", 1000, 12);
    judged.fails(&[("sequence.behind", "vault: public.ticket_number")]);
    let finding = judged.finding("sequence.behind", "failed");
    assert_eq!((&finding["expected"], &finding["observed"]), (&"1000 or more".into(), &"12".into()), "{judged}");
}

#[test]
fn an_identity_behind_its_column_says_which_value_would_collide() {
    let judged = drill_with("accounts_id_seq", 500, 499);
    judged.fails(&[("sequence.behind", "vault: public.accounts_id_seq")]);
    let finding = judged.finding("sequence.behind", "failed");
    assert_eq!(finding["observed"], "499, and its column holds 500", "{judged}");
}

//! A segment got another name: its neighbour's, or one under which nothing looks for it.
//!
//! Caught by `check::wal::way_gap`; what lies under the neighbour's name by `archive::wal::verify_first_page`.

use crate::support::Prepared;
use crate::trial::Trial;

#[test]
fn a_segment_under_its_neighbours_name_is_a_gap_and_an_invalid_segment() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let [missing, replaced] = &between[..2] else { panic!("two segments: {between:?}") };
    let trial = Trial::of_prepared(|archive| archive.rename(&archive.wal_key(missing), &archive.wal_key(replaced)));

    for judged in [trial.check(), trial.drill()] {
        judged.fails(&[("wal.gap", missing), ("wal.segment_invalid", replaced)]);
    }
}

#[test]
fn a_segment_where_barman_does_not_look_is_a_gap() {
    let prepared = Prepared::get();
    let missing = &prepared.segments_between(&prepared.backups[1])[0];
    let elsewhere: [fn(&str) -> String; 2] =
        [|key| key.replacen("/0000000100000000/", "/0000000100000001/", 1), |key| format!("{key}.tmp")];
    for elsewhere in elsewhere {
        let trial = Trial::of_prepared(|archive| {
            let key = archive.wal_key(missing);
            archive.rename(&key, &elsewhere(&key));
        });
        trial.check().fails(&[("wal.gap", missing)]);
    }
}

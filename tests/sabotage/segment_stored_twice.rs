//! A segment is stored a second time, without compression, and that one is broken: two archivers with different
//! settings. barman takes the one that the store lists first, so a sound one beside it helps nobody.
//!
//! Caught by `sandbox::direct::fetch`, because `archive::wal_listing::WalListing::add_segment` keeps the first as well.

use crate::support::Prepared;
use crate::support::archive::gunzip;
use crate::trial::Trial;

#[test]
fn a_broken_segment_before_a_sound_one_of_its_name_fails_the_drill() {
    let prepared = Prepared::get();
    let between = prepared.segments_between(&prepared.backups[1]);
    let twice = &between[between.len() / 2];
    let trial = Trial::of_prepared(|archive| {
        let sound = archive.wal_key(twice);
        let broken = sound.strip_suffix(".gz").unwrap();
        archive.replace(broken, &gunzip(&archive.bytes(&sound))[..1 << 20]);
        archive.set_modified(broken, archive.modified(&sound));
    });

    trial.check().fails(&[("wal.wrong_size", "")]);
    let drill = trial.drill();
    drill.fails(&[("wal.segment_damaged", twice), ("wal.wrong_size", "")]);
    drill.finding("wal.duplicate", "note");
}

//! A whole archive of another cluster lies under the source's name: a copied configuration, or a source that was set up
//! anew where the old one had archived. It restores well, to other data.
//!
//! Caught by `probe::identity::judge`.

use crate::archives::ManyTars;
use crate::support::Prepared;

#[test]
fn the_archive_of_another_cluster_fails_the_drill_by_its_identity() {
    let own = Prepared::get().system_identifier.to_string();
    let trial = ManyTars::get().trial(|_| ()).baseline(&Prepared::get().baseline());
    let judged = trial.drill();
    judged.fails(&[("server.identity", "")]);
    let identity = judged.finding("server.identity", "failed");
    assert!(identity["expected"].as_str().unwrap().contains(&own), "{judged}");
}

//! A source that archives through the Barman Cloud plugin, on an operator that may restore it.

use crate::drill_pod::Drill;
use crate::source::PLUGIN;
use crate::{installation, kubectl};

/// The minor versions whose earlier patches end a plugin's recovery at the base backup's timeline: facts of
/// CloudNativePG
/// #10818, fixed in 1.28.4, 1.29.2 and 1.30.0.
const FIXED: [(u32, u32); 2] = [(28, 4), (29, 2)];

#[test]
fn a_source_of_the_barman_cloud_plugin_passes() {
    installation::ready();
    assert_operator();
    installation::admit(&PLUGIN);

    let judged = Drill::of(&PLUGIN).run();

    let report = judged.passes();
    assert_eq!(report["source"], PLUGIN.cluster, "{judged}");
    judged.finding("operator.version", "passed");
}

/// This case never passes by not running.
#[track_caller]
fn assert_operator() {
    let selector = format!("cnpg.io/cluster={},cnpg.io/podRole=instance", PLUGIN.cluster);
    let pods = kubectl::list(&["pods", "--namespace", PLUGIN.namespace, "--selector", &selector]);
    let pod = pods.first().unwrap_or_else(|| {
        panic!("no source {}/{}; the lab makes it: apps/up barman-plugin plugin-prod", PLUGIN.namespace, PLUGIN.cluster)
    });
    let version = pod["metadata"]["annotations"]["cnpg.io/operatorVersion"].as_str().unwrap_or("none");
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    let [1, minor, patch] = parts[..] else { panic!("the source's operator has version {version:?}") };
    let is_fixed =
        minor >= 30 || FIXED.contains(&(minor, patch)) || FIXED.iter().any(|(m, p)| *m == minor && patch > *p);
    assert!(is_fixed, "CloudNativePG {version} does not restore plugin sources across timelines; 1.30.0 does");
}

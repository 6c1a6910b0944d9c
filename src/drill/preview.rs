//! `drill --plan`: what a drill would do and make, without doing it.

use std::path::Path;

use jiff::Timestamp;

use super::Options;
use super::prove::document;
use super::restore::operator::sizes;
use crate::archive::inventory::{Depth, Inventory};
use crate::archive::store::Store;
use crate::finding::Finding;
use crate::plan::{self, DirectSandbox, OperatorSandbox, Plan, Target, signed};
use crate::report::text;
use crate::run::new_run_id;
use crate::sandbox::direct::binaries;
use crate::sandbox::operator::manifest::{self, Manifest};
use crate::sandbox::operator::{app, network, permission};
use crate::source::cluster::SourceCluster;
use crate::source::reach::Reach;
use crate::target::{self, Choice};
use crate::{check, drill};

/// Lists the archive and chooses as the drill would; reads the source's database never.
pub async fn preview(plan: &Plan, reach: &Reach, baseline: Option<&Path>) -> Result<String, Box<Finding>> {
    let Some(store) = &reach.store else {
        let finding = reach.findings.first().cloned();
        return Err(Box::new(finding.expect("a source without a store has a finding that says why")));
    };
    let now = Timestamp::now();
    let inventory =
        Inventory::take(store, Depth::Full, now).await.map_err(|e| Box::new(check::unreadable(store, &e)))?;
    let baseline = baseline.map(|file| document(file, plan)).transpose()?;
    // Without a document the baseline would be read now, so its place is the end of the archive.
    let stand_in = if plan.target == Target::Baseline && baseline.is_none() { &Target::Latest } else { &plan.target };
    let choice = target::choose(&inventory, baseline.as_ref(), stand_in, &plan.backup, now)?;

    let mut lines = vec![format!("A drill of {} would", plan.source)];
    let mut say = |text: String| lines.push(format!("  {}. {text}", lines.len()));
    say(list(store));
    say(match (&baseline, &plan.connection) {
        (Some(baseline), _) => {
            format!("take the baseline of {} (LSN {})", text::moment(baseline.captured_at), baseline.lsn)
        }
        (None, Some(connection)) => format!(
            "read a baseline from {}:{} as {}, read-only, within {}",
            connection.host,
            connection.port,
            connection.user,
            text::duration(signed(plan.limits.baseline))
        ),
        (None, None) => "compare nothing: there is no `connection` and no --baseline".to_owned(),
    });
    let stop = if plan.target == Target::Baseline && baseline.is_none() {
        "the baseline's LSN".to_owned()
    } else {
        choice.stop.text()
    };
    let stored = inventory.backup(&choice.backup).map_or(0, |backup| backup.bytes);
    let what = format!(
        "restore base backup {} ({} stored), to {stop} on timeline {}",
        choice.backup,
        text::bytes(stored),
        choice.history.timeline
    );
    match (&plan.sandbox, &reach.source, &reach.kubernetes) {
        (plan::Sandbox::Direct(direct), ..) => {
            say(format!("{what}, into {}/walproof-<run>", direct.directory.display()));
            say(server(direct, &inventory, &choice));
            say("compare, tear the sandbox down, and report".to_owned());
        }
        (plan::Sandbox::Operator(sandbox), Some(source), Some(kubernetes)) => {
            say(format!("{what}, as a Cluster in the namespace {}", sandbox.namespace));
            say("compare, tear the sandbox down, and report".to_owned());
            lines.push(format!("\nAs {} it would use these permissions:", kubernetes.identity.user));
            lines.push(permission::text(source, sandbox, kubernetes.is_inside()));
            lines.push("\nIt would make these objects, one after another:".to_owned());
            lines.extend(objects(plan, source, sandbox, &inventory, &choice, now)?.iter().map(yaml));
        }
        (plan::Sandbox::Operator(_), ..) => {}
    }
    lines.push("It writes nothing to the source and nothing to the archive.".to_owned());
    Ok(lines.join("\n") + "\n")
}

fn list(store: &Store) -> String {
    format!("list {} ({} requests this time) and read the heads of some segments", store.url(), store.requests())
}

/// Everything that a drill now would make, without the owner's UID.
fn objects(
    plan: &Plan,
    source: &SourceCluster,
    sandbox: &OperatorSandbox,
    inventory: &Inventory,
    choice: &Choice,
    now: Timestamp,
) -> Result<Vec<Manifest>, Box<Finding>> {
    let sizes = sizes(source, sandbox, inventory, choice)?;
    let names = drill::names(plan, sandbox, source, &Options::default(), &new_run_id(now), now);
    let mut objects = vec![manifest::owner(&names, None), network::manifest(source, sandbox, &names, None)];
    objects.push(manifest::store_secret(source, &names, None));
    objects.extend(manifest::object_store(source, &names, None));
    objects.push(manifest::cluster(source, sandbox, &sizes, choice, &names, None));
    if let Some(app) = &sandbox.app {
        objects.push(app::manifest(source, app, &names, None));
    }
    Ok(objects)
}

fn yaml(manifest: &Manifest) -> String {
    let shown = manifest.shown();
    let text = serde_saphyr::to_string(&shown).unwrap_or_else(|_| shown.to_string());
    format!("---\n{}", text.trim_end())
}

fn server(plan: &DirectSandbox, inventory: &Inventory, choice: &Choice) -> String {
    let major = inventory.backup(&choice.backup).and_then(|backup| backup.info.as_ref().ok()?.major()).unwrap_or(0);
    let user = if nix::unistd::geteuid().is_root() { format!(" as {}", plan.user) } else { String::new() };
    match binaries::find(plan.binaries.as_deref(), major) {
        Ok(programs) => {
            format!("run {} ({}){user}, on a Unix socket only", programs.postgres.display(), programs.version)
        }
        Err(finding) => format!("fail: {}", finding.summary),
    }
}

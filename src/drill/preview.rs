//! `drill --plan`: what a drill would do and make, without doing it.

use std::path::Path;

use jiff::Timestamp;

use super::prove::document;
use crate::archive::inventory::{Depth, Inventory};
use crate::archive::store::Store;
use crate::check;
use crate::finding::Finding;
use crate::plan::{Plan, Target, signed};
use crate::report::text;
use crate::sandbox::direct::binaries;
use crate::target::{self, Choice};

/// Lists the archive and chooses as the drill would; reads the source never.
pub async fn preview(plan: &Plan, store: &Store, baseline: Option<&Path>) -> Result<String, Box<Finding>> {
    let now = Timestamp::now();
    let inventory =
        Inventory::take(store, Depth::Full, now).await.map_err(|e| Box::new(check::unreadable(store, &e)))?;
    let baseline = baseline.map(|file| document(file, plan)).transpose()?;
    // Without a document the baseline would be read now, so its place is the end of the archive.
    let stand_in = if plan.target == Target::Baseline && baseline.is_none() { &Target::Latest } else { &plan.target };
    let choice = target::choose(&inventory, baseline.as_ref(), stand_in, &plan.backup, now)?;

    let mut lines = vec![format!("A drill of {} would", plan.source)];
    let mut step = |text: String| lines.push(format!("  {}. {text}", lines.len()));
    step(format!("list {} ({} requests this time) and read the heads of some segments", store.url(), store.requests()));
    step(match (&baseline, &plan.connection) {
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
    step(restore(plan, &inventory, &choice, baseline.is_some()));
    step(server(plan, &inventory, &choice));
    step("compare, tear the sandbox down, and report".to_owned());
    lines.push("It writes nothing to the source and nothing to the archive.".to_owned());
    Ok(lines.join("\n") + "\n")
}

fn restore(plan: &Plan, inventory: &Inventory, choice: &Choice, has_baseline: bool) -> String {
    let bytes = inventory.backup(&choice.backup).map_or(0, |backup| backup.bytes);
    let stop = if plan.target == Target::Baseline && !has_baseline {
        "the baseline's LSN".to_owned()
    } else {
        choice.stop.text()
    };
    format!(
        "restore base backup {} ({} stored) into {}/walproof-<run>, to {stop} on timeline {}",
        choice.backup,
        text::bytes(bytes),
        plan.sandbox.directory.display(),
        choice.history.timeline
    )
}

fn server(plan: &Plan, inventory: &Inventory, choice: &Choice) -> String {
    let major = inventory.backup(&choice.backup).and_then(|backup| backup.info.as_ref().ok()?.major()).unwrap_or(0);
    let user = if nix::unistd::geteuid().is_root() { format!(" as {}", plan.sandbox.user) } else { String::new() };
    match binaries::find(plan.sandbox.binaries.as_deref(), major) {
        Ok(programs) => {
            format!("run {} ({}){user}, on a Unix socket only", programs.postgres.display(), programs.version)
        }
        Err(finding) => format!("fail: {}", finding.summary),
    }
}

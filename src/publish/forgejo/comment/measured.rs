//! What a run measured, as a table: the restore, and the archive that it was made from.

use std::fmt::Write;

use crate::probe::tables::Comparison;
use crate::publish::markdown::{code, escape, within};
use crate::report::text::{bytes, count, grouped, milliseconds, moment};
use crate::report::{InventorySummary, Report, Restore};

const VALUE_LIMIT: usize = 700;
/// Of lists that have no limit of their own.
const ITEMS: usize = 8;

/// The table, with an empty line before it.
pub fn table(report: &Report) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(restore) = &report.restore {
        rows.extend(of_restore(restore));
    }
    rows.push(("archive", cell(&report.archive, code)));
    if let Some(inventory) = &report.inventory {
        rows.extend(of_inventory(inventory));
    }
    rows.extend(list("left behind", &report.left_behind));
    let mut text = "\n| measured | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

fn of_restore(restore: &Restore) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let ended = restore.backup_ended_at.map_or_else(String::new, |at| format!(", ended {}", moment(at)));
    let unpacked = match restore.bytes_unpacked {
        // The operator does not say how much it unpacked.
        0 => String::new(),
        unpacked => format!(", {} unpacked", bytes(unpacked)),
    };
    rows.push(("backup", format!("{}{ended}{unpacked}", cell(&restore.backup, code))));
    rows.push(("target", cell(&restore.target, escape)));
    if let Some(stopped) = &restore.stopped {
        rows.push(("stopped", cell(stopped, escape)));
    }
    if let Some(ms) = restore.recovery_time_ms {
        rows.push(("RTO", format!("{} in the {} sandbox", milliseconds(ms), cell(&restore.sandbox, escape))));
    }
    if let Some(ms) = restore.recovery_point_exposure_ms {
        rows.push((
            "RPO",
            format!("{} from the newest moment proven restorable to the end of the run", milliseconds(ms)),
        ));
    }
    let phases: Vec<String> =
        restore.phases.iter().map(|phase| format!("{} {}", phase.name, milliseconds(phase.duration_ms))).collect();
    if !phases.is_empty() {
        rows.push(("times", cell(&phases.join(", "), escape)));
    }
    if let Some(baseline) = &restore.baseline {
        let exact = if baseline.exact { "exact" } else { "not exact" };
        let at = moment(baseline.captured_at);
        let place = format!("{at}, LSN {}, timeline {}, {exact}", baseline.lsn, baseline.timeline);
        rows.push(("baseline", place));
        rows.push(("rows", grouped(baseline.rows)));
    }
    let unequal = restore.tables.iter().filter(|table| match table.comparison {
        Comparison::Different | Comparison::NotChecked => true,
        Comparison::Exact | Comparison::WithinTransactions => false,
    });
    let unequal = match unequal.count() as u64 {
        0 => String::new(),
        unequal => format!(", {} different or not checked", grouped(unequal)),
    };
    rows.push(("tables", format!("{} compared{unequal}", grouped(restore.tables_compared))));
    let range = match (&restore.first_segment_replayed, &restore.last_segment_replayed) {
        (Some(first), Some(last)) => format!(", {} to {}", cell(first, code), cell(last, code)),
        _ => String::new(),
    };
    rows.push(("replayed", format!("{}{range}", count(restore.segments_replayed, "segment", "segments"))));
    rows.extend(list("deviations", &restore.deviations));
    rows
}

fn of_inventory(inventory: &InventorySummary) -> Vec<(&'static str, String)> {
    let newest = inventory.newest_segment.as_deref().map_or_else(String::new, |segment| {
        let at = inventory.newest_segment_at.map_or_else(String::new, |at| format!(" of {}", moment(at)));
        format!(", newest {}{at}", cell(segment, code))
    });
    let backups = format!("{}, {} of them complete", grouped(inventory.backups), grouped(inventory.restorable_backups));
    let wal = format!("{}, {}", count(inventory.segments, "segment", "segments"), bytes(inventory.wal_bytes));
    let window = match &inventory.recovery_window {
        None => "none".to_owned(),
        Some(window) => {
            let end =
                window.broken_by.as_ref().map_or_else(String::new, |gap| format!(" only: {} missing", cell(gap, code)));
            format!("{} to {}, timeline {}{end}", moment(window.from), moment(window.to), window.timeline)
        }
    };
    vec![("backups", backups), ("WAL", wal + &newest), ("window, as listed", window)]
}

fn list(name: &'static str, items: &[String]) -> Option<(&'static str, String)> {
    let mut shown: Vec<String> = items.iter().take(ITEMS).map(|item| cell(item, escape)).collect();
    if items.len() > ITEMS {
        shown.push(format!("and {} more", items.len() - ITEMS));
    }
    (!shown.is_empty()).then(|| (name, shown.join("<br>")))
}

fn cell(text: &str, render: fn(&str) -> String) -> String {
    within(VALUE_LIMIT, text, render)
}

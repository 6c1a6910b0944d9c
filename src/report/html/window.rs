//! The recovery window as a strip of time: base backups as marks, WAL as bars that say by their pattern whether it is
//! missing, listed, read or replayed.

use std::fmt::Write;

use jiff::Timestamp;

use super::scale::{Axis, Percent};
use super::{escape, minute, pairs};
use crate::archive::wal::Timeline;
use crate::report::text::{bytes, count, grouped, moment};
use crate::report::{InventorySummary, Report, Restore};

/// How many timelines are drawn; what a recovery needs lies on the newest ones.
const TIMELINES: usize = 3;
/// The height of a label and its band.
const LANE: usize = 52;
/// Above the first lane: the target's label.
const TOP: usize = 24;

/// The section: sentences, and the picture where the listing gave enough to draw.
pub fn section(report: &Report) -> String {
    let Some(inventory) = &report.inventory else {
        return "<section aria-labelledby=\"window\"><h2 id=\"window\">Recovery window</h2>\n<p>The archive could not be listed, so nothing is known of it.</p>\n</section>\n".to_owned();
    };
    let strip = strip(report, inventory).unwrap_or_default();
    format!(
        "<section aria-labelledby=\"window\"><h2 id=\"window\">Recovery window</h2>\n{}{strip}{}</section>\n",
        sentence(inventory),
        facts(report, inventory),
    )
}

fn sentence(inventory: &InventorySummary) -> String {
    let Some(window) = &inventory.recovery_window else {
        return "<p>The listing shows no recovery window.</p>\n".to_owned();
    };
    let end = window.broken_by.as_ref().map_or_else(String::new, |gap| {
        format!(" It ends there because WAL is missing: <code>{}</code>.", escape(gap))
    });
    format!(
        "<p>As listed, every moment from <strong>{}</strong> to <strong>{}</strong> can be recovered, on timeline {}.{end} Listed is not proven: only what was replayed is.</p>\n",
        moment(window.from),
        moment(window.to),
        window.timeline,
    )
}

fn facts(report: &Report, inventory: &InventorySummary) -> String {
    let mut rows = vec![
        ("Base backups", format!("{}, {} of them complete", inventory.backups, inventory.restorable_backups)),
        (
            "WAL listed",
            format!(
                "{}, {}; newest {}",
                count(inventory.segments, "segment", "segments"),
                bytes(inventory.wal_bytes),
                inventory.newest_segment.as_deref().unwrap_or("none")
            ),
        ),
        ("WAL read", format!("the heads of {}", count(inventory.segments_read, "segment", "segments"))),
    ];
    if let Some(restore) = &report.restore {
        let replayed = match (&restore.first_segment_replayed, &restore.last_segment_replayed) {
            (Some(first), Some(last)) => {
                format!("{}, {first} to {last}", count(restore.segments_replayed, "segment", "segments"))
            }
            _ => "no segment".to_owned(),
        };
        rows.push(("WAL replayed", replayed));
    }
    for gap in &inventory.gaps {
        let name = if gap.first == gap.last { gap.first.clone() } else { format!("{} to {}", gap.first, gap.last) };
        rows.push(("WAL missing", format!("{}: {name}", count(gap.segments, "segment", "segments"))));
    }
    pairs(&rows)
}

/// What is drawn, and how high it became.
struct Strip {
    axis: Axis,
    drawn: String,
    y: usize,
}

/// The picture and its legend; None when the listing gave nothing that has a time.
fn strip(report: &Report, inventory: &InventorySummary) -> Option<String> {
    let window = inventory.recovery_window.as_ref();
    let moments = inventory
        .backup_list
        .iter()
        .filter_map(|backup| backup.ended_at)
        .chain(inventory.wal_runs.iter().flat_map(|run| [run.from, run.to]))
        .chain(window.iter().flat_map(|window| [window.from, window.to]))
        .chain(inventory.newest_backup_at);
    let known = Axis::over(moments)?;
    let now = report.finished_at;
    let axis = Axis { from: known.from.min(now), to: known.to.max(now) };
    let mut strip = Strip { axis, drawn: String::new(), y: TOP };
    if let Some(window) = window {
        strip.lane("Recovery window, as listed");
        strip.bar("span", window.from, window.to);
    }
    strip.backups(inventory);
    let mut timelines: Vec<Timeline> = inventory.wal_runs.iter().map(|run| run.timeline).collect();
    timelines.sort_unstable();
    timelines.dedup();
    let shown = &timelines[timelines.len().saturating_sub(TIMELINES)..];
    for &timeline in shown {
        let is_newest = shown.last() == Some(&timeline);
        strip.wal(inventory, timeline, |other| other == timeline || is_newest && !shown.contains(&other));
    }
    let replayed = report.restore.as_ref().and_then(|restore| replayed(inventory, restore));
    if let Some((from, to)) = replayed {
        strip.lane("Replayed by this drill");
        strip.bar("replayed", from, to);
    }
    let bottom = strip.y + 6;
    if let Some(restore) = &report.restore {
        strip.target(restore, bottom);
    }
    strip.now(now, bottom);
    let Strip { drawn, .. } = strip;
    Some(format!(
        r#"<svg class="picture" width="100%" height="{}" role="img" aria-labelledby="window-title window-desc"><title id="window-title">Base backups and WAL over time</title><desc id="window-desc">{}</desc>{PATTERNS}{drawn}</svg>
{}"#,
        bottom + 40,
        escape(&spoken(report, inventory, axis)),
        legend(&drawn),
    ))
}

impl Strip {
    fn lane(&mut self, label: &str) {
        let _ = write!(self.drawn, r#"<text class="quiet" x="0" y="{}">{}</text>"#, self.y + 14, escape(label));
        self.y += LANE;
    }

    /// A bar in the lane that was begun last.
    fn bar(&mut self, class: &str, from: Timestamp, to: Timestamp) {
        let (x, end) = (self.axis.at(from), self.axis.at(to));
        let y = self.y - LANE + 25;
        let _ = write!(self.drawn, r#"<rect class="{class}" x="{x}" y="{y}" width="{}" height="16"/>"#, end.since(x));
    }

    fn backups(&mut self, inventory: &InventorySummary) {
        let ended: Vec<(Timestamp, bool)> = if inventory.backup_list.is_empty() {
            inventory.newest_backup_at.map(|at| (at, true)).into_iter().collect()
        } else {
            inventory.backup_list.iter().filter_map(|backup| Some((backup.ended_at?, backup.restorable))).collect()
        };
        if ended.is_empty() {
            return;
        }
        self.lane("Base backups");
        let y = self.y - LANE + 33;
        for (at, is_restorable) in ended {
            let mark = if is_restorable { SOUND } else { BROKEN };
            let _ = write!(self.drawn, r#"<svg class="point" x="{}" y="{y}">{mark}</svg>"#, self.axis.at(at));
        }
    }

    fn wal(&mut self, inventory: &InventorySummary, timeline: Timeline, is_here: impl Fn(Timeline) -> bool) {
        self.lane(&format!("WAL of timeline {timeline}"));
        for run in inventory.wal_runs.iter().filter(|run| run.timeline == timeline) {
            self.bar("listed", run.from, run.to);
        }
        for gap in inventory.gaps.iter().filter(|gap| is_here(gap.timeline)) {
            self.bar("missing", gap.from.unwrap_or(self.axis.from), gap.to.unwrap_or(self.axis.to));
        }
        let y = self.y - LANE + 25;
        for read in inventory.read.iter().filter(|read| read.timeline == timeline) {
            let _ = write!(self.drawn, r#"<svg class="point" x="{}" y="{y}">{READ}</svg>"#, self.axis.at(read.at));
        }
    }

    fn target(&mut self, restore: &Restore, bottom: usize) {
        let Some((name, at)) = aim(restore) else { return };
        self.line("target", self.axis.at(at), TOP - 4, bottom);
        let x = self.axis.at(at);
        let anchor = if x.is_right() { "end" } else { "start" };
        let _ = write!(
            self.drawn,
            r#"<text class="strong" x="{x}" y="14" text-anchor="{anchor}">{name} {}</text>"#,
            moment(at)
        );
    }

    fn now(&mut self, now: Timestamp, bottom: usize) {
        self.line("now", self.axis.at(now), TOP - 4, bottom);
        let end = if self.axis.to == now { "end of the run" } else { "newest in the archive" };
        // On a narrow page the two dates have just room side by side.
        for (x, anchor, y, label) in [
            ("0", "start", bottom + 14, minute(self.axis.from)),
            ("100%", "end", bottom + 14, minute(self.axis.to)),
            ("0", "start", bottom + 32, "oldest in the archive".to_owned()),
            ("100%", "end", bottom + 32, end.to_owned()),
        ] {
            let _ = write!(self.drawn, r#"<text class="quiet" x="{x}" y="{y}" text-anchor="{anchor}">{label}</text>"#);
        }
    }

    fn line(&mut self, class: &str, x: Percent, top: usize, bottom: usize) {
        let _ = write!(self.drawn, r#"<line class="{class}" x1="{x}" y1="{top}" x2="{x}" y2="{bottom}"/>"#);
    }
}

/// The moment that the drill aimed at, or else came to, and its name; as far as the report knows one.
fn aim(restore: &Restore) -> Option<(&'static str, Timestamp)> {
    let baseline =
        restore.baseline.as_ref().filter(|baseline| restore.target.starts_with(&format!("LSN {},", baseline.lsn)));
    let time = || restore.target.strip_prefix("time ")?.parse().ok();
    let target = baseline.map(|baseline| baseline.captured_at).or_else(time).map(|at| ("target", at));
    target.or_else(|| Some(("last commit", restore.last_commit_at?)))
}

/// From the end of the base backup to where recovery came.
fn replayed(inventory: &InventorySummary, restore: &Restore) -> Option<(Timestamp, Timestamp)> {
    let from = restore.backup_ended_at?;
    let last = restore.last_segment_replayed.as_ref()?;
    let to = if restore.stop_lsn.is_some() {
        aim(restore)?.1
    } else {
        // It did not stop where it should; only the time of a run's last segment is known.
        inventory.wal_runs.iter().find(|run| run.last == *last)?.to
    };
    Some((from, to.max(from)))
}

/// The picture in words.
fn spoken(report: &Report, inventory: &InventorySummary, axis: Axis) -> String {
    let mut words = format!(
        "From {} to {}. {} and {} of WAL.",
        moment(axis.from),
        moment(axis.to),
        count(inventory.backups, "base backup", "base backups"),
        count(inventory.wal_runs.len() as u64, "unbroken run", "unbroken runs"),
    );
    for gap in &inventory.gaps {
        let time = |at: Option<Timestamp>, otherwise: &str| at.map_or_else(|| otherwise.to_owned(), moment);
        let _ = write!(
            words,
            " Missing: {} segments, between {} and {}.",
            grouped(gap.segments),
            time(gap.from, "the beginning"),
            time(gap.to, "the end"),
        );
    }
    if let Some((from, to)) = report.restore.as_ref().and_then(|restore| replayed(inventory, restore)) {
        let _ = write!(words, " Replayed from {} to {}.", moment(from), moment(to));
    }
    words
}

const SOUND: &str = r#"<path class="sound" d="M0 -8 L7 0 L0 8 L-7 0 Z"/>"#;
const BROKEN: &str = r#"<path class="broken" d="M0 -8 L7 0 L0 8 L-7 0 Z M-3.5 -4 L3.5 4 M3.5 -4 L-3.5 4"/>"#;
const READ: &str = r#"<path class="read" d="M0 -1 L0 17"/><circle class="read" cx="0" cy="-2" r="2.5"/>"#;

/// Dots for what is listed, hatching for what is missing.
const PATTERNS: &str = r#"<defs><pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><rect class="dots-ground" width="6" height="6"/><circle class="dots" cx="3" cy="3" r="1.1"/></pattern><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-ground" width="7" height="7"/><rect class="hatch" width="3" height="7"/></pattern></defs>"#;

/// What each sign in the picture means.
fn legend(drawn: &str) -> String {
    let swatch = |class: &str| format!(r#"<rect class="{class}" x="1" y="1" width="24" height="16"/>"#);
    let point = |y: u32, mark: &str| format!(r#"<svg class="point" x="13" y="{y}">{mark}</svg>"#);
    let signs = [
        ("listed", swatch("listed"), "listed"),
        ("read", point(2, READ), "head of the segment read"),
        ("replayed", swatch("replayed"), "replayed"),
        ("missing", swatch("missing"), "missing"),
        ("sound", point(9, SOUND), "base backup"),
        ("broken", point(9, BROKEN), "base backup that cannot be restored"),
    ];
    let mut items = String::new();
    for (_, sign, meaning) in signs.iter().filter(|(class, ..)| drawn.contains(&format!("class=\"{class}\""))) {
        let _ = writeln!(items, r#"<li><svg width="26" height="18" aria-hidden="true">{sign}</svg> {meaning}</li>"#);
    }
    format!("<ul class=\"legend\">\n{items}</ul>\n")
}

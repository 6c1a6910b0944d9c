//! The `backup_label` file: what PostgreSQL itself says about where recovery of a base backup must begin.

use super::super::wal::{Lsn, Timeline, hexadecimal, is_segment_name};

/// The lines of a `backup_label` that recovery goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupLabel {
    pub start_lsn: Lsn,
    pub start_segment_name: String,
    pub checkpoint_lsn: Lsn,
    pub timeline: Timeline,
    pub from_standby: bool,
    /// The name that was given to the backup; empty when there is none.
    pub label: String,
    /// Set in an incremental backup (PostgreSQL 17), which PostgreSQL refuses to start from.
    pub incremental_from: Option<Lsn>,
}

/// What is wrong with a `backup_label`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelDefect {
    #[error("backup_label has no line {0:?}")]
    Missing(&'static str),
    #[error("backup_label has an unreadable line {name:?}: {text:?}")]
    Malformed { name: &'static str, text: String },
    #[error("backup_label says START TIMELINE {timeline}, but names segment {segment_name}")]
    TimelineDisagrees { timeline: Timeline, segment_name: String },
}

const START: &str = "START WAL LOCATION";
const CHECKPOINT: &str = "CHECKPOINT LOCATION";
const TIMELINE: &str = "START TIMELINE";
const INCREMENTAL: &str = "INCREMENTAL FROM LSN";

impl BackupLabel {
    /// Reads the whole text. As PostgreSQL does, it wants the start and the checkpoint, and lets the timeline be absent
    /// (PostgreSQL 10 and older), when the segment's name gives it.
    pub fn parse(text: &str) -> Result<Self, LabelDefect> {
        let value = |name| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim);
        let required = |name| value(name).ok_or(LabelDefect::Missing(name));
        let malformed = |name, text: &str| LabelDefect::Malformed { name, text: text.to_owned() };
        let lsn = |name, text: &str| text.parse::<Lsn>().map_err(|_| malformed(name, text));

        let start = required(START)?;
        let (start_lsn, start_segment_name) = start_location(start).ok_or_else(|| malformed(START, start))?;
        let of_segment = hexadecimal(&start_segment_name[..8]).map(Timeline).ok_or_else(|| malformed(START, start))?;
        let timeline = match value(TIMELINE) {
            Some(text) => Timeline(text.parse().map_err(|_| malformed(TIMELINE, text))?),
            None => of_segment,
        };
        if timeline != of_segment {
            return Err(LabelDefect::TimelineDisagrees { timeline, segment_name: start_segment_name.to_owned() });
        }
        Ok(Self {
            start_lsn,
            start_segment_name: start_segment_name.to_owned(),
            checkpoint_lsn: lsn(CHECKPOINT, required(CHECKPOINT)?)?,
            timeline,
            from_standby: value("BACKUP FROM") == Some("standby"),
            label: value("LABEL").unwrap_or_default().to_owned(),
            incremental_from: value(INCREMENTAL).map(|text| lsn(INCREMENTAL, text)).transpose()?,
        })
    }
}

/// `0/3000028 (file 000000010000000000000003)`.
fn start_location(text: &str) -> Option<(Lsn, &str)> {
    let (lsn, rest) = text.split_once(" (file ")?;
    let name = rest.strip_suffix(')').filter(|name| is_segment_name(name))?;
    Some((lsn.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = "START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n\
        CHECKPOINT LOCATION: 0/3000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n\
        START TIME: 2026-11-21 01:23:31 UTC\nLABEL: Barman backup cloud 20261121T012331\nSTART TIMELINE: 1\n";

    #[test]
    fn a_real_label_is_read() {
        let label = BackupLabel::parse(REAL).unwrap();
        assert_eq!(
            label,
            BackupLabel {
                start_lsn: Lsn(0x300_0028),
                start_segment_name: "000000010000000000000003".to_owned(),
                checkpoint_lsn: Lsn(0x300_0060),
                timeline: Timeline(1),
                from_standby: false,
                label: "Barman backup cloud 20261121T012331".to_owned(),
                incremental_from: None,
            }
        );
    }

    #[test]
    fn a_backup_from_a_standby_and_an_incremental_one_are_told_apart() {
        let text = REAL.replace("FROM: primary", "FROM: standby") + "INCREMENTAL FROM LSN: 0/2000028\n";
        let label = BackupLabel::parse(&text).unwrap();
        assert!(label.from_standby);
        assert_eq!(label.incremental_from, Some(Lsn(0x200_0028)));
    }

    #[test]
    fn without_a_timeline_line_the_segment_name_gives_it() {
        assert_eq!(BackupLabel::parse(&REAL.replace("START TIMELINE: 1\n", "")).unwrap().timeline, Timeline(1));
    }

    #[test]
    fn a_label_that_contradicts_itself_or_lacks_a_line_is_a_defect() {
        let message = |text: &str| BackupLabel::parse(text).unwrap_err().to_string();
        assert_eq!(message(""), "backup_label has no line \"START WAL LOCATION\"");
        assert_eq!(message(&REAL[..62]), "backup_label has no line \"CHECKPOINT LOCATION\"");
        assert_eq!(
            message(&REAL.replace("TIMELINE: 1", "TIMELINE: 2")),
            "backup_label says START TIMELINE 2, but names segment 000000010000000000000003"
        );
        assert_eq!(
            message(&REAL.replace(" (file 000000010000000000000003)", " (file 00)")),
            "backup_label has an unreadable line \"START WAL LOCATION\": \"0/3000028 (file 00)\""
        );
    }
}

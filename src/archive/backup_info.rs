//! `backup.info`: what barman wrote down about one base backup. Read tolerantly, because files of many barman versions
//! lie in one archive; what barman itself would refuse is listed, not refused.

mod label;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub use self::label::{BackupLabel, LabelDefect};
use super::python_literal::{Literal, LiteralDefect};
use super::wal::{Lsn, Segment, SegmentSize, Timeline};

/// One base backup, as its `backup.info` describes it. What is absent or `None` in the file is `None` here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupInfo {
    /// The directory's name; the file itself does not hold it.
    pub id: String,
    pub status: Status,
    pub begin_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    /// Older files give local times of a machine that nobody knows any more; they were taken for UTC.
    pub times_without_zone: bool,
    pub begin_wal: Option<String>,
    pub end_wal: Option<String>,
    pub begin_lsn: Option<Lsn>,
    pub end_lsn: Option<Lsn>,
    pub timeline: Option<Timeline>,
    pub system_identifier: Option<u64>,
    /// PostgreSQL's `server_version_num`, such as 150018.
    pub version: Option<u32>,
    /// [`SegmentSize::DEFAULT`] when the file does not say, as in barman.
    pub segment_size: SegmentSize,
    /// Bytes of the whole data directory.
    pub cluster_size: Option<u64>,
    pub tablespaces: Vec<Tablespace>,
    pub backup_label: Option<String>,
    pub data_checksums: Option<bool>,
    /// Set in an incremental backup, which cannot be restored by unpacking its tars.
    pub parent_backup_id: Option<String>,
    pub backup_name: Option<String>,
    /// What went wrong, in a failed backup.
    pub error: Option<String>,
    /// The data lies in volume snapshots, not in tars.
    pub is_snapshot: bool,
    /// Keys that barman 3.19 does not know, and ends at. The backup as such may be sound.
    pub unknown_keys: Vec<String>,
}

/// A tablespace besides PostgreSQL's own two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tablespace {
    pub name: String,
    pub oid: u32,
    pub location: String,
}

/// How far the backup came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Empty,
    Started,
    Failed,
    WaitingForWals,
    Done,
    Syncing,
    /// A word that barman 3.19 does not use.
    Other(String),
}

/// Why a `backup.info` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfoDefect {
    #[error("line {line} is not key=value: {text:?}")]
    NotKeyValue { line: usize, text: String },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{key} cannot be read: {value:?}")]
    BadValue { key: &'static str, value: String },
    #[error("{key} cannot be read")]
    BadLiteral { key: &'static str, source: LiteralDefect },
    #[error("its backup_label cannot be read")]
    BadLabel(#[from] LabelDefect),
    #[error("{key} is {value}, but its backup_label says {label}")]
    LabelDisagrees { key: &'static str, value: String, label: String },
}

/// Every key that barman 3.19 knows.
const KNOWN_KEYS: [&str; 35] = [
    "backup_label",
    "backup_name",
    "begin_offset",
    "begin_time",
    "begin_wal",
    "begin_xlog",
    "children_backup_ids",
    "cluster_size",
    "compression",
    "config_file",
    "copy_stats",
    "data_checksums",
    "deduplicated_size",
    "encryption",
    "end_offset",
    "end_time",
    "end_wal",
    "end_xlog",
    "error",
    "hba_file",
    "ident_file",
    "included_files",
    "mode",
    "parent_backup_id",
    "pgdata",
    "server_name",
    "size",
    "snapshots_info",
    "status",
    "summarize_wal",
    "systemid",
    "tablespaces",
    "timeline",
    "version",
    "xlog_segment_size",
];

impl BackupInfo {
    /// Reads the text of `<id>/backup.info`. Only `status` must be there; a value that is there must be readable.
    pub fn parse(id: &str, text: &str) -> Result<Self, InfoDefect> {
        let values = Values::read(text)?;
        let segment_size = values.parsed("xlog_segment_size", |text| SegmentSize::new(text.parse().ok()?))?;
        let segment_size = segment_size.unwrap_or(SegmentSize::DEFAULT);
        let segment_name = |text: &str| Segment::parse(text, segment_size).map(|_| text.to_owned());
        let (begin_time, end_time) = (values.parsed("begin_time", time)?, values.parsed("end_time", time)?);
        Ok(Self {
            id: id.to_owned(),
            status: values.text("status").map(Status::parse).ok_or(InfoDefect::Missing("status"))?,
            begin_time: begin_time.map(|(time, _)| time),
            end_time: end_time.map(|(time, _)| time),
            times_without_zone: [begin_time, end_time].into_iter().flatten().any(|(_, has_zone)| !has_zone),
            begin_wal: values.parsed("begin_wal", segment_name)?,
            end_wal: values.parsed("end_wal", segment_name)?,
            begin_lsn: values.parsed("begin_xlog", |text| text.parse().ok())?,
            end_lsn: values.parsed("end_xlog", |text| text.parse().ok())?,
            timeline: values.parsed("timeline", |text| text.parse().ok().filter(|&it| it > 0).map(Timeline))?,
            system_identifier: values.parsed("systemid", |text| text.parse().ok())?,
            version: values.parsed("version", |text| text.parse().ok())?,
            segment_size,
            cluster_size: values.parsed("cluster_size", |text| text.parse().ok())?,
            tablespaces: values.tablespaces()?,
            backup_label: values.literal_text("backup_label")?,
            data_checksums: values.parsed("data_checksums", |text| match text {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            })?,
            parent_backup_id: values.text("parent_backup_id").map(str::to_owned),
            backup_name: values.text("backup_name").map(str::to_owned),
            error: values.text("error").map(str::to_owned),
            is_snapshot: values.text("snapshots_info").is_some(),
            unknown_keys: values.unknown_keys(),
        })
    }

    /// The major version of PostgreSQL: 15 for 150018, 9 for 90624.
    pub fn major(&self) -> Option<u32> {
        self.version.map(|version| version / 10_000)
    }

    /// Whether `backup_label`, which recovery goes by, begins where the other keys say, which the choice of WAL goes by.
    /// A file without a `backup_label` has nothing to compare, which is a defect too: every backup that barman-cloud
    /// completed has one.
    pub fn labels_agree(&self) -> Result<(), InfoDefect> {
        let text = self.backup_label.as_deref().ok_or(InfoDefect::Missing("backup_label"))?;
        let label = BackupLabel::parse(text)?;
        let agree = |key, value: Option<String>, label: String| match value {
            None => Err(InfoDefect::Missing(key)),
            Some(value) if value != label => Err(InfoDefect::LabelDisagrees { key, value, label }),
            Some(_) => Ok(()),
        };
        agree("begin_xlog", self.begin_lsn.map(|lsn| lsn.to_string()), label.start_lsn.to_string())?;
        agree("begin_wal", self.begin_wal.clone(), label.start_segment_name)?;
        agree("timeline", self.timeline.map(|timeline| timeline.to_string()), label.timeline.to_string())
    }
}

impl Status {
    fn parse(text: &str) -> Self {
        match text {
            "EMPTY" => Self::Empty,
            "STARTED" => Self::Started,
            "FAILED" => Self::Failed,
            "WAITING_FOR_WALS" => Self::WaitingForWals,
            "DONE" => Self::Done,
            "SYNCING" => Self::Syncing,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "EMPTY",
            Self::Started => "STARTED",
            Self::Failed => "FAILED",
            Self::WaitingForWals => "WAITING_FOR_WALS",
            Self::Done => "DONE",
            Self::Syncing => "SYNCING",
            Self::Other(text) => text,
        })
    }
}

/// The keys and values of a file, not yet understood.
struct Values<'text>(BTreeMap<&'text str, String>);

impl<'text> Values<'text> {
    fn read(text: &'text str) -> Result<Self, InfoDefect> {
        let mut values = BTreeMap::<_, String>::new();
        let mut previous = "";
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            match line.split_once('=') {
                Some((key, value)) if is_key(key.trim()) => {
                    previous = key.trim();
                    values.insert(previous, value.trim().to_owned());
                }
                // The only value that barman writes unquoted and that may have several lines.
                _ if previous == "error" => values.entry(previous).or_default().extend(["\n", line]),
                _ => return Err(InfoDefect::NotKeyValue { line: index + 1, text: line.to_owned() }),
            }
        }
        Ok(Self(values))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|&value| value != "None" && !value.is_empty())
    }

    fn parsed<T>(&self, key: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, InfoDefect> {
        let bad = |value: &str| InfoDefect::BadValue { key, value: value.to_owned() };
        self.text(key).map(|value| parse(value).ok_or_else(|| bad(value))).transpose()
    }

    fn literal(&self, key: &'static str) -> Result<Option<Literal>, InfoDefect> {
        let literal = self.text(key).map(Literal::parse).transpose();
        literal.map_err(|source| InfoDefect::BadLiteral { key, source })
    }

    fn literal_text(&self, key: &'static str) -> Result<Option<String>, InfoDefect> {
        let literal = self.literal(key)?;
        literal.map(|literal| literal.as_text().map(str::to_owned).ok_or_else(|| self.bad(key))).transpose()
    }

    fn tablespaces(&self) -> Result<Vec<Tablespace>, InfoDefect> {
        const KEY: &str = "tablespaces";
        let Some(literal) = self.literal(KEY)? else {
            return Ok(Vec::new());
        };
        let items = literal.as_items().ok_or_else(|| self.bad(KEY))?;
        items.iter().map(|item| tablespace(item).ok_or_else(|| self.bad(KEY))).collect()
    }

    fn bad(&self, key: &'static str) -> InfoDefect {
        InfoDefect::BadValue { key, value: self.text(key).unwrap_or_default().to_owned() }
    }

    fn unknown_keys(&self) -> Vec<String> {
        self.0.keys().filter(|key| !KNOWN_KEYS.contains(key)).map(|&key| key.to_owned()).collect()
    }
}

/// Keys are names of Python attributes.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `('mytbs', 16393, '/var/lib/postgresql/tablespaces/mytbs/data')`.
fn tablespace(literal: &Literal) -> Option<Tablespace> {
    let [name, oid, location] = literal.as_items()? else {
        return None;
    };
    Some(Tablespace {
        name: name.as_text()?.to_owned(),
        oid: oid.as_integer()?.try_into().ok()?,
        location: location.as_text()?.to_owned(),
    })
}

/// Python's `str` of a datetime, and whether it had a zone.
fn time(text: &str) -> Option<(Timestamp, bool)> {
    if let Ok(time) = text.parse() {
        return Some((time, true));
    }
    let local: DateTime = text.parse().ok()?;
    Some((local.to_zoned(TimeZone::UTC).ok()?.timestamp(), false))
}

#[cfg(test)]
mod tests;

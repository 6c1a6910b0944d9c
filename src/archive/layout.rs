//! The layout of a barman-cloud archive: what an object's key says it is, and the keys of what one looks for. Keys are
//! relative to the server (`base/…`, `wals/…`) unless the destination's path is given.

use super::compression::Compression;
use super::wal::{Segment, SegmentSize, Timeline, hexadecimal, is_segment_name, is_upper_hexadecimal};

/// What an object is, by its key alone. A segment's number needs the segment size, so its name is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    BackupInfo {
        backup: String,
    },
    /// A tar of the data directory (`tablespace` is `None`) or of a tablespace. Part 0 is `data.tar`, part 1
    /// `data_0001.tar`.
    Tar {
        backup: String,
        tablespace: Option<u32>,
        part: u32,
        compression: Compression,
    },
    /// Backups by volume snapshot have it instead of tars.
    BackupLabel {
        backup: String,
    },
    /// barman's notes on a backup, such as "keep".
    Annotation {
        backup: String,
    },
    Segment {
        segment_name: String,
        compression: Compression,
    },
    /// What the old timeline had of its last segment when another server was promoted.
    Partial {
        segment_name: String,
        compression: Compression,
    },
    /// Written by PostgreSQL at the end of each backup; recovery does not need it.
    BackupHistory {
        segment_name: String,
        offset: u32,
        compression: Compression,
    },
    TimelineHistory {
        timeline: Timeline,
        compression: Compression,
    },
    /// Nothing that barman writes or finds, such as a segment in another segment's directory.
    Orphan,
}

/// What the key below the server's name stands for: `base/20261121T012331/data_0001.tar.gz`, `wals/00000002.history`.
pub fn classify(key_below_server: &str) -> Object {
    let parts: Vec<&str> = key_below_server.split('/').collect();
    let object = match parts[..] {
        ["base", backup, name] if is_safe_name(backup) => in_backup(backup, name),
        ["base", backup, "annotations", key] if is_safe_name(backup) && is_safe_name(key) => {
            Some(Object::Annotation { backup: backup.to_owned() })
        }
        ["wals", name] => timeline_history(name),
        ["wals", directory, name] => in_wal_directory(directory, name),
        _ => None,
    };
    object.unwrap_or(Object::Orphan)
}

fn in_backup(backup: &str, name: &str) -> Option<Object> {
    let backup = backup.to_owned();
    match name {
        "backup.info" => Some(Object::BackupInfo { backup }),
        "backup_label" => Some(Object::BackupLabel { backup }),
        _ => {
            let (name, compression) = Compression::from_extension(name);
            let name = name.strip_suffix(".tar")?;
            let (name, part) = match name.split_once('_') {
                Some((name, part)) => (name, part_number(part)?),
                None => (name, 0),
            };
            let tablespace = if name == "data" { None } else { Some(decimal(name)?) };
            Some(Object::Tar { backup, tablespace, part, compression })
        }
    }
}

/// The number behind the underscore, counted from 1 and padded to four digits.
fn part_number(digits: &str) -> Option<u32> {
    let number: u32 = digits.parse().ok()?;
    (number > 0 && digits == format!("{number:04}")).then_some(number)
}

/// A number above zero in the one form in which it is written.
fn decimal(digits: &str) -> Option<u32> {
    let number: u32 = digits.parse().ok()?;
    (number > 0 && digits == number.to_string()).then_some(number)
}

fn timeline_history(name: &str) -> Option<Object> {
    let (name, compression) = Compression::from_extension(name);
    let digits = name.strip_suffix(".history")?;
    let timeline = hexadecimal(digits).filter(|&number| number > 0)?;
    (digits.len() == 8 && is_upper_hexadecimal(digits))
        .then_some(Object::TimelineHistory { timeline: Timeline(timeline), compression })
}

fn in_wal_directory(directory: &str, name: &str) -> Option<Object> {
    let (name, compression) = Compression::from_extension(name);
    let (segment, suffix) = name.split_once('.').map_or((name, None), |(segment, suffix)| (segment, Some(suffix)));
    // barman looks for a segment in the directory of its own name only.
    if !is_segment_name(segment) || segment[..16] != *directory || segment.starts_with("00000000") {
        return None;
    }
    let segment_name = segment.to_owned();
    match suffix {
        None => Some(Object::Segment { segment_name, compression }),
        Some("partial") => Some(Object::Partial { segment_name, compression }),
        Some(suffix) => {
            let digits = suffix.strip_suffix(".backup")?;
            let offset = hexadecimal(digits)?;
            (digits.len() == 8 && is_upper_hexadecimal(digits)).then_some(Object::BackupHistory {
                segment_name,
                offset,
                compression,
            })
        }
    }
}

/// Whether a server name, a backup id or the like may become one part of a key or of a path: not empty, no separator,
/// no `..`, no control character.
pub fn is_safe_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && !name.contains("..")
        && !name.contains(['/', '\\'])
        && !name.contains(char::is_control)
}

/// `path/server/`, for the path of `s3://bucket/path`. Ends in a slash, lest the prefix of one server also match those
/// whose names begin like it (trap F16).
pub fn server_prefix(path: &str, server: &str) -> String {
    // As barman's `os.path.join` does: one slash between them, and an inner `//` stays, since keys are not paths.
    let path = path.trim_start_matches('/');
    let separator = if path.is_empty() || path.ends_with('/') { "" } else { "/" };
    format!("{path}{separator}{server}/")
}

/// `path/server/base/`: all base backups.
pub fn base_prefix(path: &str, server: &str) -> String {
    format!("{}base/", server_prefix(path, server))
}

/// `path/server/wals/`: all WAL and timeline histories.
pub fn wals_prefix(path: &str, server: &str) -> String {
    format!("{}wals/", server_prefix(path, server))
}

/// `base/<id>/`, below the server.
pub fn backup_prefix(backup: &str) -> String {
    format!("base/{backup}/")
}

/// `base/<id>/backup.info`, below the server.
pub fn backup_info_key(backup: &str) -> String {
    format!("base/{backup}/backup.info")
}

/// `base/<id>/data_0001.tar.gz` and the like, below the server.
pub fn tar_key(backup: &str, tablespace: Option<u32>, part: u32, compression: Compression) -> String {
    let name = tablespace.map_or_else(|| "data".to_owned(), |oid| oid.to_string());
    let suffix = if part == 0 { String::new() } else { format!("_{part:04}") };
    format!("base/{backup}/{name}{suffix}.tar{}", compression.extension())
}

/// `wals/<16 digits>/<24 digits>.gz` and the like, below the server.
pub fn segment_key(segment: Segment, size: SegmentSize, compression: Compression) -> String {
    format!("wals/{}/{}{}", segment.directory(size), segment.name(size), compression.extension())
}

/// `wals/00000002.history.gz` and the like, below the server.
pub fn history_key(timeline: Timeline, compression: Compression) -> String {
    format!("wals/{:08X}.history{}", timeline.0, compression.extension())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn backup() -> String {
        "20261121T012331".to_owned()
    }

    #[test]
    fn every_kind_of_object_in_a_backup_is_known() {
        let tar = |tablespace, part, compression| Object::Tar { backup: backup(), tablespace, part, compression };
        for (name, object) in [
            ("backup.info", Object::BackupInfo { backup: backup() }),
            ("backup_label", Object::BackupLabel { backup: backup() }),
            ("annotations/keep", Object::Annotation { backup: backup() }),
            ("data.tar", tar(None, 0, Compression::None)),
            ("data.tar.gz", tar(None, 0, Compression::Gzip)),
            ("data_0001.tar.gz", tar(None, 1, Compression::Gzip)),
            ("data_12345.tar.snappy", tar(None, 12345, Compression::Snappy)),
            ("16393.tar.lz4", tar(Some(16393), 0, Compression::Lz4)),
            ("16393_0002.tar.bz2", tar(Some(16393), 2, Compression::Bzip2)),
        ] {
            assert_eq!(classify(&format!("base/20261121T012331/{name}")), object, "{name}");
        }
    }

    #[test]
    fn every_kind_of_wal_object_is_known() {
        let name = || "000000020000000A000000FE".to_owned();
        let compression = Compression::Gzip;
        for (key, object) in [
            ("000000020000000A/000000020000000A000000FE.gz", Object::Segment { segment_name: name(), compression }),
            (
                "000000020000000A/000000020000000A000000FE",
                Object::Segment { segment_name: name(), compression: Compression::None },
            ),
            (
                "000000020000000A/000000020000000A000000FE.partial.gz",
                Object::Partial { segment_name: name(), compression },
            ),
            (
                "000000020000000A/000000020000000A000000FE.00000028.backup.gz",
                Object::BackupHistory { segment_name: name(), offset: 0x28, compression },
            ),
            ("0000000A.history.gz", Object::TimelineHistory { timeline: Timeline(10), compression }),
            ("00000002.history", Object::TimelineHistory { timeline: Timeline(2), compression: Compression::None }),
        ] {
            assert_eq!(classify(&format!("wals/{key}")), object, "{key}");
        }
    }

    #[test]
    fn what_barman_would_not_find_is_an_orphan() {
        for key in [
            "",
            "base",
            "base/",
            "base/20261121T012331/",
            "base//backup.info",
            "base/../backup.info",
            "base/20261121T012331/data_1.tar",
            "base/20261121T012331/data_0000.tar",
            "base/20261121T012331/data_00001.tar",
            "base/20261121T012331/data_+001.tar",
            "base/20261121T012331/016393.tar",
            "base/20261121T012331/data.tar.gz.part",
            "base/20261121T012331/data.gz",
            "base/20261121T012331/annotations/",
            "base/20261121T012331/more/data.tar",
            "wals/",
            "wals/0000000100000000/",
            "wals/0000000100000001/000000010000000000000003.gz",
            "wals/0000000100000000/00000001000000000000000a.gz",
            "wals/0000000100000000/000000010000000000000003.gz.tmp",
            "wals/0000000100000000/000000010000000000000003.28.backup",
            "wals/0000000000000000/000000000000000000000003",
            "wals/0000000100000000/00000002.history",
            "wals/000000010000000000000003",
            "wals/00000000.history",
            "wals/0000000a.history",
            "wals/2.history",
            "wals/x/0000000100000000/000000010000000000000003",
            "wal/0000000100000000/000000010000000000000003",
        ] {
            assert_eq!(classify(key), Object::Orphan, "{key:?}");
        }
    }

    #[test]
    fn prefixes_end_in_a_slash_and_begin_with_none() {
        for (path, prefix) in
            [("", "srv/base/"), ("/", "srv/base/"), ("a/b", "a/b/srv/base/"), ("/a/b/", "a/b/srv/base/")]
        {
            assert_eq!(base_prefix(path, "srv"), prefix);
        }
        assert_eq!(wals_prefix("a", "srv"), "a/srv/wals/");
        assert_eq!(backup_prefix("20261121T012331"), "base/20261121T012331/");
    }

    #[test]
    fn a_name_that_could_lead_elsewhere_is_not_safe() {
        for name in ["", ".", "..", "a/b", "a..b", "a\\b", "a\nb", "a\0"] {
            assert!(!is_safe_name(name), "{name:?}");
        }
        for name in ["pal-e-postgres", "20261121T012331", "srv.example"] {
            assert!(is_safe_name(name), "{name:?}");
        }
    }

    fn compression() -> impl Strategy<Value = Compression> {
        prop::sample::select(Compression::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn keys_are_classified_as_what_they_were_built_for(
            timeline in 1_u32.., number in 0_u64..1 << 40, tablespace in prop::option::of(1_u32..), part: u32,
            compression in compression(),
        ) {
            let segment = Segment { timeline: Timeline(timeline), number };
            let segment_name = segment.name(SegmentSize::DEFAULT);
            prop_assert_eq!(
                classify(&segment_key(segment, SegmentSize::DEFAULT, compression)),
                Object::Segment { segment_name, compression }
            );
            prop_assert_eq!(
                classify(&history_key(Timeline(timeline), compression)),
                Object::TimelineHistory { timeline: Timeline(timeline), compression }
            );
            prop_assert_eq!(
                classify(&tar_key(&backup(), tablespace, part, compression)),
                Object::Tar { backup: backup(), tablespace, part, compression }
            );
            prop_assert_eq!(classify(&backup_info_key(&backup())), Object::BackupInfo { backup: backup() });
        }

        #[test]
        fn no_key_makes_classify_panic(key in "(base/|wals/)?[0-9A-F/._ä]{0,40}") {
            classify(&key);
        }
    }
}

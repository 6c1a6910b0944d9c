//! Unpacks one tar of a base backup and verifies what barman does not: the compression's checksum, the end of the
//! archive, each member's length, and that nothing leaves the directory.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, fchown};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tar::EntryType;

use super::Owner;
use crate::archive::compression::{self, Compression};

/// A tar ends in two empty blocks.
const END_OF_ARCHIVE: u64 = 1024;
const BLOCK: u64 = 512;
const BUFFER: usize = 256 << 10;
/// A `backup_label` has some hundred bytes.
const LABEL_LIMIT: u64 = 64 << 10;

/// What one tar held.
#[derive(Debug, Default)]
pub struct Unpacked {
    pub files: u64,
    pub bytes: u64,
    pub has_control_file: bool,
    /// The text of `backup_label`, when it was the last member.
    pub backup_label: Option<String>,
    /// Symbolic links and the like that were left out; PostgreSQL needs none of them.
    pub skipped: Vec<String>,
}

/// Why a tar could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The object cannot be read as what it should be: cut off, corrupt, or badly named.
    #[error("{0}")]
    Damaged(String),
    /// A member would be written outside the directory, or is none that a database has.
    #[error("the member `{}` is {reason}", member.escape_debug())]
    Unsafe { member: String, reason: &'static str },
    /// Reading the store or writing the disk failed; the archive is not to blame.
    #[error(transparent)]
    Io(io::Error),
}

/// Unpacks `reader` into `directory`, which exists. Counts unpacked bytes into `progress`.
pub fn unpack(
    reader: impl BufRead + Send + 'static,
    codec: Compression,
    directory: &Path,
    owner: Option<Owner>,
    progress: &AtomicU64,
) -> Result<Unpacked, UnpackError> {
    let decoder = compression::open(codec, reader).map_err(|error| read_trouble(io::Error::other(error)))?;
    let mut archive = tar::Archive::new(Tail::new(decoder));
    let mut unpacked = Unpacked::default();
    let mut made = BTreeSet::new();
    let mut buffer = vec![0; BUFFER];
    let mut end_of_last_member = 0;

    for entry in archive.entries().map_err(read_trouble)? {
        let mut entry = entry.map_err(read_trouble)?;
        let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = inside(&entry.path().map_err(read_trouble)?)
            .ok_or_else(|| UnpackError::Unsafe { member: member.clone(), reason: "outside the data directory" })?;
        let size = entry.size();
        end_of_last_member = entry.raw_file_position() + size.next_multiple_of(BLOCK);
        unpacked.backup_label = None;

        match entry.header().entry_type() {
            EntryType::Directory => make_directory(directory, &path, owner, &mut made)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                if let Some(parent) = path.parent() {
                    make_directory(directory, parent, owner, &mut made)?;
                }
                let is_label = path == Path::new("backup_label") && size <= LABEL_LIMIT;
                let mut label = Vec::new();
                let mut file = File::create(directory.join(&path)).map_err(UnpackError::Io)?;
                if let Some(owner) = owner {
                    fchown(&file, Some(owner.uid), Some(owner.gid)).map_err(UnpackError::Io)?;
                }
                file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(UnpackError::Io)?;
                let mut copied = 0;
                loop {
                    let count = entry.read(&mut buffer).map_err(read_trouble)?;
                    if count == 0 {
                        break;
                    }
                    file.write_all(&buffer[..count]).map_err(UnpackError::Io)?;
                    if is_label {
                        label.extend_from_slice(&buffer[..count]);
                    }
                    copied += count as u64;
                    progress.fetch_add(count as u64, Ordering::Relaxed);
                }
                if copied != size {
                    return Err(UnpackError::Damaged(format!("it ends within {member}: {copied} of {size} bytes")));
                }
                unpacked.files += 1;
                unpacked.bytes += copied;
                unpacked.has_control_file |= path == Path::new("global/pg_control");
                if is_label {
                    unpacked.backup_label = Some(String::from_utf8_lossy(&label).into_owned());
                }
            }
            EntryType::Link => return Err(UnpackError::Unsafe { member, reason: "a hard link" }),
            EntryType::Char | EntryType::Block => return Err(UnpackError::Unsafe { member, reason: "a device" }),
            EntryType::Fifo => return Err(UnpackError::Unsafe { member, reason: "a pipe" }),
            // Symbolic links above all: none is made, so none is followed.
            _ => unpacked.skipped.push(member),
        }
    }

    let mut tail = archive.into_inner();
    // Only at its very end does a decoder check its checksum.
    io::copy(&mut tail, &mut io::sink()).map_err(read_trouble)?;
    let behind = tail.total.saturating_sub(end_of_last_member);
    if behind < END_OF_ARCHIVE || tail.zeros < END_OF_ARCHIVE {
        return Err(UnpackError::Damaged("it ends without the two empty blocks that close a tar".to_owned()));
    }
    Ok(unpacked)
}

/// The path below the directory; None when a component leads out of it.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut below = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => below.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(below)
}

/// No symbolic link is ever made, so a path that was checked stays inside.
fn make_directory(
    root: &Path,
    path: &Path,
    owner: Option<Owner>,
    made: &mut BTreeSet<PathBuf>,
) -> Result<(), UnpackError> {
    if path.as_os_str().is_empty() || made.contains(path) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(root, parent, owner, made)?;
    }
    let full = root.join(path);
    match DirBuilder::new().mode(0o700).create(&full) {
        Ok(()) => {}
        // Several tars are unpacked at once, and their directories meet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && full.is_dir() => {}
        Err(error) => return Err(UnpackError::Io(error)),
    }
    if let Some(owner) = owner {
        chown(&full, Some(owner.uid), Some(owner.gid)).map_err(UnpackError::Io)?;
    }
    made.insert(path.to_owned());
    Ok(())
}

/// Trouble while reading: the store's is not the archive's fault, a decoder's is.
fn read_trouble(error: io::Error) -> UnpackError {
    if crate::archive::reader::store_error(&error).is_some() {
        UnpackError::Io(error)
    } else {
        UnpackError::Damaged(crate::error::chain(&error))
    }
}

/// Remembers how many bytes came, and how many of the last ones were zero.
struct Tail<R> {
    reader: R,
    total: u64,
    zeros: u64,
}

impl<R: Read> Tail<R> {
    fn new(reader: R) -> Self {
        Self { reader, total: 0, zeros: 0 }
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let zeros = buffer[..count].iter().rev().take_while(|&&byte| byte == 0).count() as u64;
        self.zeros = if zeros == count as u64 { self.zeros + zeros } else { zeros };
        self.total += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpack_bytes(bytes: Vec<u8>, directory: &Path) -> Result<Unpacked, UnpackError> {
        unpack(io::Cursor::new(bytes), Compression::None, directory, None, &AtomicU64::new(0))
    }

    fn sound() -> Vec<u8> {
        tar_of(&[("./PG_VERSION", b"15\n"), ("global/pg_control", &[1; 700]), ("backup_label", b"START\n")])
    }

    #[test]
    fn a_sound_tar_is_unpacked_with_its_label_last() {
        let directory = tempfile::tempdir().unwrap();
        let unpacked = unpack_bytes(sound(), directory.path()).unwrap();
        assert_eq!((unpacked.files, unpacked.bytes, unpacked.has_control_file), (3, 709, true));
        assert_eq!(unpacked.backup_label.as_deref(), Some("START\n"));
        assert_eq!(std::fs::read(directory.path().join("PG_VERSION")).unwrap(), b"15\n");
    }

    #[test]
    fn a_tar_cut_anywhere_is_damaged() {
        let whole = sound();
        // The builder closes with exactly two empty blocks, so every cut is one too early.
        for end in (0..whole.len()).step_by(97).chain([whole.len() - 512, whole.len() - 1]) {
            let directory = tempfile::tempdir().unwrap();
            let result = unpack_bytes(whole[..end].to_vec(), directory.path());
            assert!(matches!(result, Err(UnpackError::Damaged(_))), "cut at {end}: {result:?}");
        }
    }

    #[test]
    fn a_tar_cut_behind_a_member_of_zeros_is_damaged() {
        let whole = tar_of(&[("base/1/2", &[0; 2048]), ("base/1/3", &[0; 2048])]);
        let directory = tempfile::tempdir().unwrap();
        let result = unpack_bytes(whole[..512 + 2048].to_vec(), directory.path());
        assert!(matches!(result, Err(UnpackError::Damaged(_))), "{result:?}");
    }

    #[test]
    fn nothing_is_written_outside_the_directory() {
        for name in ["../escaped", "base/../../escaped", "/tmp/walproof-escaped"] {
            let directory = tempfile::tempdir().unwrap();
            let inner = directory.path().join("inner");
            std::fs::create_dir(&inner).unwrap();
            let result = unpack_bytes(tar_of(&[(name, b"x")]), &inner);
            assert!(matches!(result, Err(UnpackError::Unsafe { .. })), "{name}: {result:?}");
            assert!(!directory.path().join("escaped").exists() && !Path::new("/tmp/walproof-escaped").exists());
        }
    }

    fn special(kind: EntryType) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, "base/x", "/etc/passwd").unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn links_out_devices_and_pipes_are_refused_and_symbolic_links_left_out() {
        for kind in [EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
            let directory = tempfile::tempdir().unwrap();
            let result = unpack_bytes(special(kind), directory.path());
            assert!(matches!(result, Err(UnpackError::Unsafe { .. })), "{kind:?}: {result:?}");
        }
        let directory = tempfile::tempdir().unwrap();
        let unpacked = unpack_bytes(special(EntryType::Symlink), directory.path()).unwrap();
        assert_eq!(unpacked.skipped, ["base/x"]);
        assert!(!directory.path().join("base/x").exists());
    }
}

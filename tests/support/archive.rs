//! An archive of one's own to break: a copy of the prepared store's directory. An object is a file below the bucket's
//! directory; s3s-fs keeps its `ETag` and checksums in a hidden side file at the root, which is removed whenever an
//! object changes (the server then computes the `ETag` anew and sends no checksum).

use std::fs::{self, File, FileTimes};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::prepared::{Prepared, SERVER};
use super::s3::{BUCKET, S3};

/// A private, writable copy of an archive; dropping it removes it. Keys are those below the bucket.
pub struct ArchiveCopy {
    directory: TempDir,
    server: String,
}

impl ArchiveCopy {
    /// Copies the prepared archive, modification times included.
    pub fn copy_of(prepared: &Prepared) -> Self {
        Self::copy(prepared.root(), SERVER)
    }

    /// Copies the store in a directory; `server` is whose archive the methods below speak of.
    pub fn copy(root: &Path, server: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("wp-archive-").tempdir().unwrap();
        copy_directory(root, directory.path());
        Self { directory, server: server.to_owned() }
    }

    /// Serves this copy. Objects may still be changed while it is served.
    pub fn serve(&self) -> S3 {
        S3::serve(self.directory.path())
    }

    /// Moves all modification times by the same span, so that the newest WAL object is `age` old.
    #[must_use]
    pub fn aged(self, age: Duration) -> Self {
        let wal = self.wal_keys();
        let newest = wal.iter().map(|key| self.modified(key)).max().expect("the archive has WAL");
        let wanted = SystemTime::now() - age;
        for key in self.keys() {
            let modified = self.modified(&key);
            let moved = match wanted.duration_since(newest) {
                Ok(later) => modified + later,
                Err(earlier) => modified - earlier.duration(),
            };
            self.set_modified(&key, moved);
        }
        self
    }

    /// All keys below the bucket, sorted.
    pub fn keys(&self) -> Vec<String> {
        keys(self.directory.path())
    }

    /// The keys of everything below `wals/`, sorted.
    pub fn wal_keys(&self) -> Vec<String> {
        wal_keys(self.directory.path(), &self.server)
    }

    /// The names of all complete WAL segments (24 hexadecimal digits), sorted.
    pub fn segments(&self) -> Vec<String> {
        archived_segments(self.directory.path(), &self.server)
    }

    /// The key of a WAL file by its name without the compression's extension: a segment, `….history`, `….backup`.
    #[track_caller]
    pub fn wal_key(&self, name: &str) -> String {
        let extensions = ["", ".gz", ".bz2", ".xz", ".snappy", ".zst", ".lz4"];
        let is_it = |key: &String| extensions.iter().any(|extension| key.ends_with(&format!("/{name}{extension}")));
        self.wal_keys().into_iter().find(is_it).unwrap_or_else(|| panic!("{name} is not in {:?}", self.wal_keys()))
    }

    /// The ids of the backups, oldest first.
    pub fn backups(&self) -> Vec<String> {
        let suffix = "/backup.info";
        let keys = self.keys();
        let infos = keys.iter().filter_map(|key| key.strip_suffix(suffix));
        infos.map(|directory| directory.rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// The key of an object of a backup, such as `backup.info` or `data.tar.gz`.
    pub fn backup_key(&self, backup: &str, object: &str) -> String {
        format!("{}/base/{backup}/{object}", self.server)
    }

    #[track_caller]
    pub fn delete_segment(&self, name: &str) {
        self.delete(&self.wal_key(name));
    }

    /// Changes a segment's content and keeps its compression and modification time.
    #[track_caller]
    pub fn rewrite_segment(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        self.rewrite(&self.wal_key(name), edit);
    }

    /// Changes the members of a backup's tar, gzipped or not: `edit` gets each regular file's path as stored and its
    /// bytes and returns the new ones, or None to leave the member out. The modification time stays.
    #[track_caller]
    pub fn rewrite_backup_tar(
        &self,
        backup: &str,
        object: &str,
        mut edit: impl FnMut(&str, Vec<u8>) -> Option<Vec<u8>>,
    ) {
        self.rewrite(&self.backup_key(backup, object), |tar| *tar = rewrite_tar(tar, &mut edit));
    }

    /// Changes an object's content, without the gzip around it if there is one, and keeps its modification time.
    #[track_caller]
    pub fn rewrite(&self, key: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let modified = self.modified(key);
        let stored = self.bytes(key);
        let compressed = stored.starts_with(&[0x1f, 0x8b]);
        let mut content = if compressed { gunzip(&stored) } else { stored };
        edit(&mut content);
        self.replace(key, &if compressed { gzip(&content) } else { content });
        self.set_modified(key, modified);
    }

    /// Changes the text of a `backup.info`, and keeps its modification time.
    #[track_caller]
    pub fn rewrite_backup_info(&self, backup: &str, edit: impl FnOnce(&str) -> String) {
        self.rewrite(&self.backup_key(backup, "backup.info"), |bytes| {
            *bytes = edit(std::str::from_utf8(bytes).unwrap()).into_bytes();
        });
    }

    /// Keeps the first bytes of an object as it is stored, and its modification time.
    #[track_caller]
    pub fn truncate(&self, key: &str, bytes: usize) {
        let modified = self.modified(key);
        self.replace(key, &self.bytes(key)[..bytes]);
        self.set_modified(key, modified);
    }

    /// Stores an object as given, modified now.
    #[track_caller]
    pub fn replace(&self, key: &str, bytes: &[u8]) {
        let path = self.path(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self.forget_side_files(key);
    }

    /// Stores an object under another key; an object there is replaced. The modification time goes along.
    #[track_caller]
    pub fn rename(&self, from: &str, to: &str) {
        fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
        fs::rename(self.path(from), self.path(to)).unwrap();
        self.forget_side_files(from);
        self.forget_side_files(to);
    }

    #[track_caller]
    pub fn delete(&self, key: &str) {
        fs::remove_file(self.path(key)).unwrap();
        self.forget_side_files(key);
    }

    /// An object as it is stored.
    #[track_caller]
    pub fn bytes(&self, key: &str) -> Vec<u8> {
        fs::read(self.path(key)).unwrap()
    }

    #[track_caller]
    pub fn modified(&self, key: &str) -> SystemTime {
        fs::metadata(self.path(key)).unwrap().modified().unwrap()
    }

    #[track_caller]
    pub fn set_modified(&self, key: &str, time: SystemTime) {
        set_modified(&self.path(key), time);
    }

    /// The file of an object.
    pub fn path(&self, key: &str) -> PathBuf {
        self.directory.path().join(BUCKET).join(key)
    }

    fn forget_side_files(&self, key: &str) {
        let object = format!(".object-{}.", base64_url(key.as_bytes()));
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(".bucket-") && name.contains(&object)) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

/// The names of all complete WAL segments in the archive of `server`, sorted; the store may be in use.
pub fn archived_segments(root: &Path, server: &str) -> Vec<String> {
    let names = wal_keys(root, server).into_iter().filter_map(|key| {
        let file = key.rsplit('/').next()?;
        let stem = file.split('.').next()?;
        let whole = stem.len() == 24 && !file.contains(".backup") && !file.contains(".partial");
        whole.then(|| stem.to_owned())
    });
    names.collect()
}

/// What `gzip` makes of some bytes.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What `gunzip` makes of some bytes.
pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut content).unwrap();
    content
}

fn wal_keys(root: &Path, server: &str) -> Vec<String> {
    let prefix = format!("{server}/wals/");
    keys(root).into_iter().filter(|key| key.starts_with(&prefix)).collect()
}

fn keys(root: &Path) -> Vec<String> {
    let bucket = root.join(BUCKET);
    let key = |path: PathBuf| path.strip_prefix(&bucket).unwrap().to_str().unwrap().to_owned();
    let mut keys: Vec<String> = files(&bucket).into_iter().map(key).collect();
    keys.sort();
    keys
}

/// Every file below a directory, in no order.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Copies a directory's tree with its modification times.
fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // A store in use has half-written objects beside the buckets.
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(".tmp.")) {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            set_modified(&target, entry.metadata().unwrap().modified().unwrap());
        }
    }
}

fn set_modified(path: &Path, time: SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn rewrite_tar(tar: &[u8], edit: &mut impl FnMut(&str, Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut archive = tar::Archive::new(tar);
    let mut written = tar::Builder::new(Vec::new());
    let mut extension: Option<(tar::Header, Vec<u8>)> = None;
    // Raw entries: barman's extended headers (they carry fractions of a second) pass unchanged.
    for entry in archive.entries().unwrap().raw(true) {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if header.entry_type().is_pax_local_extensions() {
            extension = Some((header, content));
            continue;
        }
        if header.entry_type().is_file() {
            let path = String::from_utf8(header.path_bytes().into_owned()).unwrap();
            let Some(edited) = edit(&path, content) else {
                extension = None;
                continue;
            };
            content = edited;
            header.set_size(content.len() as u64);
            header.set_cksum();
        }
        if let Some((header, content)) = extension.take() {
            written.append(&header, content.as_slice()).unwrap();
        }
        written.append(&header, content.as_slice()).unwrap();
    }
    written.into_inner().unwrap()
}

/// URL-safe base64 without padding: how s3s-fs spells a key in the names of its side files.
fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(ALPHABET[bits >> (18 - 6 * digit) & 63]));
        }
    }
    text
}

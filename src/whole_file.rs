//! Files that are there whole or not at all.

use std::path::Path;

/// Writes beside the file and renames, so that a reader never sees half of it.
pub fn write(file: &Path, content: &str) -> std::io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".part");
    std::fs::write(&beside, content)?;
    std::fs::rename(&beside, file)
}

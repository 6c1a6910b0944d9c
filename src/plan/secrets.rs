//! Secrets by reference: the content of a file or of an environment variable. No message ever shows one.

use std::path::Path;

use secrecy::SecretString;

use crate::config::mistakes::{Mistakes, Placed};

/// Whether making a plan reads the secrets that the configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    Read,
    /// Only how to reach the source: reading a baseline needs no key to the archive.
    OfConnection,
    /// Only the key to the archive: a drill that is given its baseline needs no way into the source.
    OfArchive,
    /// For checking a configuration where its secrets are not at hand: they stay empty, and only that they exist
    /// and are not empty remains unchecked.
    LeaveUnread,
}

impl Secrets {
    pub(super) fn for_connection(self) -> Self {
        if matches!(self, Self::Read | Self::OfConnection) { Self::Read } else { Self::LeaveUnread }
    }

    pub(super) fn for_archive(self) -> Self {
        if matches!(self, Self::Read | Self::OfArchive) { Self::Read } else { Self::LeaveUnread }
    }

    /// The content of a file without the line break at its end. `key` is the key that names the file.
    pub(super) fn of_file(self, key: &str, path: &Placed<impl AsRef<Path>>, mistakes: &mut Mistakes) -> SecretString {
        let Placed { value, place } = path;
        let (path, shown) = (value.as_ref(), value.as_ref().display());
        if path.as_os_str().is_empty() {
            mistakes.add(*place, format!("`{key}` is empty: name a file"));
            return SecretString::default();
        }
        if self == Self::LeaveUnread {
            return SecretString::default();
        }
        match std::fs::read_to_string(path) {
            Ok(content) => {
                let secret = content.strip_suffix('\n').unwrap_or(&content);
                let secret = secret.strip_suffix('\r').unwrap_or(secret);
                if secret.is_empty() {
                    mistakes.add(*place, format!("`{key}`: the file {shown} is empty"));
                }
                secret.into()
            }
            Err(error) => {
                mistakes.add(*place, format!("`{key}`: the file {shown} cannot be read: {error}"));
                SecretString::default()
            }
        }
    }

    /// The value of an environment variable. `key` is the key that names the variable.
    pub(super) fn of_variable(self, key: &str, variable: &Placed<String>, mistakes: &mut Mistakes) -> SecretString {
        let Placed { value: name, place } = variable;
        if name.is_empty() || name.contains(['=', '\0']) {
            mistakes.add(*place, format!("`{key}` must be the name of an environment variable"));
            return SecretString::default();
        }
        if self == Self::LeaveUnread {
            return SecretString::default();
        }
        match std::env::var(name) {
            Ok(secret) if secret.is_empty() => {
                mistakes.add(*place, format!("`{key}`: the environment variable {name} is empty"));
                SecretString::default()
            }
            Ok(secret) => secret.into(),
            Err(std::env::VarError::NotPresent) => {
                mistakes.add(*place, format!("`{key}`: the environment variable {name} is not set"));
                SecretString::default()
            }
            // The variable's own error would show its content.
            Err(std::env::VarError::NotUnicode(_)) => {
                mistakes.add(*place, format!("`{key}`: the environment variable {name} is not UTF-8"));
                SecretString::default()
            }
        }
    }

    /// Notes a file that is no secret and cannot be opened.
    pub(super) fn check_file(self, key: &str, path: &Placed<impl AsRef<Path>>, mistakes: &mut Mistakes) {
        let Placed { value, place } = path;
        if self == Self::Read
            && let Err(error) = std::fs::File::open(value)
        {
            let shown = value.as_ref().display();
            mistakes.add(*place, format!("`{key}`: the file {shown} cannot be read: {error}"));
        }
    }
}

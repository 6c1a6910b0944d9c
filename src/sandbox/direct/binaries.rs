//! Finds the PostgreSQL binaries of a major version.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::unusable;
use crate::finding::Finding;

/// The programs that a sandbox runs.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub postgres: PathBuf,
    pub controldata: PathBuf,
    /// As `postgres --version` says it.
    pub version: String,
}

/// `configured` alone if it is given; else where Debian, Red Hat and the official images put that major version.
pub fn find(configured: Option<&Path>, major: u32) -> Result<Binaries, Box<Finding>> {
    let usual = || {
        let packaged = [
            format!("/usr/lib/postgresql/{major}/bin"),
            format!("/usr/pgsql-{major}/bin"),
            "/usr/local/pgsql/bin".to_owned(),
        ];
        let path = std::env::var_os("PATH").unwrap_or_default();
        packaged.into_iter().map(PathBuf::from).chain(std::env::split_paths(&path)).collect::<Vec<_>>()
    };
    let places = configured.map_or_else(usual, |directory| vec![directory.to_owned()]);
    let mut seen = Vec::new();
    for directory in places {
        let postgres = directory.join("postgres");
        let controldata = directory.join("pg_controldata");
        if !postgres.is_file() || !controldata.is_file() {
            continue;
        }
        match version(&postgres) {
            Some(version) if major_of(&version) == Some(major) => {
                return Ok(Binaries { postgres, controldata, version });
            }
            Some(version) => seen.push(format!("{version} in {}", directory.display())),
            None => seen.push(format!("an unusable one in {}", directory.display())),
        }
    }
    let observed = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
    Err(Box::new(
        unusable(format!("the backup is of PostgreSQL {major}, and its server programs were not found"))
            .expected(format!("postgres and pg_controldata of PostgreSQL {major}"))
            .observed(observed)
            .hint(format!("install postgresql-{major}, or name its directory in `sandbox.direct.binaries`")),
    ))
}

fn version(postgres: &Path) -> Option<String> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().strip_prefix("postgres (PostgreSQL) ").map(|version| format!("PostgreSQL {version}"))
}

fn major_of(version: &str) -> Option<u32> {
    let number = version.strip_prefix("PostgreSQL ")?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(major_of("PostgreSQL 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_of("PostgreSQL 18beta1"), Some(18));
        assert_eq!(major_of("PostgreSQL devel"), None);
    }

    #[test]
    fn a_missing_major_says_what_to_install() {
        let finding = find(Some(Path::new("/nonexistent")), 17).unwrap_err();
        assert_eq!(
            finding.hint.as_deref(),
            Some("install postgresql-17, or name its directory in `sandbox.direct.binaries`")
        );
    }
}

//! Certificates as an operator makes them, by the `openssl` program: one authority, and servers' certificates that it
//! signs. Valid for two days.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::run_successfully;

const PATIENCE: Duration = Duration::from_secs(30);

/// An authority; its files go with the value.
pub struct Authority {
    directory: TempDir,
}

/// Files in PEM, which only their owner may read.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    #[track_caller]
    pub fn new(name: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("wp-ca-").tempdir().unwrap();
        let authority = Self { directory };
        let mut command = openssl(&["req", "-x509", "-days", "2", "-subj"]);
        command.arg(format!("/CN={name}")).args(NEW_KEY);
        command.args(["-addext", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"]);
        command.arg("-keyout").arg(authority.path("ca.key")).arg("-out").arg(authority.path("ca.crt"));
        run_successfully(&mut command, PATIENCE);
        authority
    }

    /// The authority's own certificate as PEM, as in the key `ca.crt` of a secret.
    pub fn certificate(&self) -> String {
        fs::read_to_string(self.path("ca.crt")).unwrap()
    }

    /// A server's certificate for some DNS names, `*.` allowed, and its key: `tls.crt` and `tls.key` in a directory.
    #[track_caller]
    pub fn issue(&self, names: &[&str], directory: &Path) -> Certificate {
        let issued = Certificate { certificate: directory.join("tls.crt"), key: directory.join("tls.key") };
        let (request, extensions) = (self.path("request.csr"), self.path("extensions"));
        let names = names.iter().map(|name| format!("DNS:{name}")).collect::<Vec<_>>().join(",");
        fs::write(&extensions, format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n")).unwrap();
        let mut command = openssl(&["req", "-new", "-subj", "/CN=server"]);
        command.args(NEW_KEY).arg("-keyout").arg(&issued.key).arg("-out").arg(&request);
        run_successfully(&mut command, PATIENCE);
        let mut command = openssl(&["x509", "-req", "-days", "2", "-CAcreateserial"]);
        command.arg("-in").arg(request).arg("-CA").arg(self.path("ca.crt")).arg("-CAkey").arg(self.path("ca.key"));
        command.arg("-extfile").arg(extensions).arg("-out").arg(&issued.certificate);
        run_successfully(&mut command, PATIENCE);
        issued
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

fn openssl(arguments: &[&str]) -> Command {
    let is_there = Command::new("openssl").arg("version").output().is_ok();
    assert!(is_there, "the program openssl is missing; install it with `apt-get install openssl`");
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}

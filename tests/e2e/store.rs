//! The object store of the lab, by MinIO's own client in its pod: a segment that is gone for a while.

use crate::kubectl;
use crate::source::Source;

/// Where a segment waits until it is put back; in the bucket, so that the next run finds it too.
const ASIDE: &str = "postgres-wal/e2e-aside";
/// As `mc find` wants it, which refuses a folder that is not there.
const ALL_ASIDE: &str = "*e2e-aside*";

/// A segment that is not in the archive as long as this value lives.
pub struct Missing {
    archive: &'static str,
    path: String,
}

impl Missing {
    #[track_caller]
    pub fn segment(source: &Source, segment: &str) -> Self {
        let directory = format!("{}/wals/{}/", source.archive, &segment[..16]);
        let listing = client(&["ls", &format!("lab/{directory}")]);
        let object = listing.split_whitespace().find(|word| is_segment(word, segment));
        let object = object.unwrap_or_else(|| panic!("{segment} is not in {directory}:\n{listing}"));
        let path = format!("{directory}{object}");
        client(&["mv", &format!("lab/{path}"), &format!("lab/{ASIDE}/{path}")]);
        Self { archive: source.archive, path }
    }
}

impl Drop for Missing {
    fn drop(&mut self) {
        let aside = format!("lab/{ASIDE}/{}", self.path);
        let back = kubectl::attempt(&exec(&["mv", &aside, &format!("lab/{}", self.path)]));
        if back.exit_code != 0 {
            eprintln!("{} lacks {}, which is in {aside}: {}", self.archive, self.path, back.stderr);
        }
    }
}

/// Puts back what a killed run took away.
#[track_caller]
pub fn put_back() {
    let listing = client(&["find", "lab/postgres-wal", "--path", ALL_ASIDE]);
    for aside in listing.lines().filter(|line| !line.is_empty()) {
        client(&["mv", aside, &aside.replacen(&format!("{ASIDE}/"), "", 1)]);
    }
}

/// Runs MinIO's client; what it printed.
#[track_caller]
pub fn client(arguments: &[&str]) -> String {
    kubectl::run(&exec(arguments))
}

fn exec<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let pod = ["exec", "--namespace", "minio", "deploy/minio", "--container", "minio", "--", "mc", "--quiet"];
    [&pod, arguments].concat()
}

/// Backup labels carry the segment's name too.
fn is_segment(object: &str, segment: &str) -> bool {
    object.strip_prefix(segment).is_some_and(|rest| rest.is_empty() || rest == ".gz")
}

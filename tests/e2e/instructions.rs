//! README.md and docs/install.md as a user follows them: their commands and values as they stand there, but for the names
//! of what this cluster has.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::fenced::block;
use crate::installation::{self, endpoints, secret};
use crate::json_pointer::set;
use crate::process;
use crate::release::{NAMESPACE, SANDBOX};
use crate::source::IN_TREE;

const README: &str = "README.md";
const PAGE: &str = "docs/install.md";
/// A drill among them.
const ENDS: Duration = Duration::from_mins(10);

/// A directory that looks like the repository's, where `values.yaml` and `ca.crt` may be written.
pub struct Instructions(TempDir);

impl Instructions {
    #[track_caller]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("walproof-e2e-").tempdir().unwrap();
        for name in ["chart", "docs"] {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), directory.path().join(name)).unwrap();
        }
        Self(directory)
    }

    /// What only a user can make: namespace, database role, keys, authority.
    #[track_caller]
    pub fn prepare(&self) {
        let mut commands = block(PAGE, "sh", "kubectl create namespace walproof");
        // What the cluster knows already. By files, since commands are shown where they fail.
        for (written, meant, name, key) in [
            ("$(openssl rand -hex 24)", "$(cat password)", "walproof-postgres", "password"),
            ("ACCESS_KEY_ID=...", "ACCESS_KEY_ID=$(cat ACCESS_KEY_ID)", "walproof-s3-read", "ACCESS_KEY_ID"),
            (
                "ACCESS_SECRET_KEY=...",
                "ACCESS_SECRET_KEY=$(cat ACCESS_SECRET_KEY)",
                "walproof-s3-read",
                "ACCESS_SECRET_KEY",
            ),
        ] {
            assert!(commands.contains(written), "{PAGE} says {written:?}:\n{commands}");
            commands = commands.replace(written, meant);
            self.write(key, &secret(installation::NAMESPACE, name, key));
        }
        self.run(&commands);
    }

    /// The block of README.md from `helm install` to the log of the first drill, which it prints.
    #[track_caller]
    pub fn install_and_drill(&self, values: &Value) -> String {
        self.write("values.yaml", &values.to_string());
        self.run(&block(README, "sh", "helm install walproof"))
    }

    /// The one command of these pages that begins with `beginning`.
    #[track_caller]
    pub fn command(&self, page: &str, beginning: &str) {
        let commands = block(page, "sh", beginning);
        let command = commands.lines().find(|line| line.starts_with(beginning));
        self.run(command.unwrap_or_else(|| panic!("{beginning:?} begins a line of {page}")));
    }

    #[track_caller]
    pub fn install(&self, values: &Value) {
        self.write("values.yaml", &values.to_string());
        self.command(README, "helm install");
    }

    #[track_caller]
    pub fn upgrade(&self, values: &Value) {
        self.write("values.yaml", &values.to_string());
        self.command(PAGE, "helm upgrade");
    }

    #[track_caller]
    pub fn rollback(&self) {
        self.command(PAGE, "helm rollback");
    }

    #[track_caller]
    pub fn uninstall(&self) {
        self.run(&block(PAGE, "sh", "helm uninstall"));
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    #[track_caller]
    fn run(&self, commands: &str) -> String {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &here(commands)]).current_dir(self.0.path());
        process::run_successfully(&mut shell, ENDS)
    }
}

/// With this release's names. The cluster has the image already.
fn here(commands: &str) -> String {
    let word = |word: &str| match word {
        "walproof" | "walproof-drill" | "--from=cronjob/walproof-drill" => word.replace("walproof", NAMESPACE),
        _ => word.to_owned(),
    };
    let lines = commands.lines().filter(|line| !line.starts_with("docker build"));
    lines.map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

/// The values of README.md, for the in-tree source.
#[track_caller]
pub fn least_values() -> Value {
    let mut values = parsed(&block(README, "yaml", "existingSecret: walproof-postgres"));
    let image = installation::image();
    let (repository, tag) = image.rsplit_once(':').expect("an image with a tag");
    let (caches, _) = endpoints("kube-system", "kube-dns");
    let caches: Vec<String> = caches.iter().map(|address| format!("{address}/32")).collect();
    for (pointer, value) in [
        ("/image", json!({"repository": repository, "tag": tag})),
        ("/config/sandbox/operator/namespace", SANDBOX.into()),
        ("/networkPolicy/dns/cidrs", caches.into()),
        // An older one would replay all that former cases wrote.
        ("/config/sources/0/backup", "newest".into()),
        // Only by hand: a check in between would change what is counted.
        ("/check/suspend", true.into()),
    ] {
        set(&mut values, pointer, value);
    }
    values
}

/// With the ways to tell people of docs/install.md, and `sources` by their names.
#[track_caller]
pub fn values(sources: &[&str]) -> Value {
    let mut values = least_values();
    merge(&mut values, parsed(&block(PAGE, "yaml", "prometheusRule:")));
    // Without the Prometheus operator its objects are unknown.
    set(&mut values, "/prometheusRule/enabled", false.into());
    let needs = values["sources"][IN_TREE.cluster].take();
    let entry = |name: &&str| json!({"name": name, "namespace": IN_TREE.namespace, "backup": "newest"});
    let all_need = sources.iter().map(|name| ((*name).to_owned(), needs.clone())).collect::<Map<_, _>>();
    set(&mut values, "/config/sources", sources.iter().map(entry).collect());
    set(&mut values, "/sources", all_need.into());
    set(&mut values, "/drill/parallelism", 2.into());
    values
}

#[track_caller]
fn parsed(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).expect("a page's values are YAML")
}

/// As helm joins two files of values.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

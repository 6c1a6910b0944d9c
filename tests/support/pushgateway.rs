//! A real Pushgateway on a free port of 127.0.0.1, and `promtool`. Dropping it ends the server; a harness that is killed
//! takes the server along, too.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::process::{Finished, eventually, run};
use super::repository;

const PATIENCE: Duration = Duration::from_secs(30);

/// Ends the server when standard input closes: on purpose, or because the harness died in whatever way.
const SUPERVISOR: &str = r#""$@" </dev/null & cat >/dev/null; kill "$!"; wait"#;

/// A running gateway, which forgets everything at its end.
pub struct Pushgateway {
    supervisor: Child,
    log: NamedTempFile,
    address: String,
}

impl Pushgateway {
    #[track_caller]
    pub fn start() -> Self {
        let log = NamedTempFile::new().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISOR, "supervisor"]).arg(program("prometheus-pushgateway"));
        // It chooses a free port and says which: one that was looked for could be somebody else's by now.
        command.arg("--web.listen-address=127.0.0.1:0");
        // Debian's build else shares a file of the machine's, /var/lib/prometheus/pushgateway.data, among all of them.
        command.arg("--persistence.file=");
        // Its own process group: a terminal's SIGINT must not end the supervisor before the server.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log.reopen().unwrap()).process_group(0);
        let mut gateway = Self { supervisor: command.spawn().unwrap(), log, address: String::new() };
        gateway.address = eventually("the Pushgateway listens", PATIENCE, || {
            let log = fs::read_to_string(&gateway.log).unwrap();
            assert!(!log.contains("level=error"), "{log}");
            let (_, rest) = log.split_once("msg=\"Listening on\" address=")?;
            rest.split_once('\n').map(|(address, _)| address.to_owned())
        });
        eventually("the Pushgateway is ready", PATIENCE, || gateway.get("/-/ready"));
        gateway
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What Prometheus would scrape of a job `walproof`: the lines of samples.
    #[track_caller]
    pub fn samples(&self) -> Vec<String> {
        let text = self.get("/metrics").expect("the Pushgateway answers");
        let is_pushed = |line: &&str| !line.starts_with('#') && line.contains("job=\"walproof\"");
        text.lines().filter(is_pushed).map(str::to_owned).collect()
    }

    /// Waits until it shows what is expected: it answers a deletion before it has done it.
    #[track_caller]
    pub fn await_samples(&self, is_expected: impl Fn(&[String]) -> bool) {
        let expected = || is_expected(&self.samples()).then_some(());
        eventually("the Pushgateway shows what is expected", PATIENCE, expected);
    }

    /// The body of an answer 200.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split(' ').nth(1)?.eq("200").then(|| body.to_owned())
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        // Closes its standard input first.
        let _ = self.supervisor.wait();
    }
}

/// What `promtool check metrics` says of a text.
#[track_caller]
pub fn promtool_check_metrics(text: &str) -> Finished {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$1\" check metrics <\"$2\"", "promtool"]).arg(program("promtool")).arg(file.path());
    run(&mut command, PATIENCE)
}

fn program(name: &str) -> PathBuf {
    let unpacked = repository().join(".tools/prometheus/usr/bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(unpacked).chain(std::env::split_paths(&path).map(|directory| directory.join(name)));
    places
        .into_iter()
        .find(|place| place.is_file())
        .unwrap_or_else(|| panic!("{name} is missing; run scripts/setup to install it into .tools/prometheus"))
}

//! Services of the cluster on ports of this machine, by `kubectl port-forward`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::kubectl;

/// A service's port on this machine, as long as the value lives.
pub struct Forward {
    child: Child,
    pub port: u16,
}

impl Forward {
    #[track_caller]
    pub fn begin(namespace: &str, target: &str, port: u16) -> Self {
        let arguments = ["port-forward", "--namespace", namespace, target, &format!(":{port}")];
        let mut child = kubectl::command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("kubectl says where it listens").unwrap();
        // Read on, else kubectl would wait for the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let port = first.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        Self { child, port: port.unwrap_or_else(|| panic!("a port in {first:?}")) }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

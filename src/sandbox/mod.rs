//! Sandboxes: the one thing a drill makes and owns, and tears down.

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::kubernetes::Kubernetes;
use crate::plan;
use crate::postgres::ConnectError;
use operator::evidence::SandboxEvidence;

pub mod complaint;
pub mod direct;
pub mod operator;

/// How long a sandbox that was kept on request stays before a later run sweeps it.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The sandbox of one drill.
pub enum Sandbox {
    /// A directory and a server on this machine.
    Direct(direct::Sandbox),
    /// A scratch `Cluster` and what belongs to it.
    Operator(Box<operator::Sandbox>),
}

/// What a sweep did with one leftover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swept {
    Removed(String),
    /// It stays, and why.
    Left(String),
}

/// Removes what killed drills left in the place of the plan's sandboxes; nothing where the API server is not reached.
pub async fn sweep(plan: &plan::Sandbox, kubernetes: Option<&Kubernetes>, now: Timestamp) -> Vec<Swept> {
    match (plan, kubernetes) {
        (plan::Sandbox::Direct(direct), _) => direct::sweep::sweep(&direct.directory, now),
        (plan::Sandbox::Operator(operator), Some(kubernetes)) => {
            operator::sweep::sweep(kubernetes, &operator.namespace, now).await
        }
        (plan::Sandbox::Operator(_), None) => Vec::new(),
    }
}

impl Sandbox {
    /// Connects to a database of the restored server as its superuser, free to write.
    pub async fn connect(&self, database: &str) -> Result<Client, ConnectError> {
        match self {
            Self::Direct(sandbox) => sandbox.connect(database).await,
            Self::Operator(sandbox) => sandbox.connect(database).await,
        }
    }

    /// What can be seen of it before it goes; nothing of a direct one, whose log a finding quotes.
    pub async fn evidence(&self) -> Option<SandboxEvidence> {
        match self {
            Self::Operator(sandbox) if sandbox.exists() => Some(operator::evidence::collect(sandbox).await),
            _ => None,
        }
    }

    /// True when something was or may have been made.
    pub fn exists(&self) -> bool {
        match self {
            Self::Direct(sandbox) => sandbox.root().exists(),
            Self::Operator(sandbox) => sandbox.exists(),
        }
    }

    /// Leaves the sandbox for a person to look at, and says how.
    pub fn keep(self, superuser: &str, now: Timestamp) -> std::io::Result<String> {
        match self {
            Self::Direct(sandbox) => sandbox.keep(superuser, now),
            Self::Operator(sandbox) => Ok(sandbox.kept()),
        }
    }

    /// Removes everything and says what could not be removed. May be repeated.
    pub async fn tear_down(&mut self) -> Vec<String> {
        match self {
            Self::Direct(sandbox) => sandbox.tear_down(),
            Self::Operator(sandbox) => sandbox.tear_down().await,
        }
    }
}

//! A Kubernetes API server in memory, behind the real `kube::Client`, with the controllers that a drill meets: garbage
//! collector, kubelet, job controller and the CloudNativePG operator. Any request can be made to fail.

pub mod access;
pub mod answer;
mod container_log;
pub mod objects;
pub mod operator;
pub mod recording;
pub mod request;
pub mod resource;
pub mod restored_server;
mod serving;
mod verbs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::{Request as HttpRequest, Response};
use kube::Client;
use kube::client::Body as Asking;
use s3s::Body;
use serde_json::{Value, json};
use tower_test::mock;

pub use access::Access;
pub use objects::{Objects, Propagation};
pub use operator::{Controllers, Ending, Restore, Server};
pub use recording::Source;
use request::Request;
pub use resource::{Key, Resource};
pub use restored_server::RestoredServer;

/// The namespace of the drill's own pod.
pub const RELEASE: &str = "walproof";
/// The namespace of the source.
pub const SOURCE: &str = "postgres";
/// The namespace of the sandbox.
pub const SANDBOX: &str = "postgres-restore-test";
/// The drill's pod.
pub const POD: &str = "walproof-drill-x7k2p";
/// So long after [`Api::call_at`] has called, the request is carried out: a tear-down that does not wait for what is under
/// way is over by then.
pub const UNDER_WAY: Duration = Duration::from_secs(1);

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with 403, and not carried out.
    Refused,
    /// Carried out, but the connection breaks before the answer.
    AnswerLost,
    /// Never arrives.
    Unreachable,
}

/// A request as it was asked, for tests that count or look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// As in a Role: `get`, `list`, `create`, …
    pub verb: &'static str,
    /// Without the query.
    pub path: String,
}

/// The API server. Clones are the same one.
#[derive(Clone)]
pub struct Api {
    state: Arc<Mutex<State>>,
}

struct State {
    objects: Objects,
    access: Access,
    controllers: Controllers,
    asked: Vec<Asked>,
    /// By the request's number, from 1.
    faults: BTreeMap<usize, Fault>,
    /// From this request on nothing arrives any more.
    is_gone_from: Option<usize>,
    calls: BTreeMap<usize, Box<dyn FnOnce() + Send>>,
    /// Groups of custom resources that nobody installed.
    missing_groups: Vec<String>,
    /// A real one lives some minutes.
    watch_life: Duration,
}

impl Api {
    /// A cluster with the three namespaces and the drill's own pod. The client is that pod's `ServiceAccount`
    /// `system:serviceaccount:walproof:walproof`, without a rule in any Role; nothing is enforced.
    pub fn new() -> Self {
        let mut access = Access::of(&format!("system:serviceaccount:{RELEASE}:walproof"));
        let mut objects = Objects::default();
        objects.grace = 2;
        for name in [RELEASE, SOURCE, SANDBOX, "minio", "cnpg-system"] {
            let labels = serde_json::json!({"kubernetes.io/metadata.name": name});
            let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "labels": labels}, "status": {"phase": "Active"}});
            objects.apply(&namespace);
        }
        objects.apply(&serde_json::json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": POD, "namespace": RELEASE},
            "spec": {"containers": [{"name": "drill", "image": "walproof"}]}, "status": {"phase": "Running"}}));
        let pod = objects.get(&Key::new("Pod", RELEASE, POD)).unwrap();
        access.pod = Some((POD.to_owned(), objects::uid_of(pod).to_owned()));
        let state = State {
            objects,
            access,
            controllers: Controllers::default(),
            asked: Vec::new(),
            faults: BTreeMap::new(),
            is_gone_from: None,
            calls: BTreeMap::new(),
            missing_groups: Vec::new(),
            watch_life: Duration::from_mins(5),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A client for the current runtime.
    pub fn client(&self) -> Client {
        let (service, mut requests) = mock::pair::<HttpRequest<Asking>, Response<Body>>();
        let api = self.clone();
        tokio::spawn(async move {
            while let Some((request, reply)) = requests.next_request().await {
                let api = api.clone();
                // A task of its own: a client that goes away does not take back what it has asked for.
                tokio::spawn(async move {
                    match api.serve(request).await {
                        Ok(answer) => reply.send_response(answer),
                        Err(broken) => reply.send_error(broken),
                    }
                });
            }
        });
        Client::new(service, "default")
    }

    /// Stores an object as a controller or an administrator would: no request, no rule asked.
    #[track_caller]
    pub fn put(&self, object: &Value) {
        assert!(self.state().objects.apply(object), "an owner of {} is missing", Key::of(object));
    }

    /// Removes an object at once; its dependants are collected.
    pub fn remove(&self, key: &Key) {
        self.state().objects.delete(key, Propagation::Background, true);
    }

    pub fn get(&self, key: &Key) -> Option<Value> {
        self.state().objects.get(key).cloned()
    }

    /// Everything that exists in a namespace, but for events.
    pub fn objects(&self, namespace: &str) -> Vec<Key> {
        let state = self.state();
        let keys = state.objects.all().map(|(key, _)| key.clone());
        keys.filter(|key| key.namespace == namespace && key.resource.kind != "Event").collect()
    }

    /// Lets the controllers work until nothing is left to collect.
    pub fn settle(&self) {
        let mut state = self.state();
        for _ in 0..100 {
            state.objects.tick();
        }
    }

    /// What was asked, in order. Watches and followed logs are not among it, and no fault meets them.
    pub fn requests(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Makes the request of this number fail; the first is 1.
    pub fn fail_at(&self, number: usize, fault: Fault) {
        self.state().faults.insert(number, fault);
    }

    /// From the request of this number on, none arrives.
    pub fn vanish_at(&self, number: usize) {
        self.state().is_gone_from = Some(number);
    }

    /// Calls `call` when the request of this number has arrived, [`UNDER_WAY`] before it is carried out.
    pub fn call_at(&self, number: usize, call: impl FnOnce() + Send + 'static) {
        self.state().calls.insert(number, Box::new(call));
    }

    /// Another pod of the drill's runs, and asks from now on.
    pub fn enter_next_pod(&self) {
        let name = "walproof-drill-m4q8z";
        self.put(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": RELEASE},
            "spec": {"containers": [{"name": "drill", "image": "walproof"}]}, "status": {"phase": "Running"}}));
        let uid = self.get(&Key::new("Pod", RELEASE, name)).map(|pod| objects::uid_of(&pod).to_owned()).unwrap();
        self.access(|access| access.pod = Some((name.to_owned(), uid)));
    }

    /// Changes who asks, and what it may do.
    pub fn access(&self, change: impl FnOnce(&mut Access)) {
        change(&mut self.state().access);
    }

    /// Changes what the operator and the kubelet do.
    pub fn controllers(&self, change: impl FnOnce(&mut Controllers)) {
        change(&mut self.state().controllers);
    }

    /// So many ticks a deleted pod takes to go.
    pub fn set_grace(&self, ticks: u64) {
        self.state().objects.grace = ticks;
    }

    /// From now on a watch ends after this time.
    pub fn set_watch_life(&self, life: Duration) {
        self.state().watch_life = life;
    }

    /// Takes a finalizer off an object, as its controller would.
    pub fn release(&self, key: &Key, finalizer: &str) {
        self.state().objects.release(key, finalizer);
    }

    /// The custom resources of this group are not installed.
    pub fn uninstall(&self, group: &str) {
        self.state().missing_groups.push(group.to_owned());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Default for Api {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.verb, self.path)
    }
}

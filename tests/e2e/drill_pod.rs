//! One drill in the cluster: the pod that docs/kubernetes/drill.yaml describes, with the image under test and a case's
//! own configuration. A pod that cannot start fails its case with its events.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::installation::{self, NAMESPACE};
use crate::judged::Judged;
use crate::process::{self, Finished};
use crate::source::Source;
use crate::{json_pointer, kubectl, sandbox};

/// For the baseline, and for an image to appear.
const STARTS: Duration = Duration::from_mins(3);
const ENDS: Duration = Duration::from_mins(15);
/// Keeps the exit code of a pod that is deleted readable until its case has read it.
const FINALIZER: &str = "walproof.dev/e2e";
const CANNOT_START: [&str; 7] = [
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// A drill to be.
pub struct Drill {
    source: &'static Source,
    configuration: Value,
    environment: Vec<Value>,
    is_idle: bool,
    shares_processes: bool,
}

/// A drill whose baseline is read.
pub struct Running {
    pod: Pod,
    log: JoinHandle<Finished>,
}

/// A pod that is removed with this value.
struct Pod(String);

impl Drill {
    #[track_caller]
    pub fn of(source: &'static Source) -> Self {
        installation::ready();
        let configuration = installation::configuration(source);
        Self { source, configuration, environment: Vec::new(), is_idle: false, shares_processes: false }
    }

    /// Sets one value of the configuration by its JSON pointer (`/sources/0/target`), making what is missing on the
    /// way.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        json_pointer::set(&mut self.configuration, pointer, value);
        self
    }

    /// Sets an environment variable of the drill.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push(json!({"name": name, "value": value}));
        self
    }

    /// Nobody writes to the source, and nothing makes it archive after the baseline.
    #[must_use]
    pub fn idle(self) -> Self {
        Self { is_idle: true, ..self }
    }

    /// Makes walproof a process that can be killed from within its container: a container's first cannot.
    #[must_use]
    pub fn sharing_processes(self) -> Self {
        Self { shares_processes: true, ..self }
    }

    /// Starts the pod and waits until the drill itself runs.
    #[track_caller]
    pub fn start(self) -> Running {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("walproof-e2e-{}-{number}", std::process::id());
        let source = self.source;
        let is_idle = self.is_idle;
        kubectl::apply(&self.manifests(&name));
        let pod = Pod(name);
        let started = |pod: &Pod| {
            let status = pod.status();
            pod.assert_startable(&status);
            let state = &status["containerStatuses"][0]["state"];
            (state["running"].is_object() || state["terminated"].is_object()).then_some(())
        };
        kubectl::eventually(|| format!("{} starts\n{}", pod.0, pod.description()), STARTS, || started(&pod));
        let mut logs =
            kubectl::command(&["logs", "--namespace", NAMESPACE, "--follow", &pod.0, "--container", "drill"]);
        let log = thread::spawn(move || process::run(&mut logs, ENDS));
        if !is_idle {
            source.archive_a_segment();
        }
        Running { pod, log }
    }

    /// Runs the drill to its end.
    #[track_caller]
    pub fn run(self) -> Judged {
        self.start().end()
    }

    /// The output of the baseline container alone: a baseline document.
    #[track_caller]
    pub fn baseline(self) -> String {
        let name = format!("walproof-e2e-{}-baseline", std::process::id());
        let source = self.source;
        let mut manifests = self.manifests(&name);
        let spec = &mut manifests[1]["spec"];
        let mut container = spec["initContainers"][0].take();
        container["args"] = json!(["baseline", "--config", "/etc/walproof/walproof.yaml"]);
        spec["containers"] = json!([container]);
        spec["initContainers"] = json!([]);
        kubectl::apply(&manifests);
        let pod = Pod(name);
        let ended = || {
            let status = pod.status();
            pod.assert_startable(&status);
            status["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64()
        };
        let exit_code = kubectl::eventually(|| format!("a baseline\n{}", pod.description()), STARTS, ended);
        let document = kubectl::run(&["logs", "--namespace", NAMESPACE, &pod.0]);
        assert_eq!(exit_code, 0, "{document}");
        source.archive_a_segment();
        let judged = Judged { exit_code, log: document };
        judged.report().to_string()
    }

    /// A `ConfigMap` with the configuration, and the pod.
    #[track_caller]
    fn manifests(&self, name: &str) -> Vec<Value> {
        let cron_job = kubectl::documents("drill.yaml").remove(0);
        let mut pod = cron_job["spec"]["jobTemplate"]["spec"]["template"].clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = name.into();
        pod["metadata"]["namespace"] = NAMESPACE.into();
        pod["metadata"]["labels"][kubectl::LABEL] = "true".into();
        pod["metadata"]["finalizers"] = json!([FINALIZER]);
        for containers in ["initContainers", "containers"] {
            pod["spec"][containers][0]["image"] = installation::image().into();
        }
        pod["spec"]["containers"][0]["env"] = self.environment.clone().into();
        pod["spec"]["shareProcessNamespace"] = self.shares_processes.into();
        for volume in pod["spec"]["volumes"].as_array_mut().expect("the pod has volumes") {
            match volume["name"].as_str() {
                Some("configuration") => volume["configMap"]["name"] = name.into(),
                Some("source-ca") => volume["configMap"]["name"] = self.source.authority.into(),
                _ => (),
            }
        }
        let configuration = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {kubectl::LABEL: "true"}},
            "data": {"walproof.yaml": self.configuration.to_string()},
        });
        vec![configuration, pod]
    }
}

impl Running {
    /// Waits for the end and asserts that the sandbox's namespace is empty.
    #[track_caller]
    pub fn end(self) -> Judged {
        let judged = self.wait();
        let left = sandbox::contents();
        if !left.is_empty() {
            sandbox::clear();
        }
        assert_eq!(left, Vec::<String>::new(), "left in {}\n{judged}", sandbox::NAMESPACE);
        judged
    }

    /// Deletes the pod, as an eviction or an impatient person does, and waits for its end.
    #[track_caller]
    pub fn stop(self) -> Judged {
        kubectl::run(&["delete", "pod", "--namespace", NAMESPACE, "--wait=false", &self.pod.0]);
        self.end()
    }

    /// SIGKILL. The pod stays as a job's does.
    #[track_caller]
    pub fn kill(self) -> Killed {
        kill(NAMESPACE, &self.pod.0);
        let exit_code = self.pod.exit_code();
        Killed { exit_code, _pod: self.pod }
    }

    #[track_caller]
    fn wait(self) -> Judged {
        let exit_code = self.pod.exit_code();
        let log = self.log.join().expect("the log ends with its container");
        Judged { exit_code, log: log.stdout }
    }
}

/// A drill that was killed, and its pod.
pub struct Killed {
    pub exit_code: i64,
    _pod: Pod,
}

impl Pod {
    #[track_caller]
    fn status(&self) -> Value {
        kubectl::get(&["pod", "--namespace", NAMESPACE, &self.0])["status"].clone()
    }

    #[track_caller]
    fn exit_code(&self) -> i64 {
        let ended = || self.status()["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64();
        kubectl::eventually(|| format!("{} ends\n{}", self.0, self.description()), ENDS, ended)
    }

    #[track_caller]
    fn assert_startable(&self, status: &Value) {
        let statuses = ["initContainerStatuses", "containerStatuses"].map(|list| status[list].as_array());
        for container in statuses.into_iter().flatten().flatten() {
            let reason = container["state"]["waiting"]["reason"].as_str().unwrap_or_default();
            assert!(!CANNOT_START.contains(&reason), "{reason}\n{}", self.description());
        }
        let baseline = &status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"];
        assert!(baseline.as_i64().unwrap_or(0) == 0, "the baseline ended with {baseline}\n{}", self.description());
    }

    /// What a person would look at.
    fn description(&self) -> String {
        let described = kubectl::attempt(&["describe", "pod", "--namespace", NAMESPACE, &self.0]).stdout;
        let logs =
            kubectl::attempt(&["logs", "--namespace", NAMESPACE, "--all-containers", "--prefix", &self.0]).stdout;
        format!("{described}\n{logs}")
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        remove(&self.0);
        kubectl::attempt(&["delete", "configmap", "--namespace", NAMESPACE, "--ignore-not-found", &self.0]);
        if thread::panicking() {
            sandbox::clear();
        }
    }
}

/// SIGKILL to the drill of a pod whose containers share their processes.
pub fn kill(namespace: &str, pod: &str) {
    let kill = r"for p in /proc/[0-9]*; do case $(readlink $p/exe) in */walproof) kill -9 ${p#/proc/};; esac; done";
    kubectl::attempt(&["exec", "--namespace", namespace, pod, "--container", "drill", "--", "sh", "-c", kill]);
}

/// Removes a pod with its finalizer.
pub fn remove(name: &str) {
    let pod = ["pod", "--namespace", NAMESPACE, name];
    let without = r#"{"metadata": {"finalizers": null}}"#;
    kubectl::attempt(&[&["patch"], &pod[..], &["--type=merge", "--patch", without]].concat());
    kubectl::attempt(&[&["delete"], &pod[..], &["--ignore-not-found", "--force", "--grace-period=0"]].concat());
}

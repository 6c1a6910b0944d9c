//! What controllers make of what a drill creates: the CloudNativePG operator's restore as it was recorded from version
//! 1.28.1, pods that run to their end, jobs that complete. Each story goes on by one step whenever somebody reads the
//! objects it is about.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::objects::{Objects, is_leaving, uid_of};
use super::recording;
use super::resource::Key;

/// How the operator's restore goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// The recovery job succeeds, the instance gets ready, the operator removes the job.
    Succeeds,
    /// The recovery job has failed its last attempt; the Cluster stays in `Setting up primary`, as up to 1.28.3.
    Fails,
    /// The volume claim names a storage class that does not exist.
    StaysPending,
    /// The image cannot be pulled.
    LacksItsImage,
}

/// How a pod ends that the drill made itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub exit_code: i32,
    pub log: String,
}

/// Where the restored server really is, and how to get in.
#[derive(Debug, Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// Of the role `postgres`.
    pub password: String,
    /// The certificate, as PEM, that the server's own one is signed with.
    pub authority: String,
    pub major: u32,
    pub system_identifier: u64,
}

/// What controllers do with new objects.
#[derive(Debug)]
pub struct Controllers {
    pub restore: Restore,
    /// Of the recovery job; None: as recorded.
    pub recovery_log: Option<String>,
    pub server: Option<Server>,
    /// By the end of the pod's or job's name; others end well and say nothing.
    pub endings: BTreeMap<String, Ending>,
    /// So many steps a story goes on with each look.
    pub pace: usize,
    stories: Vec<Story>,
    /// What the containers have said, by namespace, pod and container.
    logs: BTreeMap<(String, String, String), String>,
}

#[derive(Debug)]
struct Story {
    about: Key,
    uid: String,
    /// Reading one of these kinds goes on.
    read_by: &'static [&'static str],
    steps: Vec<Step>,
    recovery_log: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(rename = "state")]
    _state: String,
    /// So many hundredths of the recovery log are written by now.
    logged: Option<usize>,
    /// `Kind/name` of what goes.
    delete: Vec<String>,
    /// What comes, or changes its state.
    set: Vec<Value>,
}

impl Default for Controllers {
    fn default() -> Self {
        Self {
            restore: Restore::Succeeds,
            recovery_log: None,
            server: None,
            endings: BTreeMap::new(),
            pace: 1,
            stories: Vec::new(),
            logs: BTreeMap::new(),
        }
    }
}

impl Controllers {
    /// A client has created an object.
    pub fn begin(&mut self, key: &Key, object: &Value) {
        let (read_by, mut steps): (&[&str], _) = match key.resource.kind {
            "Cluster" => (&["clusters"], self.restore_steps(key, object)),
            "Pod" => (&["pods"], self.pod_steps(key, object)),
            "Job" => (&["jobs", "pods"], self.job_steps(key, object)),
            _ => return,
        };
        steps.reverse();
        let recorded = if self.restore == Restore::Fails { recording::FAILED_LOG } else { recording::RESTORED_LOG };
        let log = self.recovery_log.clone().unwrap_or_else(|| recorded.to_owned());
        self.stories.push(Story {
            about: key.clone(),
            uid: uid_of(object).to_owned(),
            read_by,
            steps,
            recovery_log: recording::filled(&log, &names(key)),
        });
    }

    /// Somebody reads objects of this kind in this namespace.
    pub fn go_on(&mut self, objects: &mut Objects, plural: &str, namespace: &str) {
        for story in &mut self.stories {
            if story.about.namespace != namespace || !story.read_by.contains(&plural) {
                continue;
            }
            let is_there = |object: &Value| uid_of(object) == story.uid && !is_leaving(object);
            if !objects.get(&story.about).is_some_and(is_there) {
                story.steps.clear();
            }
            for _ in 0..self.pace {
                let Some(step) = story.steps.pop() else { break };
                Self::take(&step, story, objects, &mut self.logs, &self.endings);
            }
        }
    }

    fn take(
        step: &Step,
        story: &Story,
        objects: &mut Objects,
        logs: &mut BTreeMap<(String, String, String), String>,
        endings: &BTreeMap<String, Ending>,
    ) {
        let namespace = &story.about.namespace;
        for object in &step.set {
            let mut object = object.clone();
            object["metadata"]["namespace"] = json!(namespace);
            objects.apply(&object);
            if object["kind"] == "Pod" && object["status"]["phase"] != "Pending" {
                Self::write_log(logs, endings, story, &object, step.logged);
            }
        }
        for gone in &step.delete {
            let (kind, name) = gone.split_once('/').unwrap();
            objects.delete(&Key::new(kind, namespace, name), super::Propagation::Background, false);
        }
    }

    /// What a container has said so far.
    pub fn log(&self, namespace: &str, pod: &str, container: &str) -> &str {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        self.logs.get(&key).map_or("", String::as_str)
    }

    fn write_log(
        logs: &mut BTreeMap<(String, String, String), String>,
        endings: &BTreeMap<String, Ending>,
        story: &Story,
        pod: &Value,
        logged: Option<usize>,
    ) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        let container = text(&pod["spec"]["containers"][0]["name"]);
        let said = match story.about.resource.kind {
            "Cluster" => {
                let Some(part) = logged else { return };
                let lines: Vec<&str> = story.recovery_log.lines().collect();
                let count = lines.len() * part / 100;
                lines[..count].iter().flat_map(|line| [line, "\n"]).collect()
            }
            _ => ending(endings, &story.about.name).log,
        };
        logs.insert((namespace, name, container), said);
    }

    fn restore_steps(&self, key: &Key, cluster: &Value) -> Vec<Step> {
        let recorded = match self.restore {
            Restore::Succeeds => recording::RESTORED,
            Restore::Fails => recording::FAILED,
            Restore::StaysPending => recording::PENDING,
            Restore::LacksItsImage => recording::IMAGE,
        };
        let mut values = names(key);
        let server = self.server.clone().unwrap_or_else(Server::nowhere);
        let image = cluster["spec"]["imageName"].as_str().unwrap_or("postgresql:17");
        for (name, value) in [
            ("IMAGE", image),
            ("PASSWORD", &server.password),
            ("CA", &server.authority),
            ("HOST", &server.host),
            ("PORT", &server.port.to_string()),
            ("MAJOR", &server.major.to_string()),
            ("MAJOR_NUMBER", &server.major.to_string()),
            ("SYSTEM_IDENTIFIER", &server.system_identifier.to_string()),
        ] {
            values.insert(name, value.to_owned());
        }
        serde_json::from_str(&recording::filled_json(recorded, &values)).unwrap()
    }

    /// A pod that was created by itself starts and ends.
    fn pod_steps(&self, key: &Key, pod: &Value) -> Vec<Step> {
        let ending = ending(&self.endings, &key.name);
        let running = pod_status("Running", &pod["spec"], &json!({"running": {}}));
        let phase = if ending.exit_code == 0 { "Succeeded" } else { "Failed" };
        let reason = if ending.exit_code == 0 { "Completed" } else { "Error" };
        let terminated = json!({"terminated": {"exitCode": ending.exit_code, "reason": reason}});
        let ended = pod_status(phase, &pod["spec"], &terminated);
        let pending = json!({"phase": "Pending"});
        [pending, running, ended]
            .into_iter()
            .map(|status| {
                let changed = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": key.name},
                    "spec": pod["spec"], "status": status});
                step(vec![changed])
            })
            .collect()
    }

    /// A job that was created by itself makes one pod, which starts and ends.
    fn job_steps(&self, key: &Key, job: &Value) -> Vec<Step> {
        let pod_key = Key::new("Pod", &key.namespace, &format!("{}-x7k2p", key.name));
        let template = &job["spec"]["template"];
        let mut labels = template["metadata"]["labels"].clone();
        labels["batch.kubernetes.io/job-name"] = json!(key.name);
        labels["job-name"] = json!(key.name);
        labels["batch.kubernetes.io/controller-uid"] = json!(uid_of(job));
        let owner = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": key.name, "controller": true,
            "blockOwnerDeletion": true}]);
        let is_well = ending(&self.endings, &key.name).exit_code == 0;
        let mut steps = Vec::new();
        let pod = json!({"spec": template["spec"]});
        for (index, mut pod_step) in self.pod_steps(&pod_key, &pod).into_iter().enumerate() {
            // The ending is the job's: a pod's name has a random end.
            if index == 2 {
                pod_step = self.pod_steps(key, &pod).pop().unwrap();
                pod_step.set[0]["metadata"]["name"] = json!(pod_key.name);
            }
            pod_step.set[0]["metadata"]["ownerReferences"] = owner.clone();
            pod_step.set[0]["metadata"]["labels"] = labels.clone();
            let status = match (index, is_well) {
                (2, true) => json!({"succeeded": 1, "ready": 0, "conditions":
                    [{"type": "Complete", "status": "True", "reason": "CompletionsReached"}]}),
                (2, false) => json!({"failed": 1, "ready": 0, "conditions": [{"type": "Failed", "status": "True",
                    "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]}),
                _ => json!({"active": 1, "ready": i32::from(index == 1)}),
            };
            let changed = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": key.name},
                "status": status});
            pod_step.set.push(changed);
            steps.push(pod_step);
        }
        steps
    }
}

impl Server {
    /// For restores that never get as far as a server.
    fn nowhere() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 9,
            password: "unused".to_owned(),
            authority: String::new(),
            major: 17,
            system_identifier: 0,
        }
    }
}

fn names(key: &Key) -> BTreeMap<&'static str, String> {
    BTreeMap::from([("CLUSTER", key.name.clone()), ("NAMESPACE", key.namespace.clone())])
}

fn ending(endings: &BTreeMap<String, Ending>, name: &str) -> Ending {
    let told = endings.iter().find(|(end, _)| name.ends_with(end.as_str()));
    told.map_or(Ending { exit_code: 0, log: String::new() }, |(_, ending)| ending.clone())
}

fn step(set: Vec<Value>) -> Step {
    Step { _state: String::new(), logged: None, delete: Vec::new(), set }
}

fn pod_status(phase: &str, spec: &Value, state: &Value) -> Value {
    let containers = spec["containers"].as_array().cloned().unwrap_or_default();
    let statuses: Vec<Value> = containers
        .iter()
        .map(|container| {
            let is_running = phase == "Running";
            json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": is_running,
                "restartCount": 0, "started": is_running, "state": state})
        })
        .collect();
    json!({"phase": phase, "containerStatuses": statuses})
}

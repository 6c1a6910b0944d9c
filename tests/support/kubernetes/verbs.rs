//! What each verb does to the objects: the API server's half of a request, once nothing stands in its way.

use serde_json::{Value, json};

use super::State;
use super::answer::Answer;
use super::objects::{Propagation, uid_of};
use super::request::Request;
use super::resource::{Key, Resource};

impl State {
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        if request.path == "/version" {
            return Answer::object(200, &json!({"major": "1", "minor": "34", "gitVersion": "v1.34.4"}));
        }
        if let Some(refusal) = self.refusal(request) {
            return refusal;
        }
        if let Some(review) = self.access.review(request) {
            return Answer::object(201, &review);
        }
        self.pass_time(request);
        let Some(resource) = request.resource() else { return Answer::no_such_page() };
        let key = Key { resource, namespace: request.namespace.clone(), name: request.name.clone() };
        match (request.verb, request.subresource.as_deref()) {
            ("get", None) if request.is_for_metadata => match self.objects.get(&key) {
                Some(object) => {
                    let version = "meta.k8s.io/v1";
                    let metadata = &object["metadata"];
                    Answer::object(
                        200,
                        &json!({"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": metadata}),
                    )
                }
                None => Answer::absent(&key),
            },
            ("get", Some("log")) => self.log(request),
            ("get", None | Some("status")) => match self.objects.get(&key) {
                Some(object) if request.is_for_metadata => Answer::object(200, &metadata(object)),
                Some(object) => Answer::object(200, object),
                None => Answer::absent(&key),
            },
            ("list", None) => self.list(request, resource),
            ("create", None) => self.create(request, resource),
            ("update" | "patch", None | Some("status")) => self.change(request, &key),
            ("delete", None) => self.delete(request, &key),
            (verb, subresource) => panic!("not served here: {verb} {} {subresource:?}", request.path),
        }
    }

    /// Why a request is not carried out, whatever it asks.
    pub(super) fn refusal(&self, request: &Request) -> Option<Answer> {
        if !self.access.allows_request(request) {
            return Some(Answer::forbidden(request, &self.access.user));
        }
        let is_review = request.group.starts_with("auth");
        let is_served = request.resource().is_some() && !self.missing_groups.contains(&request.group);
        (!is_review && !is_served && request.path != "/version").then(Answer::no_such_page)
    }

    /// Every request lets time pass, and a reader sees the controllers' next step.
    pub(super) fn pass_time(&mut self, request: &Request) {
        self.objects.tick();
        if matches!(request.verb, "get" | "list") && request.subresource.is_none() {
            self.controllers.go_on(&mut self.objects, &request.plural, &request.namespace);
        }
    }

    fn list(&self, request: &Request, resource: Resource) -> Answer {
        let is_in = |key: &Key| {
            key.resource == resource && (request.namespace.is_empty() || key.namespace == request.namespace)
        };
        let found = self.objects.all().filter(|(key, object)| is_in(key) && request.selects(object));
        let mut items: Vec<Value> = found.map(|(_, object)| object.clone()).collect();
        let (mut kind, mut version) = (format!("{}List", resource.kind), resource.api_version());
        if request.is_for_metadata {
            (kind, version) = ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned());
            for item in &mut items {
                *item = metadata(item);
            }
        }
        let list = json!({
            "kind": kind, "apiVersion": version,
            "metadata": {"resourceVersion": self.objects.version().to_string()}, "items": items,
        });
        Answer::object(200, &list)
    }

    fn create(&mut self, request: &Request, resource: Resource) -> Answer {
        let namespace = Key::new("Namespace", "", &request.namespace);
        if resource.is_namespaced && self.objects.get(&namespace).is_none() {
            return Answer::absent(&namespace);
        }
        let name = request.body["metadata"]["name"].as_str().unwrap_or_default();
        let key = Key { resource, namespace: request.namespace.clone(), name: name.to_owned() };
        if name.is_empty() {
            return Answer::failure(
                422,
                "Invalid",
                "metadata.name: Required value: name or generateName is required",
                &json!({}),
            );
        }
        if self.objects.get(&key).is_some() {
            return Answer::exists_already(&key);
        }
        let mut object = request.body.clone();
        if resource.kind == "Pod" {
            object["status"] = json!({"phase": "Pending"});
        }
        let object = self.objects.completed(&key, object);
        if request.is_dry_run() {
            return Answer::object(201, &object);
        }
        let created = self.objects.insert(&key, object);
        self.controllers.begin(&key, &created);
        Answer::object(201, &created)
    }

    /// An update, or a merge patch.
    fn change(&mut self, request: &Request, key: &Key) -> Answer {
        let Some(stored) = self.objects.get(key).cloned() else { return Answer::absent(key) };
        let asked = request.body["metadata"]["resourceVersion"].as_str();
        if asked.is_some_and(|version| stored["metadata"]["resourceVersion"] != version) {
            return Answer::changed_meanwhile(key);
        }
        let mut object = stored.clone();
        if request.verb == "patch" {
            merge(&mut object, &request.body);
        } else {
            object = request.body.clone();
            for kept in ["uid", "creationTimestamp", "deletionTimestamp"] {
                if !stored["metadata"][kept].is_null() {
                    object["metadata"][kept] = stored["metadata"][kept].clone();
                }
            }
        }
        if request.is_dry_run() {
            return Answer::object(200, &object);
        }
        Answer::object(200, &self.objects.replace(key, object))
    }

    fn delete(&mut self, request: &Request, key: &Key) -> Answer {
        let Some(stored) = self.objects.get(key) else { return Answer::absent(key) };
        let uid = uid_of(stored).to_owned();
        if let Some(wanted) = request.body.pointer("/preconditions/uid").and_then(Value::as_str)
            && wanted != uid
        {
            return Answer::other_uid(key, wanted, &uid);
        }
        let parameter = |name: &str| request.body[name].as_str().or(request.query.get(name).map(String::as_str));
        let propagation = match parameter("propagationPolicy") {
            Some("Foreground") => Propagation::Foreground,
            Some("Orphan") => Propagation::Orphan,
            // The API keeps the pods of a Job that is deleted without a word about them.
            None if key.resource.kind == "Job" => Propagation::Orphan,
            Some(_) | None => Propagation::Background,
        };
        let is_graceless = request.body["gracePeriodSeconds"] == 0
            || request.query.get("gracePeriodSeconds").is_some_and(|seconds| seconds == "0");
        match self.objects.delete(key, propagation, is_graceless) {
            None => Answer::deleted(key, &uid),
            Some(leaving) => Answer::object(200, &leaving),
        }
    }

    /// What a watch tells of the changes after a version, with the version of the newest; after version 0 it is all
    /// that is there.
    pub(super) fn changes(&self, request: &Request, version: u64) -> (Vec<Value>, u64) {
        let newest = self.objects.version();
        let Some(resource) = request.resource() else { return (Vec::new(), newest) };
        let is_in = |key: &Key| {
            key.resource == resource && (request.namespace.is_empty() || key.namespace == request.namespace)
        };
        if version == 0 {
            let there = self.objects.all().filter(|(key, object)| is_in(key) && request.selects(object));
            return (there.map(|(_, object)| json!({"type": "ADDED", "object": object})).collect(), newest);
        }
        let changes = self.objects.changes_after(version);
        let changes = changes.filter(|change| is_in(&change.key) && request.selects(&change.object));
        (changes.map(|change| json!({"type": change.event, "object": change.object})).collect(), newest)
    }
}

fn metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// A JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}

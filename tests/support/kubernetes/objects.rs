//! The objects of the API server in memory, with what the real one and its controllers do to every object: identity,
//! versions, graceful deletion, the collection of what has lost its owners.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resource::Key;

/// What a watch tells.
#[derive(Debug, Clone)]
pub struct Change {
    pub version: u64,
    pub event: &'static str,
    pub key: Key,
    pub object: Value,
}

/// What happens to the dependants of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// All objects. Time is counted in ticks: one for every request, and some while a watch waits.
#[derive(Debug, Default)]
pub struct Objects {
    table: BTreeMap<Key, Value>,
    changes: Vec<Change>,
    version: u64,
    made: u64,
    clock: u64,
    /// When an object in graceful deletion goes, by UID.
    leaves: BTreeMap<String, u64>,
    /// Since when an object has lost all owners, by UID.
    orphaned: BTreeMap<String, u64>,
    /// So many ticks a pod takes to end; a volume claim takes one more.
    pub grace: u64,
}

impl Objects {
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.table.get(key)
    }

    pub fn all(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.table.iter()
    }

    /// The version of the newest change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The changes after a version, oldest first.
    pub fn changes_after(&self, version: u64) -> impl Iterator<Item = &Change> {
        let known = self.changes.partition_point(|change| change.version <= version);
        self.changes[known..].iter()
    }

    /// The object as it would be stored: with identity, and a secret's text as data.
    pub fn completed(&mut self, key: &Key, mut object: Value) -> Value {
        self.made += 1;
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.insert("uid".to_owned(), json!(format!("{:08x}-0000-4000-8000-000000000000", self.made)));
        metadata.insert("creationTimestamp".to_owned(), json!(now()));
        if key.resource.is_namespaced {
            metadata.insert("namespace".to_owned(), json!(key.namespace));
        }
        object["apiVersion"] = json!(key.resource.api_version());
        object["kind"] = json!(key.resource.kind);
        if let Some(Value::Object(texts)) = object.as_object_mut().unwrap().remove("stringData") {
            for (name, text) in texts {
                object["data"][name] = json!(base64(text.as_str().unwrap_or_default().as_bytes()));
            }
        }
        object
    }

    /// Stores a new object.
    pub fn insert(&mut self, key: &Key, object: Value) -> Value {
        self.store(key, object, "ADDED")
    }

    /// Stores what a controller or a test says: a new object, or the new state of one. Owners without a UID are looked up
    /// by kind and name; when one is gone or going, nothing is stored.
    pub fn apply(&mut self, object: &Value) -> bool {
        let key = Key::of(object);
        let mut object = object.clone();
        for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
            if owner["uid"].is_null() {
                let named = Key::new(owner["kind"].as_str().unwrap(), &key.namespace, owner["name"].as_str().unwrap());
                let Some(found) = self.table.get(&named).filter(|found| !is_leaving(found)) else { return false };
                owner["uid"] = found["metadata"]["uid"].clone();
            }
        }
        let Some(stored) = self.table.get(&key) else {
            let completed = self.completed(&key, object);
            self.store(&key, completed, "ADDED");
            return true;
        };
        let mut merged = stored.clone();
        for (field, value) in object.as_object().unwrap() {
            if field != "metadata" {
                merged[field] = value.clone();
            }
        }
        for (field, value) in object["metadata"].as_object().unwrap() {
            merged["metadata"][field] = value.clone();
        }
        self.store(&key, merged, "MODIFIED");
        true
    }

    /// Stores the new state of an object.
    pub fn replace(&mut self, key: &Key, object: Value) -> Value {
        self.store(key, object, "MODIFIED")
    }

    /// Begins a deletion. None when the object is gone at once, else the object as it is while it goes.
    pub fn delete(&mut self, key: &Key, propagation: Propagation, is_graceless: bool) -> Option<Value> {
        let object = self.table.get(key)?.clone();
        if is_leaving(&object) {
            return Some(object);
        }
        let uid = uid_of(&object).to_owned();
        if propagation == Propagation::Orphan {
            self.orphan_dependants(&uid);
        }
        let is_held = object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
        let grace = match key.resource.kind {
            "Pod" if !is_graceless => Some(self.grace),
            "PersistentVolumeClaim" => Some(self.grace + 1),
            _ => None,
        };
        if propagation != Propagation::Foreground && !is_held && grace.is_none() {
            self.remove(key);
            return None;
        }
        let mut leaving = object;
        leaving["metadata"]["deletionTimestamp"] = json!(now());
        if propagation == Propagation::Foreground {
            let finalizers = &mut leaving["metadata"]["finalizers"];
            if finalizers.is_null() {
                *finalizers = json!([]);
            }
            finalizers.as_array_mut().unwrap().push(json!("foregroundDeletion"));
        }
        self.leaves.insert(uid, self.clock + grace.unwrap_or(0));
        Some(self.store(key, leaving, "MODIFIED"))
    }

    /// Takes a finalizer off an object, as its controller would.
    pub fn release(&mut self, key: &Key, finalizer: &str) {
        let Some(mut object) = self.table.get(key).cloned() else { return };
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|held| held != finalizer);
        }
        self.store(key, object, "MODIFIED");
    }

    /// Lets time pass: what is due goes, and what has lost its owners is deleted.
    pub fn tick(&mut self) {
        self.clock += 1;
        let keys: Vec<Key> = self.table.keys().cloned().collect();
        for key in &keys {
            let Some(object) = self.table.get(key) else { continue };
            let uid = uid_of(object).to_owned();
            if is_leaving(object) {
                self.go_on_leaving(key, &uid);
            } else if self.has_lost_its_owners(object) {
                let since = *self.orphaned.entry(uid).or_insert(self.clock);
                // The collector works on its own time: for a moment an object outlives its owner.
                if self.clock > since {
                    self.delete(key, Propagation::Background, false);
                }
            }
        }
    }

    fn go_on_leaving(&mut self, key: &Key, uid: &str) {
        let finalizers = self.table[key]["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if finalizers.iter().any(|finalizer| finalizer == "foregroundDeletion") {
            let dependants = self.dependants(uid);
            for (dependant, _) in &dependants {
                self.delete(dependant, Propagation::Background, false);
            }
            if !dependants.iter().any(|(_, blocks)| *blocks) {
                self.release(key, "foregroundDeletion");
            }
            return;
        }
        let is_due = self.leaves.get(uid).is_none_or(|due| *due <= self.clock);
        if finalizers.is_empty() && is_due {
            self.remove(key);
        }
    }

    fn has_lost_its_owners(&self, object: &Value) -> bool {
        let Some(owners) = object["metadata"]["ownerReferences"].as_array().filter(|owners| !owners.is_empty()) else {
            return false;
        };
        !owners.iter().any(|owner| self.table.values().any(|other| other["metadata"]["uid"] == owner["uid"]))
    }

    /// The objects that name this UID as an owner, and whether they hold up a foreground deletion.
    fn dependants(&self, uid: &str) -> Vec<(Key, bool)> {
        let reference = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array()?;
            let owner = owners.iter().find(|owner| owner["uid"] == uid)?;
            Some(owner["blockOwnerDeletion"] == true)
        };
        self.table.iter().filter_map(|(key, object)| Some((key.clone(), reference(object)?))).collect()
    }

    fn orphan_dependants(&mut self, uid: &str) {
        for (key, _) in self.dependants(uid) {
            let mut object = self.table[&key].clone();
            let owners = object["metadata"]["ownerReferences"].as_array_mut().unwrap();
            owners.retain(|owner| owner["uid"] != uid);
            self.store(&key, object, "MODIFIED");
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(object) = self.table.remove(key) {
            self.version += 1;
            self.changes.push(Change { version: self.version, event: "DELETED", key: key.clone(), object });
        }
    }

    fn store(&mut self, key: &Key, mut object: Value, event: &'static str) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.table.insert(key.clone(), object.clone());
        self.changes.push(Change { version: self.version, event, key: key.clone(), object: object.clone() });
        object
    }
}

pub fn uid_of(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

pub fn is_leaving(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Base64 with padding, as in a secret's data.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let is_padding = digit > chunk.len();
            text.push(if is_padding { '=' } else { char::from(ALPHABET[bits >> (18 - 6 * digit) & 63]) });
        }
    }
    text
}

//! What a client asked for: verb, object and selectors, read from the path and the query as the API server does.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::ACCEPT;
use http::request::Parts;
use serde_json::Value;

use super::resource::Resource;

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// As in a Role: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'static str,
    /// The path without the query.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub body: Value,
    pub group: String,
    /// As in the path: `clusters`.
    pub plural: String,
    /// `log`, `status`, …
    pub subresource: Option<String>,
    /// Empty for what belongs to no namespace.
    pub namespace: String,
    /// Empty for a collection.
    pub name: String,
    /// Whether the client wants the objects' metadata alone.
    pub is_for_metadata: bool,
}

impl Request {
    pub fn read(parts: &Parts, body: &Bytes) -> Self {
        let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query: BTreeMap<String, String> = pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decoded(name), decoded(value))
            })
            .collect();
        let segments: Vec<String> = path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => ("", [].as_slice()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let part = |index: usize| rest.get(index).map_or(String::new(), ToString::to_string);
        let (plural, name, subresource) = (part(0), part(1), rest.get(2).map(ToString::to_string));
        let watches = query.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
        let verb = match (parts.method.as_str(), name.is_empty()) {
            ("GET", _) if watches => "watch",
            ("GET", true) => "list",
            ("GET", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            (method, _) => panic!("no API server knows the method {method}"),
        };
        Self {
            verb,
            path: path.to_owned(),
            query,
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
            group: group.to_owned(),
            plural,
            subresource,
            namespace: namespace.to_owned(),
            name,
            is_for_metadata: parts
                .headers
                .get(ACCEPT)
                .is_some_and(|accepted| accepted.to_str().unwrap().contains("as=PartialObjectMetadata")),
        }
    }

    pub fn resource(&self) -> Option<Resource> {
        Resource::of_path(&self.group, &self.plural)
    }

    /// `pods/log`, as in a Role.
    pub fn resource_text(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.plural),
            None => self.plural.clone(),
        }
    }

    pub fn is_dry_run(&self) -> bool {
        self.query.contains_key("dryRun") || self.body.pointer("/dryRun/0").is_some()
    }

    pub fn asks_for(&self, parameter: &str) -> bool {
        self.query.get(parameter).is_some_and(|value| value == "true")
    }

    /// Whether the selectors of the query select an object.
    pub fn selects(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let by_labels = self.query.get("labelSelector").is_none_or(|selector| {
            terms(selector).into_iter().all(|term| holds(&term, |key| labels[key].as_str().map(str::to_owned)))
        });
        by_labels
            && self.query.get("fieldSelector").is_none_or(|selector| {
                terms(selector).into_iter().all(|term| holds(&term, |path| Some(field(object, path))))
            })
    }

    /// The one name that a field selector narrows a collection to.
    pub fn selected_name(&self) -> Option<&str> {
        self.query.get("fieldSelector")?.split(',').find_map(|term| term.strip_prefix("metadata.name="))
    }
}

/// A selector's terms; commas within `in (…)` separate no terms.
fn terms(selector: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut depth = 0;
    for character in selector.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if character == ',' && depth == 0 {
            terms.push(String::new());
        } else {
            terms.last_mut().unwrap().push(character);
        }
    }
    terms.retain(|term| !term.trim().is_empty());
    terms
}

fn holds(term: &str, value_of: impl Fn(&str) -> Option<String>) -> bool {
    let term = term.trim();
    let listed = |list: &str, value: Option<String>| {
        let list = list.trim().trim_start_matches('(').trim_end_matches(')');
        value.is_some_and(|value| list.split(',').any(|one| one.trim() == value))
    };
    if let Some((key, list)) = term.split_once(" notin ") {
        return !listed(list, value_of(key.trim()));
    }
    if let Some((key, list)) = term.split_once(" in ") {
        return listed(list, value_of(key.trim()));
    }
    if let Some((key, value)) = term.split_once("!=") {
        return value_of(key).as_deref() != Some(value);
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return value_of(key).as_deref() == Some(value);
    }
    match term.strip_prefix('!') {
        Some(key) => value_of(key).is_none(),
        None => value_of(term).is_some(),
    }
}

/// A field by its path; an absent one is empty, as for the API server.
fn field(object: &Value, path: &str) -> String {
    let value = path.split('.').fold(object, |value, part| &value[part]);
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

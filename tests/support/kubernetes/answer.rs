//! Answers as the real API server gives them: their texts were recorded from Kubernetes 1.34.

use http::Response;
use http::header::CONTENT_TYPE;
use s3s::Body;
use serde_json::{Value, json};

use super::request::Request;
use super::resource::Key;

/// A status and a body.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Answer {
    pub fn object(status: u16, object: &Value) -> Self {
        Self { status, content_type: "application/json", body: object.to_string().into_bytes() }
    }

    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain", body: text.into().into_bytes() }
    }

    /// What a path that no API serves gets, for instance that of a custom resource nobody installed.
    pub fn no_such_page() -> Self {
        Self::text(404, "404 page not found\n")
    }

    pub fn absent(key: &Key) -> Self {
        let message = format!("{} \"{}\" not found", key.resource.qualified(), key.name);
        Self::failure(404, "NotFound", &message, &details(key))
    }

    pub fn exists_already(key: &Key) -> Self {
        let message = format!("{} \"{}\" already exists", key.resource.qualified(), key.name);
        Self::failure(409, "AlreadyExists", &message, &details(key))
    }

    pub fn other_uid(key: &Key, asked: &str, found: &str) -> Self {
        let kind = key.resource.kind;
        let message = format!(
            "Operation cannot be fulfilled on {kind} \"{}\": the UID in the precondition ({asked}) does not match the \
             UID in record ({found}). The object might have been deleted and then recreated",
            key.name
        );
        Self::failure(409, "Conflict", &message, &json!({"name": key.name, "kind": kind}))
    }

    pub fn changed_meanwhile(key: &Key) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{}\": the object has been modified; please apply your changes to \
             the latest version and try again",
            key.resource.qualified(),
            key.name
        );
        Self::failure(409, "Conflict", &message, &details(key))
    }

    pub fn forbidden(request: &Request, user: &str) -> Self {
        let (resource, group) = (request.resource_text(), &request.group);
        let qualified = if group.is_empty() { request.plural.clone() } else { format!("{}.{group}", request.plural) };
        let is_named = !request.name.is_empty() && request.verb != "create";
        let object = if is_named { format!("{qualified} \"{}\"", request.name) } else { qualified };
        let place = if request.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", request.namespace)
        };
        let message = format!(
            "{object} is forbidden: User \"{user}\" cannot {} resource \"{resource}\" in API group \"{group}\" {place}",
            request.verb
        );
        let mut details = json!({"kind": request.plural});
        if is_named {
            details["name"] = json!(request.name);
        }
        if !group.is_empty() {
            details["group"] = json!(group);
        }
        Self::failure(403, "Forbidden", &message, &details)
    }

    pub fn bad_request(message: &str) -> Self {
        Self::failure(400, "BadRequest", message, &json!({}))
    }

    /// Deleted, and nothing had to be waited for.
    pub fn deleted(key: &Key, uid: &str) -> Self {
        let mut details = details(key);
        details["uid"] = json!(uid);
        let status =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
        Self::object(200, &status)
    }

    pub fn failure(status: u16, reason: &str, message: &str, details: &Value) -> Self {
        let failure = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "details": details, "code": status,
        });
        Self::object(status, &failure)
    }

    pub fn into_response(self) -> Response<Body> {
        let response = Response::builder().status(self.status).header(CONTENT_TYPE, self.content_type);
        response.body(Body::from(self.body)).unwrap()
    }
}

fn details(key: &Key) -> Value {
    let mut details = json!({"name": key.name, "kind": key.resource.plural});
    if !key.resource.group.is_empty() {
        details["group"] = json!(key.resource.group);
    }
    details
}

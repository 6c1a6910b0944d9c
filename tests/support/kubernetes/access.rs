//! Who asks, and what that identity may do: by rules as in Roles, which the reviews answer from and which are enforced
//! on request.

use serde_json::{Value, json};

use super::request::Request;

/// The identity behind the client, and its permissions.
#[derive(Debug, Clone)]
pub struct Access {
    pub user: String,
    /// Name and UID of the pod that the token was issued to.
    pub pod: Option<(String, String)>,
    /// Whether a request that no rule allows is refused. Reviews are answered from the rules either way.
    pub is_enforced: bool,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// None in a `ClusterRole` that is bound cluster-wide.
    namespace: Option<String>,
    /// As in a Role: `apiGroups`, `resources`, `resourceNames`, `verbs`.
    rule: Value,
}

impl Access {
    pub fn of(user: &str) -> Self {
        Self { user: user.to_owned(), pod: None, is_enforced: false, rules: Vec::new() }
    }

    /// Adds rules as a Role has them, in one namespace or, with None, everywhere.
    pub fn grant(&mut self, namespace: Option<&str>, rules: &Value) {
        let namespace = namespace.map(str::to_owned);
        for rule in rules.as_array().unwrap() {
            self.rules.push(Rule { namespace: namespace.clone(), rule: rule.clone() });
        }
    }

    /// Adds what the `Role`s and `ClusterRole`s among some manifests allow this user by their bindings.
    pub fn grant_manifests(&mut self, manifests: &[Value]) {
        let (namespace, name) = self.user.strip_prefix("system:serviceaccount:").unwrap().split_once(':').unwrap();
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        for binding in manifests {
            if !matches!(binding["kind"].as_str(), Some("RoleBinding" | "ClusterRoleBinding")) {
                continue;
            }
            let subjects = binding["subjects"].as_array().cloned().unwrap_or_default();
            if !subjects.iter().any(|subject| subject["name"] == *name && subject["namespace"] == *namespace) {
                continue;
            }
            let place = binding["metadata"]["namespace"].as_str();
            let reference = &binding["roleRef"];
            let is_it = |role: &&Value| {
                role["kind"] == reference["kind"]
                    && role["metadata"]["name"] == reference["name"]
                    && (role["kind"] == "ClusterRole" || role["metadata"]["namespace"].as_str() == place)
            };
            let role = manifests.iter().find(is_it).unwrap_or_else(|| panic!("no role for {binding}"));
            self.grant(place.filter(|_| binding["kind"] == "RoleBinding"), &role["rules"].clone());
        }
    }

    pub fn allows_request(&self, request: &Request) -> bool {
        if !self.is_enforced || request.group.starts_with("auth") {
            return true;
        }
        // The name of what is created is not known to the authorizer; a collection is named by its field selector.
        let name = match request.verb {
            "create" => None,
            "list" | "watch" if request.name.is_empty() => request.selected_name(),
            _ => Some(request.name.as_str()).filter(|name| !name.is_empty()),
        };
        let namespace = Some(request.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        self.allows(request.verb, &request.group, &request.resource_text(), namespace, name)
    }

    /// The answer to a review of one of the `authorization.k8s.io` or `authentication.k8s.io` kinds; None for others.
    pub fn review(&self, request: &Request) -> Option<Value> {
        let mut review = json!({"metadata": {}, "spec": request.body["spec"]});
        (review["kind"], review["status"]) = match request.plural.as_str() {
            "selfsubjectaccessreviews" => (json!("SelfSubjectAccessReview"), self.access(&request.body["spec"])),
            "selfsubjectrulesreviews" => {
                (json!("SelfSubjectRulesReview"), self.rules_in(request.body["spec"]["namespace"].as_str().unwrap()))
            }
            "selfsubjectreviews" => (json!("SelfSubjectReview"), self.identity()),
            _ => return None,
        };
        review["apiVersion"] = json!(format!("{}/v1", request.group));
        if review["spec"].is_null() {
            review.as_object_mut().unwrap().remove("spec");
        }
        Some(review)
    }

    fn access(&self, spec: &Value) -> Value {
        let attributes = &spec["resourceAttributes"];
        let text = |field: &str| attributes[field].as_str().filter(|text| !text.is_empty());
        let resource = match text("subresource") {
            Some(subresource) => format!("{}/{subresource}", text("resource").unwrap_or("*")),
            None => text("resource").unwrap_or("*").to_owned(),
        };
        let group = text("group").unwrap_or_default();
        let allowed = self.allows(text("verb").unwrap(), group, &resource, text("namespace"), text("name"));
        json!({"allowed": allowed})
    }

    fn rules_in(&self, namespace: &str) -> Value {
        let everyone = [
            json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
                "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}),
            json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}),
        ];
        let own = self.rules.iter().filter(|rule| rule.is_in(Some(namespace))).map(|rule| rule.rule.clone());
        let rules: Vec<Value> = everyone.into_iter().chain(own).collect();
        json!({"resourceRules": rules, "nonResourceRules": [], "incomplete": false})
    }

    fn identity(&self) -> Value {
        let mut user = json!({"username": self.user, "groups": ["system:authenticated"]});
        if let Some((name, uid)) = &self.pod {
            user["extra"] = json!({
                "authentication.kubernetes.io/pod-name": [name],
                "authentication.kubernetes.io/pod-uid": [uid],
            });
        }
        json!({"userInfo": user})
    }

    fn allows(&self, verb: &str, group: &str, resource: &str, namespace: Option<&str>, name: Option<&str>) -> bool {
        self.rules.iter().any(|rule| rule.is_in(namespace) && rule.allows(verb, group, resource, name))
    }
}

impl Rule {
    fn is_in(&self, namespace: Option<&str>) -> bool {
        self.namespace.is_none() || self.namespace.as_deref() == namespace
    }

    fn allows(&self, verb: &str, group: &str, resource: &str, name: Option<&str>) -> bool {
        let has = |field: &str, wanted: &str| {
            let listed = self.rule[field].as_array().into_iter().flatten();
            listed.into_iter().any(|one| one == wanted || one == "*")
        };
        let names = self.rule["resourceNames"].as_array().filter(|names| !names.is_empty());
        has("verbs", verb)
            && has("apiGroups", group)
            && has("resources", resource)
            && names.is_none_or(|names| name.is_some_and(|name| names.iter().any(|one| one == name)))
    }
}

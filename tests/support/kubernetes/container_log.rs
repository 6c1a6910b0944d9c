//! What a container has said, and when it cannot be asked yet.

use serde_json::Value;

use super::State;
use super::answer::Answer;
use super::objects::is_leaving;
use super::request::Request;
use super::resource::Key;

impl State {
    pub(super) fn log(&self, request: &Request) -> Answer {
        let key = Key::new("Pod", &request.namespace, &request.name);
        let Some(pod) = self.objects.get(&key) else { return Answer::absent(&key) };
        let name = &request.name;
        let names = |field: &str| -> Vec<String> {
            let containers = pod["spec"][field].as_array().into_iter().flatten();
            containers.filter_map(|container| container["name"].as_str().map(str::to_owned)).collect()
        };
        let containers = names("containers");
        let asked = request.query.get("container").map(String::as_str);
        let container = match asked {
            Some(asked) => asked,
            None if containers.len() == 1 => containers[0].as_str(),
            None => {
                let choice = containers.join(" ");
                return Answer::bad_request(&format!(
                    "a container name must be specified for pod {name}, choose one of: [{choice}]"
                ));
            }
        };
        if !containers.iter().chain(&names("initContainers")).any(|known| known == container) {
            return Answer::bad_request(&format!("container {container} is not valid for pod {name}"));
        }
        let statuses = ["containerStatuses", "initContainerStatuses"].map(|field| &pod["status"][field]);
        let mut statuses = statuses.into_iter().filter_map(Value::as_array).flatten();
        let waiting = statuses.find(|status| status["name"] == container).map(|status| &status["state"]["waiting"]);
        let reason = match waiting {
            None => Some("ContainerCreating"),
            Some(waiting) if waiting.is_null() => None,
            Some(waiting) => Some(waiting["reason"].as_str().unwrap_or("ContainerCreating")),
        };
        if let Some(reason) = reason.filter(|_| !is_leaving(pod)) {
            return Answer::bad_request(&format!(
                "container \"{container}\" in pod \"{name}\" is waiting to start: {reason}"
            ));
        }
        let said = self.controllers.log(&request.namespace, name, container);
        let wanted = request.query.get("tailLines").and_then(|lines| lines.parse().ok()).unwrap_or(usize::MAX);
        let skipped = said.lines().count().saturating_sub(wanted);
        let mut text: String = said.lines().skip(skipped).flat_map(|line| [line, "\n"]).collect();
        if let Some(limit) = request.query.get("limitBytes").and_then(|bytes| bytes.parse().ok())
            && text.len() > limit
        {
            text.truncate(text.floor_char_boundary(limit));
        }
        Answer::text(200, text)
    }

    /// What the followed container has said so far.
    pub(super) fn said(&self, request: &Request) -> &str {
        let container = request.query.get("container").cloned().unwrap_or_else(|| {
            let pod = self.objects.get(&Key::new("Pod", &request.namespace, &request.name));
            let first = pod.and_then(|pod| pod["spec"]["containers"][0]["name"].as_str());
            first.unwrap_or_default().to_owned()
        });
        self.controllers.log(&request.namespace, &request.name, &container)
    }
}

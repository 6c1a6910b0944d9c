//! How a request is answered: noted, perhaps made to fail, checked against the rules, carried out.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use kube::client::Body as Asking;
use s3s::Body;
use s3s::dto::StreamingBlob;
use serde_json::Value;

use super::answer::Answer;
use super::request::Request;
use super::resource::Key;
use super::{Api, Asked, Fault, UNDER_WAY};

/// A watch or a followed log looks this often for something new.
const LOOK: Duration = Duration::from_millis(10);
impl Api {
    pub(super) async fn serve(&self, request: http::Request<Asking>) -> Result<Response<Body>, io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap_or_else(|_| Bytes::new());
        let request = Request::read(&parts, &body);
        if request.verb == "watch" {
            return Ok(self.watch(request));
        }
        if request.subresource.as_deref() == Some("log") && request.asks_for("follow") {
            return Ok(self.follow(request));
        }
        self.answer(&request).await.map(Answer::into_response)
    }

    async fn answer(&self, request: &Request) -> Result<Answer, io::Error> {
        let (fault, call) = {
            let mut state = self.state();
            state.asked.push(Asked { verb: request.verb, path: request.path.clone() });
            let number = state.asked.len();
            let is_gone = state.is_gone_from.is_some_and(|from| number >= from);
            let fault = if is_gone { Some(Fault::Unreachable) } else { state.faults.get(&number).copied() };
            (fault, state.calls.remove(&number))
        };
        if let Some(call) = call {
            call();
            tokio::time::sleep(UNDER_WAY).await;
        }
        match fault {
            Some(Fault::Refused) => Ok(Answer::forbidden(request, &self.state().access.user)),
            Some(Fault::Unreachable) => Err(io::ErrorKind::ConnectionRefused.into()),
            Some(Fault::AnswerLost) => {
                self.state().answer(request);
                Err(io::ErrorKind::ConnectionReset.into())
            }
            None => Ok(self.state().answer(request)),
        }
    }

    /// What is there, unless the client knows it already; then every change, until the watch's life ends.
    fn watch(&self, request: Request) -> Response<Body> {
        if let Some(refusal) = self.state().refusal(&request) {
            return refusal.into_response();
        }
        let known = request.query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        let end = Instant::now() + self.state().watch_life;
        streamed(self.clone(), known, move |api, known| {
            let (documents, version) = api.state().changes(&request, *known);
            *known = version;
            let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
            let text = if lines.is_empty() { String::new() } else { lines.join("\n") + "\n" };
            (text, Instant::now() >= end)
        })
    }

    /// What the container says, until it has ended or is gone.
    fn follow(&self, request: Request) -> Response<Body> {
        let answer = {
            let state = self.state();
            state.refusal(&request).unwrap_or_else(|| state.log(&request))
        };
        if answer.status != 200 {
            return answer.into_response();
        }
        let pod = Key::new("Pod", &request.namespace, &request.name);
        streamed(self.clone(), 0, move |api, told: &mut usize| {
            let state = api.state();
            let is_running = state.objects.get(&pod).is_some_and(|pod| pod["status"]["phase"] == "Running");
            let said = state.said(&request);
            let text = said[*told..].to_owned();
            *told = said.len();
            (text, !is_running)
        })
    }
}

/// A body that goes on until `look` says that it has ended, with what `look` finds new each time.
fn streamed<T: Send + Sync + 'static>(
    api: Api,
    known: T,
    look: impl Fn(&Api, &mut T) -> (String, bool) + Send + Sync + 'static,
) -> Response<Body> {
    let stream =
        futures_util::stream::unfold((api, known, look, false), |(api, mut known, look, has_ended)| async move {
            if has_ended {
                return None;
            }
            loop {
                let (text, ends) = look(&api, &mut known);
                if ends || !text.is_empty() {
                    return Some((Ok::<_, io::Error>(Bytes::from(text)), (api, known, look, ends)));
                }
                tokio::time::sleep(LOOK).await;
            }
        });
    Response::new(StreamingBlob::wrap(stream).into())
}

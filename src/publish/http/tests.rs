use secrecy::SecretString;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::plan::SecretPlace;

/// A service at `address` that is talked to with a token.
fn service(address: &str) -> Service {
    let client = Client::builder().redirect(redirect::Policy::none()).timeout(Duration::from_secs(2)).build().unwrap();
    let token = Right::Bearer(SecretString::from("hunter2"));
    Service { client, base: parse_address(address).unwrap(), is_secret: false, authorization: Some(token) }
}

async fn get(service: &Service, repeat: Repeat) -> Result<Answer, SendError> {
    service.send("ask for a thing", repeat, |client| client.get(service.url(&["thing"]))).await
}

/// The answers one after another; the last one for ever.
async fn answering(statuses: &'static [u16]) -> MockServer {
    let server = MockServer::start().await;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let answer = move |_: &Request| {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst).min(statuses.len() - 1);
        ResponseTemplate::new(statuses[number])
            .insert_header("Retry-After", "0")
            .set_body_string("{\"message\":\"so\"}")
    };
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn it_is_asked_again_only_where_that_may_help_and_does_no_harm() {
    for (statuses, repeat, expected, requests) in [
        (&[200][..], Repeat::Unsafe, Ok(()), 1),
        (&[429, 429, 200], Repeat::Unsafe, Ok(()), 3),
        (&[503, 200], Repeat::Unsafe, Err(SendErrorKind::Lost), 1),
        (&[502, 200], Repeat::Safe, Ok(()), 2),
        (&[502, 200], Repeat::Unsafe, Err(SendErrorKind::Lost), 1),
        (&[503], Repeat::Safe, Err(SendErrorKind::Lost), ATTEMPTS),
        (&[422], Repeat::Safe, Err(SendErrorKind::Refused(StatusCode::UNPROCESSABLE_ENTITY)), 1),
        (&[302], Repeat::Safe, Err(SendErrorKind::Refused(StatusCode::FOUND)), 1),
    ] {
        let server = answering(statuses).await;
        let answer = get(&service(&server.uri()), repeat).await;
        assert_eq!(answer.map(|_| ()).map_err(|error| error.kind), expected, "{statuses:?}");
        assert_eq!(server.received_requests().await.unwrap().len(), requests, "{statuses:?}");
    }
}

#[tokio::test]
async fn a_token_does_not_follow_to_another_host() {
    let elsewhere = MockServer::start().await;
    let server = MockServer::start().await;
    let redirect = ResponseTemplate::new(307).insert_header("Location", elsewhere.uri().as_str());
    Mock::given(path("/thing"))
        .and(header("Authorization", "Bearer hunter2"))
        .respond_with(redirect)
        .mount(&server)
        .await;
    let error = get(&service(&server.uri()), Repeat::Safe).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::TEMPORARY_REDIRECT));
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_there_is_not_the_same_as_an_answer_that_was_lost() {
    let error = get(&service("http://127.0.0.1:1"), Repeat::Unsafe).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unreachable, "{error}");
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(1)))
        .mount(&server)
        .await;
    let error = get(&service(&server.uri()), Repeat::Unsafe).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Lost, "{error}");
}

#[tokio::test]
async fn an_error_says_what_the_service_said_in_one_line_and_no_secret() {
    for (body, expected) in [
        ("{\"message\":\"no\\nsuch thing\"}", "127.0.0.1 answered 404 Not Found: no such thing"),
        ("<html><body>Bad Gateway</body></html>", "127.0.0.1 answered 404 Not Found"),
        ("", "127.0.0.1 answered 404 Not Found"),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(404).set_body_string(body)).mount(&server).await;
        let address = server.uri();
        let error = get(&service(&format!("{address}/secret-path")), Repeat::Safe).await.unwrap_err().to_string();
        let port = server.address().port();
        assert_eq!(error.replace(&format!(":{port}"), ""), format!("ask for a thing: {expected}"));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; ANSWER_BYTES + 1]))
        .mount(&server)
        .await;
    let error = get(&service(&server.uri()), Repeat::Unsafe).await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[test]
fn what_is_missing_here_is_said_before_anything_is_sent() {
    let endpoint = |address, authorization| Endpoint { address, authorization, authority: None };
    let url = || Address::Known(parse_address("https://forge.example").unwrap());
    let token = Some(Authorization::Bearer(SecretPlace::File("/nowhere/token".into())));
    let secret = Address::Secret(SecretPlace::Variable("WALPROOF_NO_SUCH_VARIABLE".to_owned()));
    for (endpoint, expected) in [
        (endpoint(url(), token), "prepare to talk to forge.example: the file /nowhere/token cannot be read"),
        (endpoint(secret, None), "prepare to talk to the webhook: the environment variable WALPROOF_NO_SUCH_VARIABLE"),
    ] {
        let error = Service::new(&endpoint).err().unwrap();
        assert_eq!(error.kind, SendErrorKind::Unready);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn what_stands_below_an_address_is_escaped_segment_by_segment() {
    for (base, expected) in [
        ("https://forge", "https://forge/a%2Fb/%3Fc"),
        ("https://forge/", "https://forge/a%2Fb/%3Fc"),
        ("https://forge/below", "https://forge/below/a%2Fb/%3Fc"),
    ] {
        assert_eq!(service(base).url(&["a/b", "?c"]).as_str(), expected);
    }
}

use super::*;
use crate::config::Config;
use crate::plan::{Plan, Secrets};

const SOURCE: &str = "\
sources:
- name: app
  archive: {s3: {url: s3://wal, serverName: app, region: eu-west-1, credentials: ambient}}
";

fn plan(rest: &str) -> Result<Plan, String> {
    let config =
        Config::parse(&format!("{SOURCE}{rest}\n"), "walproof.yaml").map_err(|mistakes| mistakes.to_string())?;
    Plan::for_source(&config, None, Secrets::Read).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn nobody_is_told_unless_the_configuration_names_somebody() {
    let plan = plan("").unwrap();
    assert!(plan.history.is_none());
    assert!(plan.publish.pushgateway.is_none() && plan.publish.forgejo.is_none() && plan.publish.webhook.is_none());
}

#[test]
fn a_forgejo_is_told_of_every_drill_in_an_issue_of_its_own_unless_told_otherwise() {
    let forgejo = |rest: &str| {
        let text = format!("publish: {{forgejo: {{url: https://forge, repository: ops/evidence, tokenEnv: T{rest}}}}}");
        plan(&text).unwrap().publish.forgejo.unwrap()
    };
    let least = forgejo("");
    assert_eq!((least.owner.as_str(), least.repository.as_str()), ("ops", "evidence"));
    assert_eq!((least.issue, least.comment, least.close_on_recovery), (Issue::Tracking, Comment::Always, true));
    assert!(least.mention.is_empty() && !least.show_output);
    let given = forgejo(", issue: {number: 297}, comment: changes, closeOnRecovery: false, mention: [oncall]");
    assert_eq!((given.issue, given.comment, given.close_on_recovery), (Issue::Number(297), Comment::Changes, false));
    assert_eq!(given.mention, ["oncall"]);
}

#[test]
fn a_secret_that_is_missing_keeps_no_plan_from_being_made() {
    let plan =
        plan("publish: {webhook: {urlFile: /nowhere/url, authorization: {bearer: {tokenFile: /nowhere/token}}}}");
    let Endpoint { address: Address::Secret(place), .. } = plan.unwrap().publish.webhook.unwrap() else {
        panic!("the URL is a secret")
    };
    assert!(place.read().unwrap_err().starts_with("the file /nowhere/url cannot be read"));
}

#[test]
fn a_secret_has_no_line_break_at_its_end_and_is_not_empty() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    for (content, expected) in
        [("abc\n", Some("abc")), ("abc\r\n", Some("abc")), (" abc ", Some(" abc ")), ("\n", None)]
    {
        std::fs::write(&file, content).unwrap();
        let read = SecretPlace::File(file.clone()).read();
        assert_eq!(read.as_ref().ok().map(secrecy::ExposeSecret::expose_secret), expected, "{content:?}");
    }
}

#[test]
fn every_mistake_is_named_with_its_place() {
    for (text, expected) in [
        ("history: {directory: \"\"}", "`directory` is empty"),
        ("history: {configMaps: {namespace: a/b}}", "`namespace`: `a/b` must be"),
        ("publish: {pushgateway: {url: \"ftp://gateway\"}}", "4:30: `url` must begin with http:// or https://"),
        ("publish: {pushgateway: {url: \"gateway\"}}", "`url` is no URL"),
        ("publish: {pushgateway: {url: \"http://me:secret@gateway\"}}", "must not hold a user or password"),
        ("publish: {webhook: {}}", "`webhook` needs a `url` or a `urlFile`"),
        ("publish: {webhook: {url: \"http://a\", urlFile: /b}}", "exclude each other"),
        (
            "publish: {webhook: {url: \"http://a\", authorization: {bearer: {}}}}",
            "missing key `tokenFile` or `tokenEnv`",
        ),
        (
            "publish: {webhook: {url: \"http://a\", authorization: {basic: {user: \"\", passwordEnv: P}}}}",
            "`user` is empty",
        ),
        ("publish: {forgejo: {url: \"http://a\", repository: evidence, tokenEnv: T}}", "must be written `owner/name`"),
        ("publish: {forgejo: {url: \"http://a\", repository: a/b}}", "missing key `tokenFile` or `tokenEnv`"),
        ("publish: {forgejo: {url: \"http://a\", repository: a/b, tokenEnv: \"A=B\"}}", "the name of an environment"),
        ("publish: {forgejo: {url: \"http://a\", repository: a/b, tokenEnv: T, mention: [\"@all\"]}}", "without `@`"),
        ("publish: {forgejo: {url: \"http://a\", repository: a/b, tokenEnv: T, issue: {number: 0}}}", "must not be 0"),
        ("publish: {forgejo: {url: \"http://a\", repository: a/b, token: abc}}", "unknown key `token`"),
    ] {
        let found = plan(text).expect_err(text);
        assert!(found.contains(expected), "{text}: {found}");
        assert!(!found.contains("secret@"), "{found}");
    }
}

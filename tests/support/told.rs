//! What is told in the tests of `publish::forgejo`: to whom, and which reports.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use walproof::plan::{Address, Authorization, Comment, Endpoint, Forgejo, Issue, SecretPlace, parse_address};
use walproof::report::Report;
use walproof::verdict::Verdict;

/// A repository on the Forgejo at `url`, told of always, on tracking issues. The token is read from the file.
pub fn forgejo(url: &str, repository: &str, token_file: &std::path::Path) -> Forgejo {
    let (owner, name) = repository.split_once('/').unwrap();
    Forgejo {
        endpoint: Endpoint {
            address: Address::Known(parse_address(url).unwrap()),
            authorization: Some(Authorization::Bearer(SecretPlace::File(token_file.to_owned()))),
            authority: None,
        },
        owner: owner.to_owned(),
        repository: name.to_owned(),
        issue: Issue::Tracking,
        comment: Comment::Always,
        close_on_recovery: true,
        mention: Vec::new(),
        show_output: false,
    }
}

/// The drill of one night that just ended, with a finding that says why.
pub fn drill(night: u32, verdict: Verdict) -> Report {
    let (outcome, blame) = match verdict {
        Verdict::Pass => ("passed", None),
        Verdict::Fail => ("failed", Some("backups")),
        Verdict::Inconclusive => ("failed", Some("environment")),
    };
    let started_at = Timestamp::now() - SignedDuration::from_mins(5) + SignedDuration::from_secs(i64::from(night));
    serde_json::from_value(json!({
        "schema_version": 1, "walproof_version": "0.1.0", "command": "drill", "verdict": verdict,
        "run_id": format!("night-{night}"), "source": "pal-e-postgres", "namespace": "postgres",
        "archive": "s3://postgres-wal/pal-e-postgres", "started_at": started_at, "finished_at": started_at,
        "undecided": if verdict == Verdict::Inconclusive { vec!["server.up"] } else { vec![] },
        "findings": [{
            "code": "server.up", "outcome": outcome, "blame": blame, "summary": "the restored server",
            "object": "x | <script>alert(1)</script> @walproof-bot #1 [a](javascript:x) ``` ",
            "observed": "x | <script>alert(1)</script> @walproof-bot #1 [a](javascript:x) ``` https://example.org",
        }],
    }))
    .unwrap()
}

//! The way to the object store: names, keys, network. None of it says anything about the backups.

use std::net::TcpListener;

use serde_json::json;

use crate::support::prepared::SERVER;
use crate::support::walproof::{ACCESS_KEY_VARIABLE, SECRET_KEY_VARIABLE};
use crate::support::{Fault, Operation, Prepared};
use crate::{Trial, assert_fails, assert_passes, assert_says};

#[test]
fn a_wrong_bucket_is_the_environments_fault_and_says_so() {
    let trial = Trial::new().set("/sources/0/archive/s3/url", json!("s3://no-such-bucket/"));
    for outcome in [trial.check(), trial.drill()] {
        let unreadable = assert_fails(&outcome, "archive.unreadable", "environment");
        assert_says(&unreadable, "observed", "NoSuchBucket");
        assert_says(&unreadable, "hint", "`archive.s3.url`");
    }
}

#[test]
fn a_wrong_server_name_names_its_neighbours() {
    let trial = Trial::new().set("/sources/0/archive/s3/serverName", json!("pal-e-postgre"));
    for outcome in [trial.check(), trial.drill()] {
        let empty = assert_fails(&outcome, "archive.empty", "unknown");
        assert_says(&empty, "observed", SERVER);
        assert_says(&empty, "hint", "`archive.s3.serverName`");
    }
}

#[test]
fn a_wrong_prefix_is_no_loss() {
    let trial = Trial::new().set("/sources/0/archive/s3/url", json!("s3://backups/elsewhere/"));
    let empty = assert_fails(&trial.check(), "archive.empty", "unknown");
    assert_says(&empty, "hint", "`archive.s3.url`");
}

#[test]
fn a_wrong_key_is_the_environments_fault_and_is_not_shown() {
    for variable in [ACCESS_KEY_VARIABLE, SECRET_KEY_VARIABLE] {
        let mut trial = Trial::new();
        trial.walproof = trial.walproof.environment(variable, "wrong-and-secret");
        let outcome = trial.check();
        let unreadable = assert_fails(&outcome, "archive.unreadable", "environment");
        assert_says(&unreadable, "hint", "`archive.s3.credentials`");
        assert!(!outcome.to_string().contains("wrong-and-secret"), "{outcome}");
    }
}

#[test]
fn a_key_that_may_not_list_proves_nothing() {
    let trial = Trial::new();
    trial.s3.fail(Operation::List, "", Fault::Refuse("AccessDenied"), usize::MAX);
    for outcome in [trial.check(), trial.drill()] {
        let unreadable = assert_fails(&outcome, "archive.unreadable", "environment");
        assert_says(&unreadable, "observed", "AccessDenied");
        assert_says(&unreadable, "hint", "s3:ListBucket");
    }
}

#[test]
fn a_key_that_may_list_and_not_read_proves_nothing() {
    let trial = Trial::new();
    trial.s3.fail(Operation::Get, "", Fault::Refuse("AccessDenied"), usize::MAX);
    for outcome in [trial.check(), trial.drill()] {
        let unreadable = assert_fails(&outcome, "archive.unreadable", "environment");
        assert_says(&unreadable, "hint", "s3:GetObject");
    }
}

#[test]
fn an_endpoint_that_is_down_is_the_environments_fault() {
    // Taken and given back, so that nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let trial = Trial::new().set("/sources/0/archive/s3/endpoint", json!(format!("http://127.0.0.1:{port}")));
    let unreadable = assert_fails(&trial.drill(), "archive.unreadable", "environment");
    assert_says(&unreadable, "observed", "refused");
    assert_says(&unreadable, "hint", "`archive.s3.endpoint`");
}

#[test]
fn an_endpoint_that_speaks_no_tls_is_the_environments_fault() {
    let trial = Trial::new();
    let endpoint = trial.s3.endpoint().replace("http://", "https://");
    let trial = trial.set("/sources/0/archive/s3/endpoint", json!(endpoint));
    let unreadable = assert_fails(&trial.check(), "archive.unreadable", "environment");
    assert_says(&unreadable, "hint", "TLS");
}

#[test]
fn a_store_that_stumbles_now_and_then_is_asked_again() {
    let trial = Trial::new();
    let segment = &Prepared::get().baseline_segment;
    trial.s3.fail(Operation::List, "wals/", Fault::Refuse("InternalError"), 1);
    trial.s3.fail(Operation::Get, "backup.info", Fault::Refuse("SlowDown"), 1);
    trial.s3.fail(Operation::Get, &trial.data(), Fault::CutAfter(100_000), 1);
    trial.s3.fail(Operation::Get, segment, Fault::CutAfter(10_000), 2);
    assert_passes(&trial.drill());
    let data = trial.data();
    let of_data = trial.s3.requests().iter().filter(|(_, key)| *key == data).count();
    assert!(of_data >= 2, "the cut was resumed: {:?}", trial.s3.requests());
}

#[test]
fn a_base_backup_whose_connection_is_always_cut_proves_nothing() {
    let trial = Trial::new();
    trial.s3.fail(Operation::Get, &trial.data(), Fault::CutAfter(1000), usize::MAX);
    let unreadable = assert_fails(&trial.drill(), "archive.unreadable", "environment");
    assert_says(&unreadable, "observed", "data.tar.gz");
    assert!(trial.s3.count(Operation::Get) < 60, "{} requests", trial.s3.count(Operation::Get));
}

#[test]
fn a_segment_whose_connection_is_always_cut_proves_nothing() {
    let trial = Trial::new();
    let segment = &Prepared::get().baseline_segment;
    // Its head is read once, before anything is restored.
    trial.s3.fail_later(Operation::Get, segment, 1, Fault::CutAfter(1000));
    let unreadable = assert_fails(&trial.drill(), "archive.unreadable", "environment");
    assert_says(&unreadable, "summary", segment);
    assert!(trial.s3.count(Operation::Get) < 60, "{} requests", trial.s3.count(Operation::Get));
}

#[test]
fn an_object_in_cold_storage_cannot_bring_anything_back() {
    let trial = Trial::new();
    trial.s3.fail(Operation::Get, &trial.data(), Fault::Refuse("InvalidObjectState"), usize::MAX);
    let frozen = assert_fails(&trial.drill(), "archive.unreadable", "backups");
    assert_says(&frozen, "hint", "storage class");

    trial.s3.heal();
    let segment = &Prepared::get().baseline_segment;
    trial.s3.fail(Operation::Get, segment, Fault::Refuse("InvalidObjectState"), usize::MAX);
    let frozen = assert_fails(&trial.drill(), "wal.segment_damaged", "backups");
    assert_says(&frozen, "hint", "storage class");
}

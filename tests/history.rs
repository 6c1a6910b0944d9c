//! A history is changed by whole changes only: runs that write at once, are killed, or meet a damaged document, a full
//! disk or a lost answer, lose nothing of each other.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::kubernetes::{Api, Asked, Fault, Key, POD, RELEASE};
use walproof::history::changes::Origin;
use walproof::history::store::{HistoryError, Store};
use walproof::history::{Channel, History, PastRun, config_map, document};
use walproof::kubernetes::{Kubernetes, holder};
use walproof::plan;
use walproof::report::Report;
use walproof::run::is_run_id;
use walproof::verdict::{Subject, Verdict};

const NAME: &str = "walproof-history-app";

fn at(hour: i64) -> Timestamp {
    "2026-11-21T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour)
}

fn run(hour: i64, number: u32) -> PastRun {
    let run_id = format!("{}-{number:06x}", at(hour).strftime("%Y%m%dt%H%M%Sz"));
    assert!(is_run_id(&run_id));
    let ends_by = at(hour) + SignedDuration::from_hours(5);
    PastRun { run_id, command: Subject::Drill, started_at: at(hour), holder: None, ends_by, ending: None }
}

fn report(run: &PastRun) -> Report {
    let text = std::fs::read_to_string(support::repository().join("tests/fixtures/report-v1.json")).unwrap();
    let finished_at = run.started_at + SignedDuration::from_mins(9);
    Report {
        run_id: run.run_id.clone(),
        started_at: run.started_at,
        finished_at,
        source: "app".to_owned(),
        ..serde_json::from_str(&text).unwrap()
    }
}

fn origin() -> Origin {
    Origin { source: "app".to_owned(), namespace: None, archive: "s3://wal/app".to_owned() }
}

fn in_directory(directory: &Path) -> Store {
    Store::open("app", &plan::History::Directory(directory.to_owned()), None).unwrap()
}

/// Everything of one run: its beginning, its end, and that somebody was told.
async fn whole_run(store: &Store, number: u32) -> Result<(), HistoryError> {
    let run = run(1, number);
    let begun = store.begin(run.clone(), &origin(), &[Channel::Forgejo], at(2)).await?;
    assert_eq!(begun.closed, [], "a living run was taken for killed");
    let tables = BTreeMap::from([("app.public.notes".to_owned(), u64::from(number))]);
    store.update(|history| history.finish(&report(&run), &tables, &[Channel::Forgejo, Channel::Webhook])).await?;
    let url = format!("https://forge/{number}");
    store.update(|history| history.delivered(&run.run_id, Channel::Forgejo, Some(&url))).await?;
    Ok(())
}

fn assert_all_there(history: &History, runs: u32) {
    assert_eq!(history.runs.len(), runs as usize);
    assert_eq!((history.drills.runs, history.drills.passed), (runs.into(), runs.into()));
    for number in 0..runs {
        let run_id = run(1, number).run_id;
        let ending = history.runs.iter().find(|run| run.run_id == run_id).unwrap().ending.as_ref().unwrap();
        assert_eq!(ending.comment_url, Some(format!("https://forge/{number}")));
        assert_eq!(
            (ending.undelivered.as_slice(), ending.tables["app.public.notes"]),
            ([Channel::Webhook].as_slice(), number.into())
        );
        assert!(history.reports.contains_key(&run_id));
    }
}

#[test]
fn runs_that_write_to_a_directory_at_once_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(whole_run(&in_directory(place), number)).unwrap();
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_all_there(&runtime.block_on(in_directory(place).read()).unwrap(), 8);
    assert_eq!(names(place), ["app.json.gz", "app.lock"], "no lock of a run is left");
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn reading_writes_nothing_and_an_absent_history_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let store = in_directory(&directory.path().join("state"));
    assert_eq!(store.read().await.unwrap(), History::of("app"));
    assert_eq!(names(directory.path()), Vec::<String>::new());
    store.update(|history| history.begin(run(1, 1))).await.unwrap();
    assert_eq!(store.read().await.unwrap().runs, [run(1, 1)]);
}

#[tokio::test]
async fn a_killed_run_is_closed_by_the_next_and_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = in_directory(directory.path());
    let begin = async |number: u32| store.begin(run(1, number), &origin(), &[Channel::Forgejo], at(2)).await.unwrap();
    let living = begin(1).await;
    let killed = begin(2).await;
    assert_eq!((living.closed.len(), killed.closed.len()), (0, 0));
    // A lock ends with its process.
    drop(killed.running);
    let next = begin(3).await;
    let closed: Vec<_> = next.closed.iter().map(|report| (report.run_id.clone(), report.verdict)).collect();
    assert_eq!(closed, [(run(1, 2).run_id, Verdict::Inconclusive)]);
    let owed: Vec<_> = next.history.undelivered().map(|(run, _)| run.run_id.clone()).collect();
    assert_eq!(owed, [run(1, 2).run_id]);
    assert!(next.history.runs.iter().any(|open| open.run_id == run(1, 1).run_id && open.ending.is_none()));
    assert_eq!(begin(4).await.closed.len(), 0, "it is closed once");
}

fn compressed(json: &Value) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json.to_string().as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_by_the_first_that_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = in_directory(directory.path());
    std::fs::write(directory.path().join("app.json.gz"), "scrambled").unwrap();
    assert_eq!(store.read().await.unwrap(), History::of("app"));
    assert_eq!(names(directory.path()), ["app.json.gz"], "a reader leaves it as it is");
    store.update(|history| history.begin(run(1, 1))).await.unwrap();
    let names = names(directory.path());
    let aside = names.iter().find(|name| name.starts_with("app.json.gz.damaged-")).unwrap();
    assert_eq!(std::fs::read_to_string(directory.path().join(aside)).unwrap(), "scrambled");
    assert_eq!(store.read().await.unwrap().runs.len(), 1);
}

#[tokio::test]
async fn a_history_of_a_newer_walproof_or_another_source_is_refused_and_left_alone() {
    let cases = [
        (json!({"schema_version": 2, "runs": "elsewhere"}), "schema version 2", "newer"),
        (json!({"schema_version": 1, "source": "App"}), "the source App", "a name of its own"),
    ];
    for (document, reason, hint) in cases {
        let directory = tempfile::tempdir().unwrap();
        let store = in_directory(directory.path());
        let file = directory.path().join("app.json.gz");
        std::fs::write(&file, compressed(&document)).unwrap();
        for error in
            [store.read().await.unwrap_err(), store.update(|history| history.begin(run(1, 1))).await.unwrap_err()]
        {
            assert!(error.to_string().contains(reason) && error.hint().contains(hint), "{error} {}", error.hint());
            assert!(error.to_string().starts_with(&format!("read the history {}", file.display())), "{error}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), compressed(&document));
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_the_history_stays_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = in_directory(directory.path());
    store.update(|history| history.begin(run(1, 1))).await.unwrap();
    let part: PathBuf = directory.path().join("app.json.gz.part");
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let error = store.update(|history| history.begin(run(1, 2))).await.unwrap_err();
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert!(error.hint().starts_with("make room in "), "{}", error.hint());
    assert_eq!(store.read().await.unwrap().runs, [run(1, 1)]);
    store.update(|history| history.begin(run(1, 2))).await.unwrap();
    assert_eq!(store.read().await.unwrap().runs.len(), 2);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_an_error_and_the_history_stays_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = in_directory(directory.path());
    store.update(|history| history.begin(run(1, 1))).await.unwrap();
    // Also for root, whom no mode stops.
    std::fs::create_dir(directory.path().join("app.json.gz.part")).unwrap();
    let error = store.update(|history| history.begin(run(1, 2))).await.unwrap_err();
    assert!(error.hint().starts_with("may walproof's user write in "), "{error} {}", error.hint());
    assert_eq!(store.read().await.unwrap().runs, [run(1, 1)]);

    let no_directory = in_directory(&directory.path().join("app.json.gz"));
    let error = no_directory.begin(run(1, 2), &origin(), &[], at(2)).await.err().unwrap();
    assert!(error.to_string().starts_with("hold a lock beside the history "), "{error}");
}

/// The API server with an empty `ConfigMap`, as the chart makes it.
fn cluster() -> Api {
    let api = Api::new();
    api.put(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": RELEASE,
        "labels": {"app.kubernetes.io/managed-by": "Helm"}}}));
    api
}

async fn in_config_map(api: &Api) -> Store {
    let kubernetes = Kubernetes::with_client(api.client()).await.unwrap();
    Store::open("app", &plan::History::ConfigMaps { namespace: None }, Some(&kubernetes)).unwrap()
}

fn key() -> Key {
    Key::new("ConfigMap", RELEASE, NAME)
}

#[tokio::test]
async fn runs_that_write_to_a_config_map_at_once_lose_nothing() {
    let api = cluster();
    let stores = futures_util::future::join_all((0..6).map(|_| in_config_map(&api))).await;
    let before = api.requests().len();
    let runs = (0..).zip(&stores).map(|(number, store)| whole_run(store, number));
    for result in futures_util::future::join_all(runs).await {
        result.unwrap();
    }
    assert_all_there(&stores[0].read().await.unwrap(), 6);
    assert_eq!(api.get(&key()).unwrap()["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    let path = format!("/api/v1/namespaces/{RELEASE}/configmaps/{NAME}");
    let asked = &api.requests()[before..];
    let is_expected = |asked: &&Asked| {
        matches!(asked.verb, "get" | "update") && asked.path == path
            || asked.verb == "get" && asked.path.contains("/pods/")
    };
    assert_eq!(asked.iter().find(|asked| !is_expected(asked)), None, "nothing else is asked");
    let updates = asked.iter().filter(|asked| asked.verb == "update").count();
    assert!(updates > 18, "no attempt met another: {updates} updates of 18 changes");
}

#[tokio::test]
async fn a_run_whose_pod_is_gone_is_closed_by_the_next() {
    let api = cluster();
    let killed = in_config_map(&api).await;
    let begun = killed.begin(run(1, 1), &origin(), &[], at(2)).await.unwrap();
    assert_eq!(begun.history.runs[0].holder.as_ref().map(|holder| holder.contains(POD)), Some(true));
    let still = killed.begin(run(1, 2), &origin(), &[], at(2)).await.unwrap();
    assert_eq!(still.closed, [], "its pod runs");

    api.remove(&Key::new("Pod", RELEASE, POD));
    api.enter_next_pod();
    let next = in_config_map(&api).await.begin(run(3, 3), &origin(), &[Channel::Webhook], at(3)).await.unwrap();
    let closed: Vec<_> = next.closed.iter().map(|report| report.run_id.clone()).collect();
    assert_eq!(closed, [run(1, 1).run_id, run(1, 2).run_id]);
    assert_eq!(next.history.undelivered().count(), 2);
    let open: Vec<_> = next.history.runs.iter().filter(|run| run.ending.is_none()).collect();
    assert_eq!(open.len(), 1);
    let kubernetes = Kubernetes::with_client(api.client()).await.unwrap();
    assert_eq!(open[0].holder, holder::holder(&kubernetes));
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_made_once() {
    let api = cluster();
    let store = in_config_map(&api).await;
    store.update(|history| history.begin(run(1, 1))).await.unwrap();
    // Of the next change, the read is answered, and the answer to the write is lost.
    api.fail_at(api.requests().len() + 2, Fault::AnswerLost);
    let (history, closed) =
        store.update(|history| history.close_killed(|_| Some(true), &origin(), &[], at(2)).len()).await.unwrap();
    assert_eq!((closed, history.drills.runs), (1, 1));
    assert_eq!(store.read().await.unwrap(), history);
    let updates = api.requests().iter().filter(|asked| asked.verb == "update").count();
    assert_eq!(updates, 2, "what was written is not written again");
}

#[tokio::test]
async fn a_request_that_never_arrives_is_asked_again_and_a_server_that_is_gone_is_an_error() {
    let api = cluster();
    let store = in_config_map(&api).await;
    for later in [1, 3] {
        api.fail_at(api.requests().len() + later, Fault::Unreachable);
    }
    store.update(|history| history.begin(run(1, 1))).await.unwrap();
    assert_eq!(store.read().await.unwrap().runs.len(), 1);
    api.vanish_at(api.requests().len() + 1);
    let error = store.update(|history| history.begin(run(1, 2))).await.unwrap_err();
    assert!(
        error.to_string().starts_with("write the history in the ConfigMap walproof/walproof-history-app: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_document_in_a_config_map_is_kept_beside_the_new_one() {
    let api = cluster();
    let mut object = api.get(&key()).unwrap();
    let scrambled = support::kubernetes::objects::base64(b"scrambled");
    object["binaryData"] = json!({config_map::KEY: scrambled});
    api.put(&object);
    let store = in_config_map(&api).await;
    assert_eq!(store.read().await.unwrap(), History::of("app"));
    store.update(|history| history.begin(run(1, 1))).await.unwrap();
    assert_eq!(api.get(&key()).unwrap()["binaryData"][config_map::DAMAGED_KEY], scrambled);
    assert_eq!(store.read().await.unwrap().runs.len(), 1);
}

#[tokio::test]
async fn what_is_missing_is_named_with_the_command_that_makes_it() {
    let api = Api::new();
    let store = in_config_map(&api).await;
    for error in [store.read().await.unwrap_err(), store.update(|_| ()).await.unwrap_err()] {
        assert!(
            error
                .to_string()
                .ends_with("the history in the ConfigMap walproof/walproof-history-app: there is no such ConfigMap"),
            "{error}"
        );
        assert!(error.hint().contains("kubectl create configmap walproof-history-app -n walproof"), "{}", error.hint());
    }
    let api = cluster();
    let store = in_config_map(&api).await;
    api.fail_at(api.requests().len() + 2, Fault::Refused);
    let error = store.update(|history| history.begin(run(1, 1))).await.unwrap_err();
    assert!(error.hint().contains("grant get and update on the ConfigMap walproof-history-app"), "{}", error.hint());
    assert_eq!(error.finding().code.as_str(), "history.unreadable");

    api.access(|access| access.pod = None);
    let kubernetes = Kubernetes::with_client(api.client()).await.unwrap();
    let place = plan::History::ConfigMaps { namespace: None };
    let outside = Store::open("app", &place, Some(&kubernetes)).err().unwrap();
    assert_eq!(outside.hint(), "set `history.configMaps.namespace`");
    assert!(Store::open("app", &place, None).is_err());
}

#[tokio::test]
async fn sources_whose_names_make_one_config_map_do_not_mix() {
    let api = cluster();
    in_config_map(&api).await.update(|history| history.begin(run(1, 1))).await.unwrap();
    let kubernetes = Kubernetes::with_client(api.client()).await.unwrap();
    let place = plan::History::ConfigMaps { namespace: Some(RELEASE.to_owned()) };
    let other = Store::open("App", &place, Some(&kubernetes)).unwrap();
    let error = other.update(|history| history.begin(run(1, 2))).await.unwrap_err();
    assert!(error.to_string().contains("it is the history of the source app"), "{error}");
    assert!(error.hint().starts_with("rename one of the two sources"), "{}", error.hint());
}

#[test]
fn the_same_history_gives_the_same_bytes() {
    let mut history = History::of("app");
    history.begin(run(1, 1));
    assert_eq!(document::write(&history).bytes, document::write(&history).bytes);
}

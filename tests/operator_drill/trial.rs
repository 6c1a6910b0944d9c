//! What all cases share: one archive in one store, one restored server, the permissions that docs/kubernetes grants,
//! and a fresh API server for each drill.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use walproof::config::Config;
use walproof::drill::progress::Progress;
use walproof::drill::{self, Options};
use walproof::finding::{Code, Finding};
use walproof::kubernetes::Kubernetes;
use walproof::plan::{Archive, Plan, Secrets};
use walproof::report::Report;
use walproof::run::Run;
use walproof::source::reach::Reach;

use super::support::kubernetes::{Api, Ending, Key, RestoredServer, SANDBOX, SOURCE, Source};
use super::support::prepared::SERVER;
use super::support::s3::{ACCESS_KEY, BUCKET, S3, SECRET_KEY};
use super::support::{ArchiveCopy, Prepared, repository};

/// So many drills are under way at once: most of the time each waits for its next look.
const AT_ONCE: usize = 64;

/// The archive, its store and the plan: one for all drills.
pub struct Site {
    _archive: ArchiveCopy,
    _files: TempDir,
    s3: S3,
    plan: Plan,
    permissions: Vec<Value>,
}

impl Site {
    pub fn get() -> &'static Self {
        static SITE: OnceLock<Site> = OnceLock::new();
        SITE.get_or_init(|| {
            let archive = ArchiveCopy::copy_of(Prepared::get());
            let s3 = archive.serve();
            let files = tempfile::tempdir().unwrap();
            let plan = plan(files.path(), &json!({"app": {"image": "shop:1", "command": ["check"], "limit": "30s"}}));
            Self { _archive: archive, _files: files, s3, plan, permissions: permissions() }
        })
    }

    /// The plan of all drills, to be changed by a case of its own.
    pub fn plan(&self) -> Plan {
        self.plan.clone()
    }
}

/// A cluster in which a drill passes: a healthy source, an operator that restores, a closed network, and the permissions
/// of docs/kubernetes, enforced. `steps` is how far each story goes on whenever it is looked at.
pub fn cluster(steps: usize) -> Api {
    cluster_of(steps, Source::objects)
}

/// The same with a source that archives through the Barman Cloud plugin.
pub fn plugin_cluster(steps: usize) -> Api {
    cluster_of(steps, Source::plugin_objects)
}

fn cluster_of(steps: usize, objects: fn(&Source) -> Vec<Value>) -> Api {
    let (site, prepared, restored) = (Site::get(), Prepared::get(), RestoredServer::of_prepared());
    let server = restored.server();
    let source = Source {
        endpoint: site.s3.endpoint().to_owned(),
        destination: format!("s3://{BUCKET}/"),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        backups: prepared.backups.clone(),
        major: server.major,
        system_identifier: prepared.system_identifier,
    };
    let api = Api::new();
    for object in objects(&source) {
        api.put(&object);
    }
    api.access(|access| {
        access.grant_manifests(&site.permissions);
        access.is_enforced = true;
    });
    api.controllers(|controllers| {
        controllers.pace = steps;
        controllers.server = Some(server);
        let log = "store open HTTP/1.1 403\nproduction timeout\nstray timeout\n".to_owned();
        controllers.endings.insert("-network".to_owned(), Ending { exit_code: 0, log });
    });
    api
}

/// One drill. None when not even the question who we are was answered: then nothing was begun.
pub async fn drill(api: &Api, plan: &Plan, cancel: &CancellationToken) -> Option<Report> {
    let kubernetes = Kubernetes::with_client(api.client()).await.ok()?;
    let Archive::FromCluster(from) = &plan.archive else { panic!("{:?}", plan.archive) };
    let reach = Reach::through(from, kubernetes).await;
    let options = Options { baseline: Some(Prepared::get().baseline()), ..Options::default() };
    let drilled = drill::run(plan, &reach, &options, &Run::begin(), &Arc::new(Progress::default()), cancel).await;
    Some(drilled.report)
}

/// One drill that nobody stops.
pub async fn drilled(api: &Api, plan: &Plan) -> Report {
    drill(api, plan, &CancellationToken::new()).await.expect("the API server says who we are")
}

/// Runs many cases at once, on as many threads as there are processors, and returns what they found wrong.
pub fn at_once<C, F>(cases: impl IntoIterator<Item = C>, run: impl Fn(C) -> F + Sync) -> Vec<String>
where
    C: Send,
    F: Future<Output = Option<String>>,
{
    // Made before many ask for it at once.
    cluster(1);
    let processors = std::thread::available_parallelism().unwrap().get();
    let mut shares: Vec<Vec<C>> = (0..processors).map(|_| Vec::new()).collect();
    for (index, case) in cases.into_iter().enumerate() {
        shares[index % processors].push(case);
    }
    let work = |share: Vec<C>| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let runs = futures_util::stream::iter(share.into_iter().map(&run)).buffer_unordered(AT_ONCE / processors);
        runtime.block_on(runs.filter_map(std::future::ready).collect::<Vec<_>>())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = shares.into_iter().map(|share| scope.spawn(|| work(share))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Runs one case.
pub fn alone<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run)
}

/// What exists in the sandbox's namespace when the controllers have done their work.
pub fn left(api: &Api) -> Vec<Key> {
    api.settle();
    api.objects(SANDBOX)
}

/// The request of this number, with `RUN` for the run's name; None when there were not so many.
pub fn asked(api: &Api, number: usize) -> Option<String> {
    let asked = api.requests().get(number - 1)?.to_string();
    let Some(start) = asked.find("/walproof-2") else { return Some(asked) };
    let (before, run) = asked.split_at(start + 1);
    Some(format!("{before}RUN{}", &run["walproof-20261121t124500z-a1b2c3".len()..]))
}

#[track_caller]
pub fn finding(report: &Report, code: Code) -> &Finding {
    let found = report.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {code:?} among {:#?}", report.findings))
}

/// Where a pod's identity may do what it asks: every manifest of docs/kubernetes that is not optional.
fn permissions() -> Vec<Value> {
    let directory = repository().join("docs/kubernetes");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let texts = texts.filter(|path| path.file_name().unwrap() != "configuration.yaml");
    texts.flat_map(|path| manifests(&std::fs::read_to_string(path).unwrap())).collect()
}

/// The documents of a YAML file.
pub fn manifests(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The configuration as a file would have it, `operator` merged into the sandbox's part.
fn plan(directory: &Path, operator: &Value) -> Plan {
    let (id, secret) = (directory.join("id"), directory.join("secret"));
    std::fs::write(&id, ACCESS_KEY).unwrap();
    std::fs::write(&secret, SECRET_KEY).unwrap();
    let mut sandbox = json!({"namespace": SANDBOX});
    for (name, value) in operator.as_object().unwrap() {
        sandbox[name] = value.clone();
    }
    let configuration = json!({
        "sources": [{
            "name": SERVER,
            "namespace": SOURCE,
            "archive": {"fromCluster": {"credentials": {"files": {"accessKeyId": id, "secretAccessKey": secret}}}},
        }],
        "sandbox": {"operator": sandbox},
    });
    let file = directory.join("walproof.yaml");
    std::fs::write(&file, serde_saphyr::to_string(&configuration).unwrap()).unwrap();
    let mut plan = Plan::for_source(&Config::read(&file).unwrap(), None, Secrets::Read).unwrap();
    plan.limits.drill = Duration::from_mins(3);
    // Hundreds of drills look into one restored server; one of them examines it inside.
    plan.limits.integrity = Duration::from_millis(1);
    plan
}

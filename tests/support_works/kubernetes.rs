//! The API server in memory behaves as the real one did when it was recorded.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectRulesReview};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, LogParams, Patch, PatchParams,
    PostParams, Preconditions, WatchEvent, WatchParams,
};
use kube::{Client, Error};
use serde_json::{Value, json};

use super::support::Prepared;
use super::support::kubernetes::{
    self, Ending, Fault, Key, POD, RELEASE, Restore, RestoredServer, SANDBOX, SOURCE, UNDER_WAY,
};
use super::support::process::run;

const RUN: &str = "walproof-20261121t124500z-a1b2c3";

fn configmap(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "walproof"}}}))
        .unwrap()
}

fn owned_by(owner: &ConfigMap, name: &str) -> ConfigMap {
    let mut dependant = configmap(name);
    dependant.metadata.owner_references = Some(vec![
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner.metadata.name,
            "uid": owner.metadata.uid}))
        .unwrap(),
    ]);
    dependant
}

fn clusters(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("postgresql.cnpg.io", "v1", "Cluster"));
    Api::namespaced_with(client.clone(), SANDBOX, &resource)
}

async fn create_cluster(client: &Client) -> DynamicObject {
    let cluster = serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": RUN},
        "spec": {"instances": 1, "imageName": "postgresql:17"},
    }));
    clusters(client).create(&PostParams::default(), &cluster.unwrap()).await.unwrap()
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String, String) {
    match result {
        Err(Error::Api(status)) => (status.code, status.reason, status.message),
        other => panic!("no answer of the API server's: {other:?}"),
    }
}

#[tokio::test]
async fn objects_are_made_found_selected_and_deleted_as_by_the_real_one() {
    let api = kubernetes::Api::new();
    let configmaps: Api<ConfigMap> = Api::namespaced(api.client(), SANDBOX);
    let made = configmaps.create(&PostParams::default(), &configmap("a")).await.unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some());

    assert_eq!(
        refusal(configmaps.create(&PostParams::default(), &configmap("a")).await),
        (409, "AlreadyExists".to_owned(), "configmaps \"a\" already exists".to_owned())
    );
    assert!(configmaps.get_opt("b").await.unwrap().is_none());
    assert_eq!(
        refusal(clusters(&api.client()).get("no").await),
        (404, "NotFound".to_owned(), "clusters.postgresql.cnpg.io \"no\" not found".to_owned())
    );
    let elsewhere: Api<ConfigMap> = Api::namespaced(api.client(), "absent");
    assert_eq!(
        refusal(elsewhere.create(&PostParams::default(), &configmap("a")).await).2,
        "namespaces \"absent\" not found"
    );

    let listed = async |parameters: ListParams| configmaps.list(&parameters).await.unwrap().items.len();
    let of_walproof = "app.kubernetes.io/managed-by=walproof";
    assert_eq!(listed(ListParams::default().labels(of_walproof).fields("metadata.name=a")).await, 1);
    assert_eq!(listed(ListParams::default().labels("app.kubernetes.io/managed-by in (helm,argo)")).await, 0);
    assert_eq!(listed(ListParams::default().labels("app.kubernetes.io/managed-by,!other")).await, 1);
    assert_eq!(listed(ListParams::default().fields("metadata.name!=a")).await, 0);

    let patch = Patch::Merge(json!({"data": {"until": "noon"}}));
    let patched = configmaps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.unwrap()["until"], "noon");
    let mut stale = made.clone();
    stale.data = None;
    assert_eq!(refusal(configmaps.replace("a", &PostParams::default(), &stale).await).0, 409);

    let other = Preconditions { uid: Some("11111111".to_owned()), resource_version: None };
    let guarded = DeleteParams { preconditions: Some(other), ..DeleteParams::default() };
    assert_eq!(refusal(configmaps.delete("a", &guarded).await).1, "Conflict");
    let gone = configmaps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(gone.is_right(), "a Status, because nothing holds the object: {gone:?}");
    assert_eq!(refusal(configmaps.delete("a", &DeleteParams::default()).await).0, 404);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    configmaps.create(&dry, &configmap("dry")).await.unwrap();
    assert!(configmaps.get_opt("dry").await.unwrap().is_none());
}

#[tokio::test]
async fn what_has_lost_its_owner_or_never_had_it_is_collected_a_moment_later() {
    let api = kubernetes::Api::new();
    let configmaps: Api<ConfigMap> = Api::namespaced(api.client(), SANDBOX);
    let create = async |object: &ConfigMap| configmaps.create(&PostParams::default(), object).await.unwrap();
    let owner = create(&configmap("owner")).await;
    let mut impostor = owner.clone();
    impostor.metadata.uid = Some("22222222".to_owned());
    create(&owned_by(&owner, "owned")).await;
    create(&owned_by(&impostor, "stray")).await;
    api.settle();
    assert!(configmaps.get_opt("owned").await.unwrap().is_some());
    assert!(configmaps.get_opt("stray").await.unwrap().is_none());

    configmaps.delete("owner", &DeleteParams::default()).await.unwrap();
    assert!(configmaps.get_opt("owned").await.unwrap().is_some(), "the collector is not that fast");
    api.settle();
    assert!(configmaps.get_opt("owned").await.unwrap().is_none());

    let owner = create(&configmap("owner")).await;
    let mut held = owned_by(&owner, "held");
    held.metadata.owner_references.as_mut().unwrap()[0].block_owner_deletion = Some(true);
    held.metadata.finalizers = Some(vec!["example/hold".to_owned()]);
    create(&held).await;
    configmaps.delete("owner", &DeleteParams::foreground()).await.unwrap();
    api.settle();
    assert!(configmaps.get("owner").await.unwrap().metadata.deletion_timestamp.is_some());
    api.release(&Key::new("ConfigMap", SANDBOX, "held"), "example/hold");
    api.settle();
    assert_eq!(api.objects(SANDBOX), []);
}

#[tokio::test]
async fn a_restore_goes_through_the_states_that_were_recorded() {
    let api = kubernetes::Api::new();
    let client = api.client();
    create_cluster(&client).await;
    let (jobs, pods): (Api<Job>, Api<Pod>) =
        (Api::namespaced(client.clone(), SANDBOX), Api::namespaced(client.clone(), SANDBOX));
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SANDBOX);

    let mut seen = Vec::new();
    for _ in 0..20 {
        let cluster = clusters(&client).get(RUN).await.unwrap();
        let phase = cluster.data["status"]["phase"].as_str().unwrap_or("none").to_owned();
        let job = jobs.get_opt(&format!("{RUN}-1-full-recovery")).await.unwrap().and_then(|job| job.status);
        let job = job.map_or("no job", |job| if job.succeeded == Some(1) { "succeeded" } else { "active" });
        if seen.last() != Some(&(phase.clone(), job)) {
            seen.push((phase, job));
        }
        if job == "succeeded" {
            let recovery = pods.list(&ListParams::default().labels("cnpg.io/jobRole=full-recovery")).await.unwrap();
            let name = recovery.items[0].metadata.name.clone().unwrap();
            let container = LogParams { container: Some("full-recovery".to_owned()), ..LogParams::default() };
            let log = pods.logs(&name, &container).await.unwrap();
            assert!(log.contains("archive recovery complete"));
        }
    }
    let state = |phase: &str, job| (phase.to_owned(), job);
    assert_eq!(
        seen,
        [
            state("none", "no job"),
            state("Setting up primary", "active"),
            state("Setting up primary", "succeeded"),
            state("Waiting for the instances to become active", "succeeded"),
            state("Cluster in healthy state", "succeeded"),
            state("Cluster in healthy state", "no job"),
        ]
    );
    let superuser = secrets.get(&format!("{RUN}-superuser")).await.unwrap().data.unwrap();
    assert_eq!(superuser["username"].0, b"postgres");
    let labels = ListParams::default().labels(&format!("cnpg.io/cluster={RUN}"));
    let names = pods.list_metadata(&labels).await.unwrap();
    assert_eq!(names.items.len(), 1, "{names:?}");
    let services: Api<Service> = Api::namespaced(client.clone(), SANDBOX);
    let service = services.get(&format!("{RUN}-rw")).await.unwrap().spec.unwrap();
    assert_eq!((service.cluster_ip.as_deref(), service.ports.unwrap()[0].port), (Some("127.0.0.1"), 9));
    assert_eq!(pods.get(&format!("{RUN}-1")).await.unwrap().status.unwrap().phase.as_deref(), Some("Running"));

    clusters(&client).delete(RUN, &DeleteParams::default()).await.unwrap();
    let mut looks = 0;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), SANDBOX);
    while claims.get_opt(&format!("{RUN}-1")).await.unwrap().is_some() {
        looks += 1;
    }
    assert!((2..20).contains(&looks), "a tear-down has to wait: {looks}");
    api.settle();
    assert_eq!(api.objects(SANDBOX), []);
}

#[tokio::test]
async fn restores_get_stuck_as_they_did_in_the_recordings() {
    for (restore, phase, is_it) in [
        (Restore::StaysPending, "Pending", "storageclass.storage.k8s.io \\\"no-such\\\" not found"),
        (Restore::LacksItsImage, "Pending", "ImagePullBackOff"),
        (Restore::Fails, "Failed", "BackoffLimitExceeded"),
    ] {
        let api = kubernetes::Api::new();
        api.controllers(|controllers| controllers.restore = restore);
        let client = api.client();
        create_cluster(&client).await;
        for _ in 0..20 {
            clusters(&client).get(RUN).await.unwrap();
        }
        let pods: Api<Pod> = Api::namespaced(client.clone(), SANDBOX);
        let found = pods.list(&ListParams::default()).await.unwrap().items;
        assert_eq!(found[0].status.as_ref().unwrap().phase.as_deref(), Some(phase), "{restore:?}");
        let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(client.clone(), SANDBOX);
        let jobs: Api<Job> = Api::namespaced(client.clone(), SANDBOX);
        let all = [
            serde_json::to_string(&found).unwrap(),
            serde_json::to_string(&events.list(&ListParams::default()).await.unwrap().items).unwrap(),
            serde_json::to_string(&jobs.list(&ListParams::default()).await.unwrap().items).unwrap(),
        ];
        assert!(all.concat().contains(is_it), "{restore:?}: {is_it}\n{all:?}");
        if restore == Restore::Fails {
            let log = pods.logs(found[0].metadata.name.as_ref().unwrap(), &LogParams::default()).await.unwrap();
            assert!(log.contains("no backup found with ID"), "{log}");
        }
    }
}

#[tokio::test]
async fn pods_and_jobs_that_a_client_makes_run_to_their_end_and_say_what_the_test_tells() {
    let api = kubernetes::Api::new();
    let ending = |exit_code, log: &str| Ending { exit_code, log: log.to_owned() };
    api.controllers(|controllers| {
        controllers.endings.insert("-network".to_owned(), ending(0, "open minio:9000\n"));
        controllers.endings.insert("-app".to_owned(), ending(3, "no such column\n"));
    });
    let client = api.client();
    let container = json!({"name": "test", "image": "postgresql:17"});
    let pods: Api<Pod> = Api::namespaced(client.clone(), SANDBOX);
    let pod = json!({"metadata": {"name": format!("{RUN}-network")}, "spec": {"containers": [container]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let jobs: Api<Job> = Api::namespaced(client.clone(), SANDBOX);
    let job = json!({"metadata": {"name": format!("{RUN}-app")}, "spec": {"template": {"spec": {"containers": [container]}}}});
    jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();

    let network = format!("{RUN}-network");
    assert_eq!(refusal(pods.logs(&network, &LogParams::default()).await).0, 400, "not yet started");
    let phase = async || pods.get(&network).await.unwrap().status.unwrap().phase.unwrap();
    let phases = [phase().await, phase().await, phase().await, phase().await];
    assert_eq!(phases, ["Pending", "Running", "Succeeded", "Succeeded"]);
    assert_eq!(pods.logs(&network, &LogParams::default()).await.unwrap(), "open minio:9000\n");

    let failed = jobs.get(&format!("{RUN}-app")).await.unwrap().status.unwrap().failed;
    assert_eq!(failed, Some(1));
    let of_job = pods.list(&ListParams::default().labels(&format!("job-name={RUN}-app"))).await.unwrap().items;
    let name = of_job[0].metadata.name.as_ref().unwrap();
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(name, &follow).await.unwrap();
    let mut text = String::new();
    futures_util::AsyncReadExt::read_to_string(&mut lines, &mut text).await.unwrap();
    assert_eq!(text, "no such column\n");

    jobs.delete(&format!("{RUN}-app"), &DeleteParams::default()).await.unwrap();
    api.settle();
    assert!(pods.get_opt(name).await.unwrap().is_some(), "without a word about its pods a job leaves them behind");
}

#[tokio::test]
async fn a_watch_tells_what_changes_as_it_changes_and_ends_some_time() {
    let api = kubernetes::Api::new();
    api.set_watch_life(Duration::from_millis(300));
    let client = api.client();
    let made = create_cluster(&client).await;
    let version = made.metadata.resource_version.unwrap();
    let selected = WatchParams::default().fields(&format!("metadata.name={RUN}"));
    let mut events = clusters(&client).watch(&selected, &version).await.unwrap().boxed();
    let mut phases = Vec::new();
    for _ in 0..6 {
        clusters(&client).get(RUN).await.unwrap();
        let event = tokio::time::timeout(Duration::from_millis(100), events.try_next()).await;
        // Not every step changes the Cluster itself.
        let Ok(event) = event else { continue };
        let Some(WatchEvent::Modified(cluster)) = event.unwrap() else { panic!("the watch ended") };
        phases.push(cluster.data["status"]["phase"].as_str().unwrap_or_default().to_owned());
    }
    assert!(phases.len() >= 4, "{phases:?}");
    assert_eq!(phases.last().unwrap(), "Cluster in healthy state");
    let rest = tokio::time::timeout(Duration::from_secs(5), events.collect::<Vec<_>>()).await.unwrap();
    assert!(rest.is_empty(), "{rest:?}");

    let mut there = clusters(&client).watch(&WatchParams::default(), "0").await.unwrap().boxed();
    assert!(matches!(there.try_next().await.unwrap(), Some(WatchEvent::Added(_))), "after 0 comes what is there");
    assert!(!api.requests().iter().any(|asked| asked.verb == "watch"));
}

#[tokio::test]
async fn a_followed_log_grows_with_the_restore_and_ends_with_its_container() {
    let api = kubernetes::Api::new();
    let client = api.client();
    create_cluster(&client).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), SANDBOX);
    for _ in 0..3 {
        clusters(&client).get(RUN).await.unwrap();
    }
    let recovery = pods.list(&ListParams::default().labels("cnpg.io/jobRole=full-recovery")).await.unwrap();
    let name = recovery.items[0].metadata.name.clone().unwrap();
    let follow = LogParams { follow: true, container: Some("full-recovery".to_owned()), ..LogParams::default() };
    let mut stream = pods.log_stream(&name, &follow).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut text = String::new();
        futures_util::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
        text
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!reading.is_finished(), "the container still runs");
    for _ in 0..5 {
        clusters(&client).get(RUN).await.unwrap();
    }
    api.settle();
    assert!(pods.get_opt(&name).await.unwrap().is_none(), "the operator removes the job of a healthy Cluster");
    let text = tokio::time::timeout(Duration::from_secs(5), reading).await.unwrap().unwrap();
    assert!(text.contains("Starting barman-cloud-restore") && text.contains("archive recovery complete"), "{text}");
}

#[tokio::test]
async fn the_request_of_a_number_fails_as_told() {
    let api = kubernetes::Api::new();
    let configmaps: Api<ConfigMap> = Api::namespaced(api.client(), SANDBOX);
    let create = async |name: &str| configmaps.create(&PostParams::default(), &configmap(name)).await;
    api.fail_at(1, Fault::Refused);
    api.fail_at(2, Fault::AnswerLost);
    api.fail_at(3, Fault::Unreachable);
    let (code, reason, message) = refusal(create("refused").await);
    assert_eq!((code, reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        message,
        "configmaps is forbidden: User \"system:serviceaccount:walproof:walproof\" cannot create resource \
         \"configmaps\" in API group \"\" in the namespace \"postgres-restore-test\""
    );
    assert!(matches!(create("lost").await, Err(Error::Service(_))));
    assert!(matches!(create("unreachable").await, Err(Error::Service(_))));
    assert_eq!(api.objects(SANDBOX), [Key::new("ConfigMap", SANDBOX, "lost")]);
    create("answered").await.unwrap();
    let asked: Vec<String> = api.requests().iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["create /api/v1/namespaces/postgres-restore-test/configmaps"; 4]);

    api.vanish_at(6);
    let (sender, called) = tokio::sync::oneshot::channel();
    api.call_at(5, move || sender.send(()).unwrap());
    // A request that is dropped on its way is carried out all the same.
    tokio::select! {
        _ = create("dropped") => panic!("answered before it was dropped"),
        () = async { called.await.unwrap() } => {}
    }
    tokio::time::sleep(2 * UNDER_WAY).await;
    assert!(api.get(&Key::new("ConfigMap", SANDBOX, "dropped")).is_some());
    assert!(matches!(create("gone").await, Err(Error::Service(_))));
    assert!(matches!(create("gone").await, Err(Error::Service(_))));
}

#[tokio::test]
async fn reviews_answer_by_the_rules_and_rules_bind_when_enforced() {
    let api = kubernetes::Api::new();
    let manifests = [
        json!({"kind": "Role", "metadata": {"name": "drill", "namespace": SOURCE}, "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["walproof-s3-read"], "verbs": ["get"]},
            {"apiGroups": ["postgresql.cnpg.io"], "resources": ["clusters"], "verbs": ["get", "list"]},
        ]}),
        json!({"kind": "RoleBinding", "metadata": {"name": "drill", "namespace": SOURCE},
            "roleRef": {"kind": "Role", "name": "drill"},
            "subjects": [{"kind": "ServiceAccount", "name": "walproof", "namespace": RELEASE}]}),
    ];
    api.access(|access| {
        access.grant_manifests(&manifests);
        access.is_enforced = true;
    });
    let client = api.client();
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let may = async |verb: &str, group: &str, resource: &str, name: &str| {
        let review = json!({"spec": {"resourceAttributes": {"namespace": SOURCE, "verb": verb, "group": group,
            "resource": resource, "name": name}}});
        let review = serde_json::from_value(review).unwrap();
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
    };
    assert!(may("get", "", "secrets", "walproof-s3-read").await);
    assert!(!may("get", "", "secrets", "pal-e-postgres-superuser").await);
    assert!(!may("patch", "postgresql.cnpg.io", "clusters", "pal-e-postgres").await);
    assert!(may("list", "postgresql.cnpg.io", "clusters", "").await);

    let rules: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let review = serde_json::from_value(json!({"spec": {"namespace": SOURCE}})).unwrap();
    let rules = rules.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    assert_eq!((rules.incomplete, rules.resource_rules.len()), (false, 4));

    let whoami: Api<SelfSubjectReview> = Api::all(client.clone());
    let whoami = whoami.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    let user = whoami.status.unwrap().user_info.unwrap();
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:walproof:walproof"));
    assert_eq!(user.extra.unwrap()["authentication.kubernetes.io/pod-name"], [POD]);

    let secrets: Api<Secret> = Api::namespaced(client.clone(), SOURCE);
    assert!(secrets.get_opt("walproof-s3-read").await.unwrap().is_none());
    assert_eq!(refusal(secrets.get("pal-e-postgres-superuser").await).0, 403);
    assert_eq!(refusal(secrets.list(&ListParams::default()).await).0, 403);
}

#[test]
fn the_recorded_source_is_complete_and_has_no_secret() {
    let source = kubernetes::Source {
        endpoint: "http://127.0.0.1:9000".to_owned(),
        destination: "s3://backups/".to_owned(),
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
        backups: vec!["20261121T120000".to_owned(), "20261121T130000".to_owned()],
        major: 15,
        system_identifier: 7_710_646_939_363_172_372,
    };
    let api = kubernetes::Api::new();
    for object in source.objects() {
        api.put(&object);
    }
    let kinds = api.objects(SOURCE);
    let count = |kind: &str| kinds.iter().filter(|key| key.resource.kind == kind).count();
    assert_eq!((count("Cluster"), count("Backup"), count("ScheduledBackup"), count("Pod")), (1, 2, 1, 1), "{kinds:?}");
    let cluster = api.get(&Key::new("Cluster", SOURCE, "pal-e-postgres")).unwrap();
    assert_eq!(cluster["status"]["pgDataImageInfo"]["majorVersion"], 15);
    assert_eq!(cluster["spec"]["backup"]["barmanObjectStore"]["endpointURL"], "http://127.0.0.1:9000");
    let all: Vec<Value> = kinds.iter().map(|key| api.get(key).unwrap()).collect();
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains('$') && !text.contains("PRIVATE KEY"), "{text}");
}

#[test]
fn the_restored_server_stopped_at_the_baseline_and_takes_only_tls_with_its_password() {
    let restored = RestoredServer::of_prepared();
    let server = restored.server();
    let baseline: Value = serde_json::from_slice(&std::fs::read(Prepared::get().baseline()).unwrap()).unwrap();
    let history = restored.postgres().sql("postgres", "SELECT pg_read_file('pg_wal/00000002.history')");
    let (lsn, reason) = (baseline["lsn"].as_str().unwrap(), history.trim().rsplit('\t').next().unwrap());
    assert!(reason.starts_with("before LSN"), "{history} for {lsn}");
    assert_eq!(server.system_identifier, Prepared::get().system_identifier);

    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.crt");
    std::fs::write(&authority, &server.authority).unwrap();
    let connect = |host: &str, tls: &str| {
        let mut command = std::process::Command::new("psql");
        let authority = authority.display();
        command.arg(format!(
            "host={host} hostaddr={} port={} user=postgres dbname=paledocs sslmode={tls} sslrootcert={authority}",
            server.host, server.port
        ));
        command.args(["-XAtc", "SELECT count(*) > 0 FROM notes"]).env("PGPASSWORD", &server.password);
        let finished = run(&mut command, Duration::from_secs(20));
        if finished.exit_code == 0 { Ok(finished.stdout.trim().to_owned()) } else { Err(finished.stderr) }
    };
    assert_eq!(connect(&format!("{RUN}-rw.{SANDBOX}.svc"), "verify-full"), Ok("t".to_owned()));
    assert!(connect("elsewhere.example", "verify-full").unwrap_err().contains("does not match host name"));
    assert!(connect(&format!("{RUN}-rw.{SANDBOX}.svc"), "disable").unwrap_err().contains("no pg_hba.conf entry"));
}

use std::time::{Duration, Instant};
use walproof::kubernetes::Kubernetes;
use walproof::plan::{App, FromCluster, OperatorSandbox};
use walproof::sandbox::operator::{Sandbox, app, names::Names, network};
use walproof::source::cluster::SourceCluster;
#[tokio::main]
async fn main() {
    let var = |name: &str| std::env::var(name).ok();
    let kubernetes = Kubernetes::connect(None).await.unwrap();
    let from = FromCluster { namespace: "postgres".into(), cluster: "pal-e-postgres".into(), endpoint: None, credentials: None };
    let mut source = SourceCluster::read(&kubernetes, &from).await.unwrap();
    if let Some(endpoint) = var("ENDPOINT") { source.store.endpoint_url = Some(endpoint) }
    let plan = OperatorSandbox { namespace: "network-try".into(), image_override: var("IMAGE"), storage_factor: 2.0, app: None };
    let names = Names::new("network-try", "20261121t124501z-e0e0e0", "postgres.pal-e-postgres", "2030-01-01T00:00:00Z".parse().unwrap());
    let mut sandbox = Sandbox::new(kubernetes, names);
    sandbox.create_owner(None).await.unwrap();
    let began = Instant::now();
    if var("NETWORK").is_some() {
        for finding in network::test(&mut sandbox, &source, &plan).await { println!("{}", serde_json::to_string_pretty(&finding).unwrap()); }
        println!("network test: {:?}", began.elapsed());
    }
    if let Some(command) = var("APP") {
        sandbox.egress_closed = var("OPEN").is_none();
        let app = App {
            image: var("IMAGE").unwrap_or("walproof.lab/postgresql:17".into()),
            command: vec!["bash".into(), "-c".into(), command],
            limit: Duration::from_secs(var("LIMIT").map_or(60, |l| l.parse().unwrap())),
            output_lines: var("LINES_SHOWN").map_or(0, |l| l.parse().unwrap()),
        };
        let began = Instant::now();
        println!("{}", serde_json::to_string_pretty(&app::check(&mut sandbox, &source, &app).await).unwrap());
        println!("app: {:?}", began.elapsed());
    }
    let began = Instant::now();
    println!("left: {:?} {:?}", sandbox.tear_down().await, began.elapsed());
}

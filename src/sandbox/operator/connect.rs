//! The way to the restored server: inside the cluster through its Service, outside through the API server. Always with
//! TLS, verified against the scratch Cluster's own authority.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::{Api, Client as ApiClient};
use secrecy::SecretString;
use tokio_postgres::Client;

use super::Sandbox;
use crate::kubernetes::{self, ApiError, ApiErrorKind, secret_value};
use crate::plan::{Authority, Connection, Tls};
use crate::postgres::{self, ConnectError, Session};

/// The operator sets the superuser's password a moment after the pod is ready.
const PASSWORD_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_secs(1);
const PORT: u16 = 5432;
/// A prepared transaction that came back with the restore may hold a lock for ever: then its table is not checked.
const SESSION: Session = Session {
    read_only: false,
    statement: Duration::ZERO,
    lock: Duration::from_secs(30),
    idle_in_transaction: Duration::ZERO,
};

/// What a connection needs.
#[derive(Clone)]
pub struct Server {
    connection: Connection,
    route: Route,
}

#[derive(Clone)]
enum Route {
    /// To the Service's address.
    Service(IpAddr),
    /// To the primary's pod, by the API server.
    Forwarded { client: ApiClient, namespace: String, pod: String },
}

impl Server {
    /// Reads what the operator made for the scratch Cluster: superuser, authority, Service.
    pub async fn find(sandbox: &Sandbox, primary: &str) -> Result<Self, String> {
        let names = &sandbox.names;
        let client = &sandbox.kubernetes.client;
        let text = |error: ApiError| error.to_string();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &names.namespace);
        let password = secret_value(&secrets, &format!("{}-superuser", names.name), "password").await?;
        let password = String::from_utf8(password).map_err(|_| "the superuser's password is not text".to_owned())?;
        let authority = secret_value(&secrets, &format!("{}-ca", names.name), "ca.crt").await?;

        let mut port = PORT;
        let route = if sandbox.kubernetes.is_inside() {
            let services: Api<Service> = Api::namespaced(client.clone(), &names.namespace);
            let doing = format!("read the Service {}", names.service());
            let service = kubernetes::get(&services, &doing, &names.service()).await.map_err(text)?;
            let spec = service.and_then(|service| service.spec).unwrap_or_default();
            let served = spec.ports.iter().flatten().find(|port| port.name.as_deref() == Some("postgres"));
            port = served.and_then(|served| u16::try_from(served.port).ok()).unwrap_or(PORT);
            let address = spec.cluster_ip.as_deref().and_then(|address| address.parse().ok());
            Route::Service(address.ok_or_else(|| format!("the Service {} has no address", names.service()))?)
        } else {
            Route::Forwarded { client: client.clone(), namespace: names.namespace.clone(), pod: primary.to_owned() }
        };
        Ok(Self {
            connection: Connection {
                // A name of the server's certificate; nobody looks it up.
                host: format!("{}.{}.svc", names.service(), names.namespace),
                port,
                user: "postgres".to_owned(),
                password: Some(SecretString::from(password)),
                database: "postgres".to_owned(),
                tls: Tls::Authority(Authority::Pem(authority)),
            },
            route,
        })
    }

    /// Connects as the superuser, free to write.
    pub async fn connect(&self, database: &str) -> Result<Client, ConnectError> {
        match &self.route {
            Route::Service(address) => postgres::connect_at(&self.connection, *address, database, SESSION).await,
            Route::Forwarded { client, namespace, pod } => {
                let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
                let unreachable =
                    |reason: String| ConnectError::Unreachable(format!("through the API server: {reason}"));
                let doing = format!("forward a port of the pod {namespace}/{pod}");
                let forwarding = kubernetes::ask(&doing, pods.portforward(pod, &[PORT])).await;
                let mut forwarder = forwarding.map_err(|error| match error.kind {
                    ApiErrorKind::Forbidden => ConnectError::Other(format!("{error}; {}", error.hint())),
                    _ => unreachable(error.to_string()),
                })?;
                let stream =
                    forwarder.take_stream(PORT).ok_or_else(|| unreachable("no stream was given".to_owned()))?;
                // Ends by itself when the stream is dropped.
                drop(tokio::spawn(forwarder.join()));
                postgres::connect_through(&self.connection, stream, database, SESSION).await
            }
        }
    }

    /// The first connection, waiting until the operator has set the password.
    pub async fn first_connection(&self) -> Result<Client, ConnectError> {
        let started = Instant::now();
        loop {
            match self.connect("postgres").await {
                Ok(client) => return Ok(client),
                Err(error) if started.elapsed() >= PASSWORD_LIMIT => return Err(error),
                // No password that is yet to be set explains these.
                Err(error @ (ConnectError::Tls(_) | ConnectError::Other(_))) => return Err(error),
                Err(error) => tracing::debug!("the restored server {error}"),
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

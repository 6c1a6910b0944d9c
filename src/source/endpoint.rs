//! Where pods find the object store: host and port of the endpoint that the source's `Cluster` names, and whether that
//! is a Service of this cluster.

use std::net::{IpAddr, Ipv6Addr};

use super::cluster::SourceCluster;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub is_http: bool,
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
}

/// A Service by the name that an endpoint gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service<'a> {
    pub name: &'a str,
    /// As in `minio.minio` or `minio.minio.svc…`; None for a name that only pods of its own namespace can look up.
    pub namespace: Option<&'a str>,
}

impl Endpoint {
    /// As production and the sandbox use it. None for an endpoint that is no host and port.
    pub fn of(source: &SourceCluster) -> Option<Self> {
        match source.store.endpoint_url.as_deref() {
            Some(url) => Self::parse(url),
            None => Self::parse(&format!("https://s3.{}.amazonaws.com", source.location.region)),
        }
    }

    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_http = match scheme.to_ascii_lowercase().as_str() {
            "http" => true,
            "https" => false,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(address) => {
                let (address, port) = address.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                (address, port.strip_prefix(':'))
            }
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None if is_http => 80,
            None => 443,
        };
        let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if host.is_empty() || !(is_name || host.parse::<IpAddr>().is_ok()) {
            return None;
        }
        Some(Self { is_http, host: host.to_owned(), port })
    }

    pub const fn scheme(&self) -> &'static str {
        if self.is_http { "http" } else { "https" }
    }

    pub fn text(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{}://{host}:{}", self.scheme(), self.port)
    }

    /// The Service that the host looks like; None for a host elsewhere.
    pub fn service(&self) -> Option<Service<'_>> {
        if self.host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let parts: Vec<&str> = self.host.trim_end_matches('.').split('.').collect();
        if parts.contains(&"") {
            return None;
        }
        let (name, namespace) = match parts.as_slice() {
            [name] => (*name, None),
            [name, namespace] | [name, namespace, "svc", ..] => (*name, Some(*namespace)),
            _ => return None,
        };
        Some(Service { name, namespace })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_port_has_its_schemes() {
        let expected = |is_http, host: &str, port| Some(Endpoint { is_http, host: host.to_owned(), port });
        for (url, endpoint) in [
            ("http://minio.minio.svc:9000", expected(true, "minio.minio.svc", 9000)),
            ("http://minio/", expected(true, "minio", 80)),
            ("https://s3.eu-central-1.amazonaws.com", expected(false, "s3.eu-central-1.amazonaws.com", 443)),
            ("HTTPS://store:8443/path?x", expected(false, "store", 8443)),
            ("http://10.96.0.7:9000", expected(true, "10.96.0.7", 9000)),
            ("https://[fd00::1]:9000", expected(false, "fd00::1", 9000)),
            ("https://[fd00::1]", expected(false, "fd00::1", 443)),
        ] {
            assert_eq!(Endpoint::parse(url), endpoint, "{url}");
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_not_taken_for_one() {
        for url in [
            "minio:9000",
            "ftp://minio",
            "http://",
            "http://:80",
            "http://a b",
            "http://a$(id)",
            "http://a:x",
            "http://a:99999",
            "http://[a]",
        ] {
            assert_eq!(Endpoint::parse(url), None, "{url}");
        }
    }

    #[test]
    fn a_host_of_two_parts_or_with_svc_is_a_service() {
        let inside = |name, namespace| Some(Service { name, namespace });
        for (host, service) in [
            ("minio", inside("minio", None)),
            ("minio.store", inside("minio", Some("store"))),
            ("minio.store.svc", inside("minio", Some("store"))),
            ("s3.store.svc.cluster.local.", inside("s3", Some("store"))),
            ("a..svc", None),
            ("s3.eu-central-1.amazonaws.com", None),
            ("s3.example.org", None),
            ("10.96.0.7", None),
        ] {
            let endpoint = Endpoint { is_http: true, host: host.to_owned(), port: 1 };
            assert_eq!(endpoint.service(), service, "{host}");
        }
    }
}

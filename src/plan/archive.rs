//! The archive's half of a plan: what CloudNativePG calls destination path, server name and endpoint.

use super::checks::check_name;
use super::{Archive, ArchiveLocation, Authority, Credentials, FromCluster, Secrets};
use crate::config;
use crate::config::mistakes::{Mistakes, Placed};

/// AWS's oldest region, which every other store takes for its only one.
pub const REGION_OF_OTHER_STORES: &str = "us-east-1";

pub(super) fn archive(source: &config::Source, secrets: Secrets, mistakes: &mut Mistakes) -> Archive {
    match &source.archive {
        config::Archive::S3(s3) => Archive::S3(location(s3, secrets, mistakes)),
        config::Archive::FromCluster(written) => Archive::FromCluster(from_cluster(source, written, secrets, mistakes)),
    }
}

fn from_cluster(
    source: &config::Source,
    written: &config::FromCluster,
    secrets: Secrets,
    mistakes: &mut Mistakes,
) -> FromCluster {
    if source.namespace.is_none() {
        mistakes.add(source.name.place, "missing key `namespace`: `fromCluster` looks for the Cluster there");
    }
    if let Some(cluster) = &written.cluster {
        check_name("cluster", cluster, mistakes);
    }
    if let Some(Placed { value: config::Credentials::Ambient, place }) = &written.credentials {
        mistakes.add(*place, "`credentials`: `fromCluster` needs a key that can be copied: `files` or `environment`");
    }
    FromCluster {
        namespace: source.namespace.as_ref().map(|namespace| namespace.value.clone()).unwrap_or_default(),
        cluster: written.cluster.as_ref().unwrap_or(&source.name).value.clone(),
        endpoint: written.endpoint.as_ref().map(|endpoint| checked_endpoint(endpoint, mistakes)),
        credentials: written.credentials.as_ref().map(|key| credentials(&key.value, secrets, mistakes)),
    }
}

fn location(s3: &config::S3, secrets: Secrets, mistakes: &mut Mistakes) -> ArchiveLocation {
    let (bucket, path) = bucket_and_path(&s3.url.value).unwrap_or_else(|reason| {
        mistakes.add(s3.url.place, format!("`url` {reason}"));
        Default::default()
    });
    check_server_name(&s3.server_name, mistakes);
    let endpoint = s3.endpoint.as_ref().map(|endpoint| checked_endpoint(endpoint, mistakes));
    if let Some(ca_file) = &s3.ca_file {
        secrets.check_file("caFile", ca_file, mistakes);
        if endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")) {
            mistakes.add(ca_file.place, "`caFile` is of no use: the endpoint begins with http://");
        }
    }
    ArchiveLocation {
        bucket,
        path,
        server_name: s3.server_name.value.clone(),
        endpoint,
        region: region(s3, mistakes),
        authority: s3.ca_file.as_ref().map(|file| Authority::File(file.value.clone())),
        credentials: credentials(&s3.credentials, secrets, mistakes),
    }
}

/// Bucket and path of `s3://bucket/path`, the path without slashes around it.
pub fn bucket_and_path(url: &str) -> Result<(String, String), String> {
    let rest = url.strip_prefix("s3://").ok_or("must begin with s3://, as in s3://bucket/path")?;
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_matches('/');
    if bucket.contains(['@', ':']) {
        return Err("must not hold credentials or a port: s3://bucket/path".to_owned());
    }
    if bucket.is_empty() {
        return Err("names no bucket: s3://bucket/path".to_owned());
    }
    if !bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err(format!("names `{bucket}`, which cannot be the name of a bucket"));
    }
    if path.contains(['?', '#']) || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("must have a plain path, without `?`, `#`, `.` or `..`".to_owned());
    }
    Ok((bucket.to_owned(), path.to_owned()))
}

fn check_server_name(name: &Placed<String>, mistakes: &mut Mistakes) {
    if name.value.is_empty() {
        mistakes.add(name.place, "`serverName` is empty");
    } else if name.value.contains('/') || name.value.contains("..") || name.value == "." {
        let message = format!("`serverName`: `{}` must be one directory's name, without `/` or `..`", name.value);
        mistakes.add(name.place, message);
    }
}

fn checked_endpoint(endpoint: &Placed<String>, mistakes: &mut Mistakes) -> String {
    let value = endpoint.value.trim_end_matches('/');
    match value.strip_prefix("https://").or_else(|| value.strip_prefix("http://")) {
        None => mistakes.add(endpoint.place, "`endpoint` must begin with http:// or https://"),
        Some("") => mistakes.add(endpoint.place, "`endpoint` names no host"),
        Some(rest) if rest.contains('@') => {
            mistakes.add(endpoint.place, "`endpoint` must not hold credentials: they belong under `credentials`");
        }
        Some(rest) if rest.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#')) => {
            mistakes.add(endpoint.place, "`endpoint` must be a scheme, a host and a port, as in http://minio:9000");
        }
        Some(_) => {}
    }
    value.to_owned()
}

fn region(s3: &config::S3, mistakes: &mut Mistakes) -> String {
    match (&s3.region, &s3.endpoint) {
        (Some(region), _) => {
            if region.value.trim().is_empty() {
                mistakes.add(region.place, "`region` is empty");
            }
            region.value.clone()
        }
        (None, Some(_)) => REGION_OF_OTHER_STORES.to_owned(),
        (None, None) => {
            mistakes.add(s3.url.place, "missing key `region`: AWS needs it (another store needs an `endpoint`)");
            String::new()
        }
    }
}

fn credentials(credentials: &config::Credentials, secrets: Secrets, mistakes: &mut Mistakes) -> Credentials {
    match credentials {
        config::Credentials::Ambient => Credentials::Ambient,
        config::Credentials::Files(files) => Credentials::Keys {
            access_key_id: secrets.of_file("accessKeyId", &files.access_key_id, mistakes),
            secret_access_key: secrets.of_file("secretAccessKey", &files.secret_access_key, mistakes),
            session_token: files.session_token.as_ref().map(|file| secrets.of_file("sessionToken", file, mistakes)),
        },
        config::Credentials::Environment(names) => Credentials::Keys {
            access_key_id: secrets.of_variable("accessKeyId", &names.access_key_id, mistakes),
            secret_access_key: secrets.of_variable("secretAccessKey", &names.secret_access_key, mistakes),
            session_token: names.session_token.as_ref().map(|name| secrets.of_variable("sessionToken", name, mistakes)),
        },
    }
}

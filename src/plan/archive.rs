//! The archive's half of a plan: what CloudNativePG calls destination path, server name and endpoint.

use super::{ArchiveLocation, Credentials, Secrets};
use crate::config;
use crate::config::mistakes::{Mistakes, Placed};

/// AWS's oldest region, which every other store takes for its only one.
const REGION_OF_OTHER_STORES: &str = "us-east-1";

pub(super) fn location(archive: &config::Archive, secrets: Secrets, mistakes: &mut Mistakes) -> ArchiveLocation {
    let config::Archive::S3(s3) = archive;
    let (bucket, path) = bucket_and_path(&s3.url, mistakes);
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
        ca_file: s3.ca_file.as_ref().map(|file| file.value.clone()),
        credentials: credentials(&s3.credentials, secrets, mistakes),
    }
}

/// Bucket and path of `s3://bucket/path`, the path without slashes around it.
fn bucket_and_path(url: &Placed<String>, mistakes: &mut Mistakes) -> (String, String) {
    let Some(rest) = url.value.strip_prefix("s3://") else {
        mistakes.add(url.place, "`url` must begin with s3://, as in s3://bucket/path");
        return Default::default();
    };
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_matches('/');
    if bucket.contains(['@', ':']) {
        mistakes.add(url.place, "`url` must not hold credentials or a port: s3://bucket/path");
    } else if bucket.is_empty() {
        mistakes.add(url.place, "`url` names no bucket: s3://bucket/path");
    } else if !bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        mistakes.add(url.place, format!("`url`: `{bucket}` cannot be the name of a bucket"));
    }
    if path.contains(['?', '#']) || path.split('/').any(|part| matches!(part, "." | "..")) {
        mistakes.add(url.place, "`url`: the path must be a plain one, without `?`, `#`, `.` or `..`");
    }
    (bucket.to_owned(), path.to_owned())
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

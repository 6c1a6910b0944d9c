//! Whom a run tells, and where it keeps its history: the configuration's `publish` and `history`, checked. Their secrets
//! are read when they are needed: one that is missing at night must not keep the drill from running.

use std::path::{Path, PathBuf};

use reqwest::Url;
use secrecy::SecretString;

use super::Authority;
use super::checks::{check_name, check_not_empty};
use crate::config;
use crate::config::mistakes::{Mistakes, Place, Placed};

/// Whom a run tells. Empty by default: the report is on stdout.
#[derive(Debug, Clone, Default)]
pub struct Publish {
    pub pushgateway: Option<Endpoint>,
    pub forgejo: Option<Forgejo>,
    pub webhook: Option<Endpoint>,
}

/// Where former runs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum History {
    /// One file a source.
    Directory(PathBuf),
    /// One `ConfigMap` a source, in this namespace or else in the pod's own.
    ConfigMaps { namespace: Option<String> },
}

/// An HTTP service.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub address: Address,
    pub authorization: Option<Authorization>,
    /// Of a private certificate authority.
    pub authority: Option<Authority>,
}

#[derive(Debug, Clone)]
pub enum Address {
    /// `http` or `https`, without user and password.
    Known(Url),
    /// A URL that is a secret itself.
    Secret(SecretPlace),
}

#[derive(Debug, Clone)]
pub enum Authorization {
    Basic { user: String, password: SecretPlace },
    Bearer(SecretPlace),
}

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    File(PathBuf),
    Variable(String),
}

/// A repository on a Forgejo whose issues carry the outcome.
#[derive(Debug, Clone)]
pub struct Forgejo {
    /// Without the path of its API.
    pub endpoint: Endpoint,
    pub owner: String,
    pub repository: String,
    pub issue: Issue,
    pub comment: Comment,
    /// A tracking issue is closed by the PASS that follows trouble.
    pub close_on_recovery: bool,
    /// User or team names to mention when a run is not a PASS, without the `@`.
    pub mention: Vec<String>,
    /// Text that PostgreSQL or the application printed may be shown: it can hold what the database holds.
    pub show_output: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issue {
    /// An issue of walproof's own for each source and command, found by label and marker, made when there is none.
    Tracking,
    /// This one; only comments are written to it.
    Number(u64),
}

/// Which drills are commented on. A check is commented on only when its verdict changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comment {
    Always,
    Changes,
}

impl SecretPlace {
    /// The secret without a line break at its end. The reason names the place, never the content.
    pub fn read(&self) -> Result<SecretString, String> {
        let (text, place) = match self {
            Self::File(file) => {
                let place = format!("the file {}", file.display());
                (std::fs::read_to_string(file).map_err(|error| format!("{place} cannot be read: {error}"))?, place)
            }
            Self::Variable(name) => {
                let place = format!("the environment variable {name}");
                // The variable's own error would show its content.
                (std::env::var(name).map_err(|_| format!("{place} is not set, or not UTF-8"))?, place)
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(format!("{place} is empty")) } else { Ok(text.into()) }
    }
}

pub(super) fn history(written: &config::History, mistakes: &mut Mistakes) -> History {
    match written {
        config::History::Directory(directory) => {
            if directory.value.as_os_str().is_empty() {
                mistakes.add(directory.place, "`directory` is empty: name a directory");
            }
            History::Directory(directory.value.clone())
        }
        config::History::ConfigMaps(config::ConfigMaps { namespace }) => {
            if let Some(namespace) = namespace {
                check_name("namespace", namespace, mistakes);
            }
            History::ConfigMaps { namespace: namespace.as_ref().map(|namespace| namespace.value.clone()) }
        }
    }
}

pub(super) fn publish(written: &config::Publish, mistakes: &mut Mistakes) -> Publish {
    Publish {
        pushgateway: written.pushgateway.as_ref().map(|pushgateway| Endpoint {
            address: Address::Known(address(&pushgateway.url, mistakes)),
            authorization: authorization(pushgateway.authorization.as_ref(), mistakes),
            authority: authority(pushgateway.ca_file.as_ref()),
        }),
        forgejo: written.forgejo.as_ref().map(|forgejo| self::forgejo(forgejo, mistakes)),
        webhook: written.webhook.as_ref().map(|webhook| self::webhook(webhook, mistakes)),
    }
}

fn webhook(written: &config::Webhook, mistakes: &mut Mistakes) -> Endpoint {
    let address = match (&written.url, &written.url_file) {
        (Some(_), Some(file)) => {
            mistakes.add(file.place, "`url` and `urlFile` exclude each other: keep one");
            Address::Secret(SecretPlace::File(file.value.clone()))
        }
        (Some(url), None) => Address::Known(address(url, mistakes)),
        (None, Some(file)) => Address::Secret(SecretPlace::File(not_empty("urlFile", file, mistakes))),
        (None, None) => {
            mistakes.add(None, "`webhook` needs a `url` or a `urlFile`");
            Address::Secret(SecretPlace::Variable(String::new()))
        }
    };
    Endpoint {
        address,
        authorization: authorization(written.authorization.as_ref(), mistakes),
        authority: authority(written.ca_file.as_ref()),
    }
}

fn forgejo(written: &config::Forgejo, mistakes: &mut Mistakes) -> Forgejo {
    let Placed { value: repository, place } = &written.repository;
    let parts: Vec<&str> = repository.split('/').collect();
    let (owner, name) = match parts.as_slice() {
        [owner, name] if !owner.is_empty() && !name.is_empty() => ((*owner).to_owned(), (*name).to_owned()),
        _ => {
            mistakes.add(*place, format!("`repository` must be written `owner/name`, not `{repository}`"));
            (String::new(), String::new())
        }
    };
    for mentioned in &written.mention {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        if mentioned.value.is_empty() || !mentioned.value.chars().all(is_name) {
            let message = format!("`mention`: `{}` must be a user's or team's name, without `@`", mentioned.value);
            mistakes.add(mentioned.place, message);
        }
    }
    let issue = match &written.issue {
        config::Issue::Tracking {} => Issue::Tracking,
        config::Issue::Number(number) => {
            if number.value == 0 {
                mistakes.add(number.place, "`number` must not be 0");
            }
            Issue::Number(number.value)
        }
    };
    let token =
        secret(("tokenFile", written.token_file.as_ref()), ("tokenEnv", written.token_env.as_ref()), *place, mistakes);
    Forgejo {
        endpoint: Endpoint {
            address: Address::Known(address(&written.url, mistakes)),
            authorization: Some(Authorization::Bearer(token)),
            authority: authority(written.ca_file.as_ref()),
        },
        owner,
        repository: name,
        issue,
        comment: match written.comment {
            config::Comment::Always => Comment::Always,
            config::Comment::Changes => Comment::Changes,
        },
        close_on_recovery: written.close_on_recovery,
        mention: written.mention.iter().map(|name| name.value.clone()).collect(),
        show_output: written.show_output,
    }
}

fn authorization(written: Option<&config::Authorization>, mistakes: &mut Mistakes) -> Option<Authorization> {
    Some(match written? {
        config::Authorization::Basic(basic) => {
            check_not_empty("user", &basic.user, mistakes);
            let file = ("passwordFile", basic.password_file.as_ref());
            let variable = ("passwordEnv", basic.password_env.as_ref());
            let password = secret(file, variable, basic.user.place, mistakes);
            Authorization::Basic { user: basic.user.value.clone(), password }
        }
        config::Authorization::Bearer(bearer) => {
            let file = ("tokenFile", bearer.token_file.as_ref());
            Authorization::Bearer(secret(file, ("tokenEnv", bearer.token_env.as_ref()), None, mistakes))
        }
    })
}

/// Exactly one of a file and a variable. `beside` is the place of a key beside them.
fn secret(
    (file_key, file): (&str, Option<&Placed<PathBuf>>),
    (variable_key, variable): (&str, Option<&Placed<String>>),
    beside: Option<Place>,
    mistakes: &mut Mistakes,
) -> SecretPlace {
    match (file, variable) {
        (Some(file), None) => SecretPlace::File(not_empty(file_key, file, mistakes)),
        (None, Some(variable)) => {
            if variable.value.is_empty() || variable.value.contains(['=', '\0']) {
                mistakes.add(variable.place, format!("`{variable_key}` must be the name of an environment variable"));
            }
            SecretPlace::Variable(variable.value.clone())
        }
        (Some(_), Some(variable)) => {
            mistakes.add(variable.place, format!("`{file_key}` and `{variable_key}` exclude each other: keep one"));
            SecretPlace::Variable(variable.value.clone())
        }
        (None, None) => {
            mistakes.add(beside, format!("missing key `{file_key}` or `{variable_key}`"));
            SecretPlace::Variable(String::new())
        }
    }
}

fn not_empty(key: &str, file: &Placed<PathBuf>, mistakes: &mut Mistakes) -> PathBuf {
    if file.value == Path::new("") {
        mistakes.add(file.place, format!("`{key}` is empty: name a file"));
    }
    file.value.clone()
}

fn authority(file: Option<&Placed<PathBuf>>) -> Option<Authority> {
    file.map(|file| Authority::File(file.value.clone()))
}

fn address(written: &Placed<String>, mistakes: &mut Mistakes) -> Url {
    parse_address(&written.value).unwrap_or_else(|reason| {
        mistakes.add(written.place, format!("`url` {reason}"));
        Url::parse("http://localhost").expect("it is a URL")
    })
}

/// A URL that requests can be sent to.
pub fn parse_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("must begin with http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password: `authorization` names them by file or variable".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a part behind `#`".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests;

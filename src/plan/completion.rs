//! From the configuration as written to plans: defaults filled in, secrets read, and every mistake in meaning noted
//! with its place. A value with a mistake gets a stand-in, so that the rest is checked too; no plan with one gets out.

use super::checks::{check_name, check_not_empty, check_order, check_unique, positive};
use super::{
    App, Authority, BackupChoice, Connection, DatabaseSelection, Databases, DirectSandbox, Freshness, Limits,
    Objectives, OperatorSandbox, Plan, Requirement, Sandbox, Secrets, TableSelection, Target, Tls, archive, publish,
    query,
};
use crate::archive::wal::Lsn;
use crate::config::mistakes::{Mistakes, Placed};
use crate::config::{self, Config};

/// Transaction ids below this one are PostgreSQL's own (`FirstNormalTransactionId`).
const FIRST_TRANSACTION: u64 = 3;
/// PostgreSQL keeps restore point names in 64 bytes with a zero at the end (`MAXFNAMELEN`).
const RESTORE_POINT_NAME_BYTES: usize = 63;

impl Plan {
    /// One plan for each source, in the file's order.
    pub fn all(config: &Config, secrets: Secrets) -> Result<Vec<Self>, Mistakes> {
        let mut mistakes = Mistakes::new(&config.file_name);
        check_sources(config, &mut mistakes);
        let plans = config.sources.value.iter().map(|source| plan(config, source, secrets, &mut mistakes)).collect();
        mistakes.or(plans)
    }

    /// The plan of the source called `name`, or of the only one. Only this source's secrets are read; mistakes are
    /// looked for in all.
    pub fn for_source(config: &Config, name: Option<&str>, secrets: Secrets) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::new(&config.file_name);
        check_sources(config, &mut mistakes);
        let sources = &config.sources.value;
        let chosen = match name {
            Some(name) => sources.iter().position(|source| source.name.value == name),
            None => (sources.len() == 1).then_some(0),
        };
        let names: Vec<String> = sources.iter().map(|source| format!("`{}`", source.name.value)).collect();
        match name {
            Some(name) if chosen.is_none() => {
                let message = format!("no source is called `{name}`; there are {}", names.join(", "));
                mistakes.add(config.sources.place, message);
            }
            None if sources.len() > 1 => {
                let message = format!("several sources, and none was chosen: name one of {}", names.join(", "));
                mistakes.add(config.sources.place, message);
            }
            _ => {}
        }
        let mut chosen_plan = None;
        for (index, source) in sources.iter().enumerate() {
            let is_chosen = chosen == Some(index);
            let plan = plan(config, source, if is_chosen { secrets } else { Secrets::LeaveUnread }, &mut mistakes);
            if is_chosen {
                chosen_plan = Some(plan);
            }
        }
        match chosen_plan {
            Some(plan) => mistakes.or(plan),
            None => Err(mistakes),
        }
    }
}

fn check_sources(config: &Config, mistakes: &mut Mistakes) {
    if config.sources.value.is_empty() {
        mistakes.add(config.sources.place, "`sources` is empty: there is nothing to prove");
    }
    let names = config.sources.value.iter().map(|source| &source.name);
    check_unique("two sources are called", names, mistakes);
}

fn plan(config: &Config, source: &config::Source, secrets: Secrets, mistakes: &mut Mistakes) -> Plan {
    check_name("name", &source.name, mistakes);
    if let Some(namespace) = &source.namespace {
        check_name("namespace", namespace, mistakes);
    }
    let databases = databases(source.databases.as_ref(), mistakes);
    Plan {
        source: source.name.value.clone(),
        namespace: source.namespace.as_ref().map(|namespace| namespace.value.clone()),
        archive: archive::archive(source, secrets.for_archive(), mistakes),
        connection: source.connection.as_ref().map(|written| connection(written, secrets.for_connection(), mistakes)),
        queries: query::queries(source.queries.as_ref(), &databases, mistakes),
        databases,
        freshness: Freshness {
            max_wal_age: positive("maxWalAge", &source.freshness.max_wal_age, mistakes),
            max_backup_age: positive("maxBackupAge", &source.freshness.max_backup_age, mistakes),
        },
        objectives: Objectives {
            recovery_time: source.objectives.rto.as_ref().map(|rto| positive("rto", rto, mistakes)),
            recovery_point: source.objectives.rpo.as_ref().map(|rpo| positive("rpo", rpo, mistakes)),
            recovery_window: source
                .objectives
                .recovery_window
                .as_ref()
                .map(|window| positive("recoveryWindow", window, mistakes)),
        },
        target: target(&source.target, mistakes),
        backup: backup(&source.backup, mistakes),
        sandbox: sandbox(config, source, mistakes),
        require: config.require.iter().copied().map(requirement).collect(),
        limits: limits(&config.limits, mistakes),
        history: config.history.as_ref().map(|written| publish::history(written, mistakes)),
        publish: publish::publish(&config.publish, mistakes),
    }
}

fn connection(written: &config::Connection, secrets: Secrets, mistakes: &mut Mistakes) -> Connection {
    let host = &written.host;
    check_not_empty("host", host, mistakes);
    check_not_empty("user", &written.user, mistakes);
    check_not_empty("database", &written.database, mistakes);
    if host.value.contains("://") || host.value.contains('@') {
        mistakes.add(host.place, "`host` must be a host alone: user, port and database have keys of their own");
    }
    if written.port.value == 0 {
        mistakes.add(written.port.place, "`port` must not be 0");
    }
    let password = match (&written.password_file, &written.password_env) {
        (Some(_), Some(variable)) => {
            mistakes.add(variable.place, "`passwordFile` and `passwordEnv` exclude each other: keep one");
            None
        }
        (Some(file), None) => Some(secrets.of_file("passwordFile", file, mistakes)),
        (None, Some(variable)) => Some(secrets.of_variable("passwordEnv", variable, mistakes)),
        (None, None) => None,
    };
    Connection {
        host: host.value.clone(),
        port: written.port.value,
        user: written.user.value.clone(),
        password,
        database: written.database.value.clone(),
        tls: tls(written, secrets, mistakes),
    }
}

fn tls(written: &config::Connection, secrets: Secrets, mistakes: &mut Mistakes) -> Tls {
    let is_socket = written.host.value.starts_with('/');
    match &written.tls {
        None if is_socket => Tls::Disabled,
        None => {
            let message = "missing key `tls`: say `system`, `{caFile: …}` or, in a network you trust, `disable`";
            mistakes.add(written.host.place, message);
            Tls::System
        }
        Some(Placed { value: config::Tls::Disable, .. }) => Tls::Disabled,
        Some(Placed { place, .. }) if is_socket => {
            mistakes.add(*place, "`tls` is not possible over a Unix socket: leave it out");
            Tls::Disabled
        }
        Some(Placed { value: config::Tls::System, .. }) => Tls::System,
        Some(Placed { value: config::Tls::CaFile(file), .. }) => {
            secrets.check_file("caFile", file, mistakes);
            Tls::Authority(Authority::File(file.value.clone()))
        }
    }
}

fn databases(written: Option<&Placed<Vec<config::Database>>>, mistakes: &mut Mistakes) -> Databases {
    let Some(Placed { value: databases, place }) = written else { return Databases::All };
    if databases.is_empty() {
        mistakes.add(*place, "`databases` is empty: leave the key out to compare all");
    }
    check_unique("two databases are called", databases.iter().map(|database| &database.name), mistakes);
    let selection = |database: &config::Database| {
        check_not_empty("name", &database.name, mistakes);
        let tables = database.tables.as_ref().map(|tables| {
            if tables.value.is_empty() {
                mistakes.add(tables.place, "`tables` is empty: leave the key out to compare all");
            }
            check_unique("two tables are called", tables.value.iter().map(|table| &table.name), mistakes);
            tables.value.iter().map(|written| table(written, mistakes)).collect()
        });
        DatabaseSelection { name: database.name.value.clone(), tables }
    };
    Databases::Named(databases.iter().map(selection).collect())
}

fn table(written: &config::Table, mistakes: &mut Mistakes) -> TableSelection {
    let (schema, name) = written.name.value.split_once('.').unwrap_or(("public", &written.name.value));
    if schema.is_empty() || name.is_empty() || name.contains('.') {
        let message = format!("`name`: `{}` must be `table` or `schema.table`", written.name.value);
        mistakes.add(written.name.place, message);
    }
    if let Some(timestamp) = &written.timestamp {
        check_not_empty("timestamp", timestamp, mistakes);
    }
    let timestamp = written.timestamp.as_ref().map(|column| column.value.clone());
    TableSelection { schema: schema.to_owned(), name: name.to_owned(), timestamp }
}

fn target(written: &config::Target, mistakes: &mut Mistakes) -> Target {
    match written {
        config::Target::Baseline {} => Target::Baseline,
        config::Target::Latest {} => Target::Latest,
        config::Target::Before(period) => Target::Before(positive("before", period, mistakes)),
        config::Target::Time(Placed { value, place }) => value.parse().map_or_else(
            |_| {
                let message = format!("`time`: `{value}` is not a moment with its offset, as 2026-11-21T01:23:31Z");
                mistakes.add(*place, message);
                Target::Latest
            },
            Target::Time,
        ),
        config::Target::Lsn(Placed { value, place }) => value.parse::<Lsn>().map_or_else(
            |_| {
                mistakes.add(*place, format!("`lsn`: `{value}` is not a position in the WAL, as 0/3000028"));
                Target::Latest
            },
            Target::Lsn,
        ),
        config::Target::Xid(Placed { value, place }) => {
            if !(FIRST_TRANSACTION..=u64::from(u32::MAX)).contains(value) {
                let message = format!("`xid` must be from {FIRST_TRANSACTION} to {}, as in the WAL", u32::MAX);
                mistakes.add(*place, message);
            }
            Target::Xid(*value)
        }
        config::Target::Name(Placed { value, place }) => {
            if value.is_empty() || value.len() > RESTORE_POINT_NAME_BYTES {
                let message = format!("`name` must be a restore point's, of 1 to {RESTORE_POINT_NAME_BYTES} bytes");
                mistakes.add(*place, message);
            }
            Target::Name(value.clone())
        }
    }
}

fn backup(written: &config::Backup, mistakes: &mut Mistakes) -> BackupChoice {
    match written {
        config::Backup::Newest => BackupChoice::Newest,
        config::Backup::Rotate => BackupChoice::Rotate,
        config::Backup::Oldest => BackupChoice::Oldest,
        config::Backup::Id(id) => {
            if id.value.is_empty() || !id.value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
                let message = format!("`id`: `{}` is not a backup's id, as 20261121T012331", id.value);
                mistakes.add(id.place, message);
            }
            BackupChoice::Id(id.value.clone())
        }
    }
}

fn sandbox(config: &Config, source: &config::Source, mistakes: &mut Mistakes) -> Sandbox {
    match &config.sandbox {
        config::Sandbox::Direct(direct) => Sandbox::Direct(direct_sandbox(direct, mistakes)),
        config::Sandbox::Operator(operator) => Sandbox::Operator(operator_sandbox(operator, source, mistakes)),
    }
}

fn operator_sandbox(operator: &config::Operator, source: &config::Source, mistakes: &mut Mistakes) -> OperatorSandbox {
    check_name("namespace", &operator.namespace, mistakes);
    if source.namespace.as_ref().is_some_and(|namespace| namespace.value == operator.namespace.value) {
        let message =
            format!("`namespace`: `{}` is the source's own; a sandbox needs another", operator.namespace.value);
        mistakes.add(operator.namespace.place, message);
    }
    if !matches!(source.archive, config::Archive::FromCluster(_)) {
        let message = "the operator sandbox takes the source's Cluster for its model: use `archive: {fromCluster: {}}`";
        mistakes.add(source.name.place, message);
    }
    if let Some(image) = &operator.image_override {
        check_not_empty("imageOverride", image, mistakes);
    }
    let factor = &operator.storage_factor;
    if !(1.0..=LARGEST_STORAGE_FACTOR).contains(&factor.value) {
        mistakes.add(factor.place, format!("`storageFactor` must be from 1 to {LARGEST_STORAGE_FACTOR}"));
    }
    OperatorSandbox {
        namespace: operator.namespace.value.clone(),
        image_override: operator.image_override.as_ref().map(|image| image.value.clone()),
        storage_factor: factor.value,
        app: operator.app.as_ref().map(|written| app(written, mistakes)),
    }
}

fn app(written: &config::App, mistakes: &mut Mistakes) -> App {
    check_not_empty("image", &written.image, mistakes);
    if written.output_lines.value > MOST_OUTPUT_LINES {
        mistakes.add(written.output_lines.place, format!("`outputLines` must be at most {MOST_OUTPUT_LINES}"));
    }
    App {
        image: written.image.value.clone(),
        command: written.command.clone(),
        limit: positive("limit", &written.limit, mistakes),
        output_lines: written.output_lines.value,
    }
}

/// More is a typing error: it would fill the node.
const LARGEST_STORAGE_FACTOR: f64 = 20.0;
/// A report is read by people.
const MOST_OUTPUT_LINES: u16 = 50;

fn direct_sandbox(direct: &config::Direct, mistakes: &mut Mistakes) -> DirectSandbox {
    check_not_empty("user", &direct.user, mistakes);
    if direct.spool.value.0 < SMALLEST_SPOOL {
        mistakes.add(direct.spool.place, "`spool` must be at least 64Mi: a few WAL segments");
    }
    for (key, directory) in [("directory", &direct.directory), ("binaries", &direct.binaries)] {
        if let Some(Placed { value, place }) = directory
            && !value.is_absolute()
        {
            mistakes.add(*place, format!("`{key}` must be an absolute path"));
        }
    }
    DirectSandbox {
        directory: direct.directory.as_ref().map_or_else(std::env::temp_dir, |directory| directory.value.clone()),
        binaries: direct.binaries.as_ref().map(|binaries| binaries.value.clone()),
        user: direct.user.value.clone(),
        spool: direct.spool.value.0,
    }
}

/// Four segments of 16 MiB: one being replayed, one being written, and a pair on the way.
const SMALLEST_SPOOL: u64 = 64 << 20;

fn requirement(written: config::Requirement) -> Requirement {
    match written {
        config::Requirement::Objectives => Requirement::Objectives,
        config::Requirement::Freshness => Requirement::Freshness,
        config::Requirement::ExactBaseline => Requirement::ExactBaseline,
        config::Requirement::App => Requirement::App,
        config::Requirement::Content => Requirement::Content,
        config::Requirement::Integrity => Requirement::Integrity,
    }
}

fn limits(written: &config::Limits, mistakes: &mut Mistakes) -> Limits {
    let limits = Limits {
        drill: positive("drill", &written.drill, mistakes),
        baseline: positive("baseline", &written.baseline, mistakes),
        statement: positive("statement", &written.statement, mistakes),
        lock: positive("lock", &written.lock, mistakes),
        content: positive("content", &written.content, mistakes),
        integrity: positive("integrity", &written.integrity, mistakes),
        archive_wait: written.archive_wait.as_ref().map(|wait| positive("archiveWait", wait, mistakes)),
    };
    check_order(("lock", &written.lock), ("statement", &written.statement), mistakes);
    check_order(("statement", &written.statement), ("baseline", &written.baseline), mistakes);
    check_order(("baseline", &written.baseline), ("drill", &written.drill), mistakes);
    if let Some(wait) = &written.archive_wait {
        check_order(("archiveWait", wait), ("drill", &written.drill), mistakes);
    }
    limits
}

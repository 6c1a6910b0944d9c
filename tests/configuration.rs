//! The configuration: what it accepts, every mistake at once with its place, and the schema and page that describe it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use walproof::config::Config;
use walproof::plan::{
    Archive, Authority, BackupChoice, Credentials, Databases, Expectation, Plan, Requirement, Sandbox, Secrets, Target,
    Tls,
};

/// The least that can be written.
const SMALL: &str = "\
sources:
- name: app
  archive: {s3: {url: s3://wal, serverName: app, region: eu-west-1, credentials: ambient}}
";

const FULL: &str = "\
sources:
- name: pal-e-postgres
  namespace: postgres
  archive:
    s3:
      url: s3://postgres-wal/clusters/
      serverName: pal-e-postgres
      endpoint: https://minio.minio:9000/
      caFile: /etc/minio/ca.crt
      credentials: {files: {accessKeyId: /secret/id, secretAccessKey: /secret/key, sessionToken: /secret/token}}
  connection:
    host: pal-e-postgres-ro.postgres
    port: 5433
    user: walproof
    passwordFile: /secret/password
    database: app
    tls: {caFile: /etc/postgres/ca.crt}
  databases:
  - name: paledocs
    tables: [{name: notes, timestamp: updated_at}, {name: audit.events}]
  - name: other
  queries:
  - {name: orphans, database: paledocs, sql: SELECT count(*) FROM notes;, expect: {equals: '0'}}
  - {name: newest, database: paledocs, sql: SELECT max(updated_at) FROM notes, expect: {maxAge: 26h}}
  - {name: total, database: other, sql: SELECT sum(amount) FROM orders, expect: {withinPercent: 0.5}}
  - {name: rows, database: other, sql: TABLE orders, expect: {sameAsBaseline: {}}}
  freshness: {maxWalAge: 5m, maxBackupAge: 8d}
  objectives: {rto: 30m, rpo: 15m, recoveryWindow: 7d}
  target: {time: 2026-11-21T01:23:31Z}
  backup: {id: 20261121T012331}
sandbox: {direct: {directory: /var/tmp, binaries: /usr/lib/postgresql/17/bin, user: nobody, spool: 2Gi}}
require: [objectives, freshness, exactBaseline]
limits: {drill: 2h, baseline: 5m, statement: 1m, lock: 500ms, archiveWait: 6m}
";

/// The least that a restore by the operator needs.
const KUBERNETES: &str = "\
sources:
- name: app
  namespace: postgres
  archive: {fromCluster: {}}
sandbox: {operator: {namespace: postgres-restore-test}}
";

const FULL_KUBERNETES: &str = "\
sources:
- name: shop
  namespace: postgres
  archive:
    fromCluster:
      cluster: pal-e-postgres
      endpoint: http://localhost:9000/
      credentials: {environment: {accessKeyId: WALPROOF_ID, secretAccessKey: WALPROOF_KEY, sessionToken: WALPROOF_TOKEN}}
sandbox:
  operator:
    namespace: postgres-restore-test
    imageOverride: postgresql:17.6-system-trixie
    storageFactor: 1.5
    app: {image: shop:1, command: [check, --now], limit: 5m, outputLines: 20}
require: [app]
";

fn structural_mistakes(text: &str) -> String {
    Config::parse(text, "walproof.yaml").expect_err("the text has mistakes").to_string()
}

/// The mistakes in meaning of a text without mistakes in structure.
fn mistakes(text: &str, secrets: Secrets) -> String {
    let config = Config::parse(text, "walproof.yaml").expect("the structure is right");
    Plan::all(&config, secrets).expect_err("the text has mistakes").to_string()
}

fn only_plan(text: &str) -> Plan {
    let config = Config::parse(text, "walproof.yaml").expect("the structure is right");
    Plan::for_source(&config, None, Secrets::LeaveUnread).expect("there is no mistake")
}

/// A source with one more line.
fn with_line(line: &str) -> String {
    format!("{SMALL}  {line}\n")
}

#[test]
fn what_is_left_out_has_the_documented_defaults() {
    let plan = only_plan(SMALL);
    assert_eq!((plan.source.as_str(), plan.namespace), ("app", None));
    let Archive::S3(archive) = plan.archive else { panic!("it is an s3 archive") };
    assert_eq!((archive.bucket.as_str(), archive.path.as_str()), ("wal", ""));
    assert!(matches!(archive.credentials, Credentials::Ambient));
    assert!(plan.connection.is_none());
    assert!(matches!(plan.databases, Databases::All));
    assert_eq!(plan.freshness.max_wal_age, Duration::from_mins(15));
    assert_eq!(plan.freshness.max_backup_age, Duration::from_hours(26));
    assert_eq!(plan.objectives.recovery_time, None);
    assert_eq!((plan.target, plan.backup), (Target::Baseline, BackupChoice::Rotate));
    let Sandbox::Direct(sandbox) = plan.sandbox else { panic!("the direct sandbox is the default") };
    assert_eq!((sandbox.user.as_str(), sandbox.spool), ("postgres", 1 << 30));
    assert_eq!(sandbox.directory, std::env::temp_dir());
    assert_eq!(plan.require, []);
    assert_eq!((plan.limits.drill, plan.limits.baseline), (Duration::from_hours(4), Duration::from_mins(10)));
    assert_eq!((plan.limits.statement, plan.limits.lock), (Duration::from_mins(5), Duration::from_secs(2)));
    assert_eq!(plan.limits.archive_wait, None);
}

#[test]
fn everything_written_arrives_in_the_plan() {
    let plan = only_plan(FULL);
    assert_eq!(plan.namespace.as_deref(), Some("postgres"));
    let Archive::S3(archive) = plan.archive else { panic!("it is an s3 archive") };
    assert_eq!((archive.bucket.as_str(), archive.path.as_str()), ("postgres-wal", "clusters"));
    assert_eq!(archive.endpoint.as_deref(), Some("https://minio.minio:9000"));
    assert_eq!(archive.region, "us-east-1");
    assert!(matches!(archive.authority, Some(Authority::File(file)) if file == Path::new("/etc/minio/ca.crt")));
    let connection = plan.connection.unwrap();
    assert_eq!((connection.port, connection.user.as_str(), connection.database.as_str()), (5433, "walproof", "app"));
    let Tls::Authority(Authority::File(file)) = connection.tls else { panic!("the authority is a file") };
    assert_eq!(file, Path::new("/etc/postgres/ca.crt"));
    let Databases::Named(databases) = plan.databases else { panic!("two databases are named") };
    assert!(databases[1].tables.is_none());
    let tables = databases[0].tables.as_ref().unwrap();
    assert_eq!((tables[0].schema.as_str(), tables[0].name.as_str()), ("public", "notes"));
    assert_eq!(tables[0].timestamp.as_deref(), Some("updated_at"));
    assert_eq!((tables[1].schema.as_str(), tables[1].name.as_str()), ("audit", "events"));
    let asked: Vec<_> = plan.queries.iter().map(|query| (query.sql.as_str(), &query.expectation)).collect();
    let expected = [
        ("SELECT count(*) FROM notes", &Expectation::Equals("0".to_owned())),
        ("SELECT max(updated_at) FROM notes", &Expectation::MaxAge(Duration::from_hours(26))),
        ("SELECT sum(amount) FROM orders", &Expectation::WithinPercent(0.5)),
        ("TABLE orders", &Expectation::SameAsBaseline),
    ];
    assert_eq!(asked, expected);
    assert_eq!(plan.freshness.max_backup_age, Duration::from_hours(8 * 24));
    assert_eq!(plan.objectives.recovery_window, Some(Duration::from_hours(7 * 24)));
    assert_eq!(plan.target, Target::Time("2026-11-21T01:23:31Z".parse().unwrap()));
    assert_eq!(plan.backup, BackupChoice::Id("20261121T012331".into()));
    let Sandbox::Direct(sandbox) = plan.sandbox else { panic!("it is the direct sandbox") };
    assert_eq!(sandbox.binaries.as_deref(), Some(Path::new("/usr/lib/postgresql/17/bin")));
    assert_eq!(sandbox.spool, 2 << 30);
    assert_eq!(plan.require, [Requirement::Objectives, Requirement::Freshness, Requirement::ExactBaseline]);
    assert_eq!(plan.limits.lock, Duration::from_millis(500));
    assert_eq!(plan.limits.archive_wait, Some(Duration::from_mins(6)));
}

#[test]
fn mistakes_in_queries_are_named_with_their_places() {
    let text = "\
sources:
- name: app
  archive: {s3: {url: s3://wal, serverName: app, region: r, credentials: ambient}}
  databases: [{name: docs}]
  queries:
  - {name: q, database: docs, sql: ' ', expect: {withinPercent: 101}}
  - {name: q, database: shop, sql: SELECT 1, expect: {maxAge: 0s}}
";
    let expected = "\
5 mistakes
walproof.yaml:6:36: `sql` is empty
walproof.yaml:6:65: `withinPercent` must be from 0 to 100
walproof.yaml:7:12: two queries are called `q`
walproof.yaml:7:25: `database`: `shop` is not among `databases`
walproof.yaml:7:63: `maxAge` must be longer than zero";
    assert_eq!(mistakes(text, Secrets::LeaveUnread), expected);
}

#[test]
fn a_restore_by_the_operator_has_the_documented_defaults() {
    let plan = only_plan(KUBERNETES);
    let Archive::FromCluster(archive) = plan.archive else { panic!("it is the archive of a Cluster") };
    assert_eq!((archive.namespace.as_str(), archive.cluster.as_str()), ("postgres", "app"));
    assert_eq!(archive.endpoint, None);
    assert!(archive.credentials.is_none(), "production's own key");
    let Sandbox::Operator(sandbox) = plan.sandbox else { panic!("it is the operator sandbox") };
    assert_eq!((sandbox.namespace.as_str(), sandbox.image_override), ("postgres-restore-test", None));
    assert!((sandbox.storage_factor - 2.0).abs() < f64::EPSILON);
    assert!(sandbox.app.is_none());

    let with_app = KUBERNETES.replace("restore-test}", "restore-test, app: {image: shop:1}}");
    let Sandbox::Operator(sandbox) = only_plan(&with_app).sandbox else { panic!("it is the operator sandbox") };
    let app = sandbox.app.unwrap();
    assert_eq!((app.command.len(), app.limit, app.output_lines), (0, Duration::from_mins(10), 0));
}

#[test]
fn everything_written_about_kubernetes_arrives_in_the_plan() {
    let plan = only_plan(FULL_KUBERNETES);
    assert_eq!((plan.source.as_str(), plan.namespace.as_deref()), ("shop", Some("postgres")));
    let Archive::FromCluster(archive) = plan.archive else { panic!("it is the archive of a Cluster") };
    assert_eq!((archive.namespace.as_str(), archive.cluster.as_str()), ("postgres", "pal-e-postgres"));
    assert_eq!(archive.endpoint.as_deref(), Some("http://localhost:9000"));
    assert!(matches!(archive.credentials, Some(Credentials::Keys { session_token: Some(_), .. })));
    let Sandbox::Operator(sandbox) = plan.sandbox else { panic!("it is the operator sandbox") };
    assert_eq!(sandbox.namespace, "postgres-restore-test");
    assert_eq!(sandbox.image_override.as_deref(), Some("postgresql:17.6-system-trixie"));
    assert!((sandbox.storage_factor - 1.5).abs() < f64::EPSILON);
    let app = sandbox.app.unwrap();
    assert_eq!((app.image.as_str(), app.command), ("shop:1", vec!["check".to_owned(), "--now".to_owned()]));
    assert_eq!((app.limit, app.output_lines), (Duration::from_mins(5), 20));
    assert_eq!(plan.require, [Requirement::App]);
}

#[test]
fn the_archive_of_a_cluster_can_be_restored_directly_too() {
    let plan = only_plan(KUBERNETES.split("sandbox:").next().unwrap());
    assert!(matches!((plan.archive, plan.sandbox), (Archive::FromCluster(_), Sandbox::Direct(_))));
}

#[test]
fn every_target_can_be_written() {
    for (written, expected) in [
        ("{baseline: {}}", Target::Baseline),
        ("{latest: {}}", Target::Latest),
        ("{before: 30m}", Target::Before(Duration::from_mins(30))),
        ("{time: 2026-11-21 01:23:31+02:00}", Target::Time("2026-11-20T23:23:31Z".parse().unwrap())),
        ("{lsn: 0/3000028}", Target::Lsn("0/3000028".parse().unwrap())),
        ("{xid: 123}", Target::Xid(123)),
        ("{name: before_upgrade}", Target::Name("before_upgrade".into())),
    ] {
        assert_eq!(only_plan(&with_line(&format!("target: {written}"))).target, expected, "{written}");
    }
}

#[test]
fn every_mistake_in_the_structure_is_reported_at_once_with_its_place() {
    let text = "\
sources:
- nome: app
  namespace: [postgres]
  archive: {s3: {urll: s3://wal, serverName: app, region: eu-west-1, credentials: ambiant}}
  connection:
    host: db
    port: 70000
    user: walproof
    tls: off
  freshness:
    maxWalAge: 15
  backup: latest
- name: second
  archive:
    s3:
      url: s3://wal
      serverName: second
      credentials: {files: {accessKeyId: /id}}
  target: baseline
  backup: newest
  freshnes: {maxWalAge: 15m}
sandbox: {direct: {spool: 1gb}}
require: [objectives, speed]
limits: {drill: 4h, drill: 5h}
";
    let expected = "\
14 mistakes
walproof.yaml:2:3: unknown key `nome`, expected one of `name`, `namespace`, `archive`, `connection`, `databases`, \
`queries`, `freshness`, `objectives`, `target`, `backup`
walproof.yaml:3:14: expected a single value
walproof.yaml:4:18: unknown key `urll`, expected one of `url`, `serverName`, `endpoint`, `region`, `caFile`, `credentials`
walproof.yaml:4:83: unknown choice `ambiant`, expected one of `files`, `environment`, `ambient`
walproof.yaml:7:11: expected a whole number from 0 to 65535
walproof.yaml:9:10: unknown choice `off`, expected one of `disable`, `system`, `caFile`
walproof.yaml:11:16: `15` is not a duration: a number needs a unit, for example `90s`, `1h30m` or `7d`
walproof.yaml:12:11: unknown choice `latest`, expected one of `newest`, `rotate`, `oldest`, `id`
walproof.yaml:18:29: missing key `secretAccessKey`
walproof.yaml:19:3: expected keys with values, such as `{key: value}`
walproof.yaml:21:3: unknown key `freshnes`, expected one of `name`, `namespace`, `archive`, `connection`, `databases`, \
`queries`, `freshness`, `objectives`, `target`, `backup`
walproof.yaml:22:27: `1gb` is not a size: `gb` is not one of the units B, k, Ki, M, Mi, G, Gi, T, Ti, for example \
`512Mi`, `1Gi` or `10G`
walproof.yaml:23:23: unknown choice `speed`, expected one of `objectives`, `freshness`, `exactBaseline`, `app`, `content`, \
`integrity`
walproof.yaml:24:21: key `drill` appears twice";
    assert_eq!(structural_mistakes(text), expected);
}

#[test]
fn a_missing_key_is_reported_and_what_follows_is_still_read() {
    let text = "\
sources:
- name: first
- archive: {s3: {}}
  name: second
  objectives: {rto: soon}
limit: {}
";
    assert_eq!(
        structural_mistakes(text),
        "\
4 mistakes
walproof.yaml:2:3: missing key `archive`
walproof.yaml:3:17: missing key `url`
walproof.yaml:5:21: `soon` is not a duration: write a whole number with its unit, for example `90s`, `1h30m` or `7d`
walproof.yaml:6:1: unknown key `limit`, expected one of `sources`, `sandbox`, `require`, `limits`, `history`, `publish`"
    );
}

#[test]
fn what_only_follows_from_another_mistake_is_not_reported() {
    assert_eq!(
        structural_mistakes("sources:\n- name: app\n  archive:\n    s4: {url: s3://wal}\n"),
        "1 mistake\nwalproof.yaml:4:5: unknown choice `s4`, expected one of `s3`, `fromCluster`"
    );
    assert_eq!(
        structural_mistakes("sources:\n- name: app\n  archive:\n"),
        "1 mistake\nwalproof.yaml:3:10: missing choice, expected one of `s3`, `fromCluster`"
    );
}

#[test]
fn text_around_a_mistake_may_use_more_bytes_than_characters() {
    let text = "# Grüße aus Köln ✓\nsources: [{name: \"Zürich\", nüme: ü, archive: {s4: {}}}]\nlimits: {drill: ✓}\n";
    let mistakes = structural_mistakes(text);
    assert!(mistakes.starts_with("3 mistakes\nwalproof.yaml:2:28: unknown key `nüme`"), "{mistakes}");
    assert!(mistakes.contains("\nwalproof.yaml:3:17: `✓` is not a duration"), "{mistakes}");
}

#[test]
fn a_file_of_nothing_but_mistakes_comes_to_an_end() {
    let lines: Vec<String> = (0..200).map(|number| format!("key{number}: {{a: [b, c: d]}}\n")).collect();
    let text = lines.concat();
    let mistakes = structural_mistakes(&text);
    assert!(mistakes.starts_with("50 mistakes\nwalproof.yaml:1:1: unknown key `key0`"), "{mistakes}");
}

#[test]
fn an_empty_file_says_so() {
    for text in ["", "# nothing\n", "---\n"] {
        let mistakes = structural_mistakes(text);
        assert!(mistakes.ends_with("the file is empty: it needs at least the key `sources`"), "{text:?}: {mistakes}");
    }
    assert_eq!(structural_mistakes("sources:\n"), "1 mistake\nwalproof.yaml:1:8: expected a list");
}

#[test]
fn text_that_is_not_one_yaml_document_is_refused() {
    assert_eq!(
        structural_mistakes("sources: [\n"),
        "1 mistake\nwalproof.yaml:1:10: this is not valid YAML: unclosed bracket '['"
    );
    let two = format!("{SMALL}---\n{SMALL}");
    assert_eq!(structural_mistakes(&two), "1 mistake\nwalproof.yaml:5:1: expected one YAML document, found several");
}

#[test]
fn whatever_is_struck_out_every_mistake_has_its_place() {
    let replacements = ["", "\n", "{", "- ", "? ", "&a ", "é"];
    for full in [FULL, FULL_KUBERNETES] {
        for (offset, instead) in (0..full.len()).zip(replacements.iter().cycle()) {
            let mut text = full.to_owned();
            text.replace_range(offset..=offset, instead);
            if let Err(mistakes) = Config::parse(&text, "walproof.yaml") {
                let placed = !mistakes.is_empty() && mistakes.all().iter().all(|mistake| mistake.place.is_some());
                assert!(placed, "{instead:?} at {offset}: {mistakes}");
            }
        }
    }
}

#[test]
fn aliases_cannot_blow_up() {
    let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..9 {
        let previous = format!("*a{}", level - 1);
        lines.push(format!("a{level}: &a{level} [{}]", vec![previous; 10].join(", ")));
    }
    lines.push("require: *a8\n".to_owned());
    let text = lines.join("\n");
    assert!(structural_mistakes(&text).contains("unknown key `a0`"));
}

#[test]
fn every_mistake_in_the_meaning_is_reported_at_once_with_its_place() {
    let text = "\
sources:
- name: app
  archive:
    s3:
      url: https://wal
      serverName: ../app
      endpoint: minio:9000
      credentials: {files: {accessKeyId: /nowhere/id, secretAccessKey: /nowhere/key}}
  connection:
    host: db
    user: ''
    passwordFile: /nowhere/password
    passwordEnv: PGPASSWORD
  databases: [{name: docs, tables: [{name: a.b.c}]}, {name: docs, tables: []}]
  freshness: {maxWalAge: 0s}
  target: {xid: 4294967296}
- name: app
  archive: {s3: {url: s3://wal, serverName: app, credentials: {environment: {accessKeyId: WALPROOF_UNSET, \
secretAccessKey: ''}}}}
  connection: {host: /run/postgresql, user: walproof, tls: system}
  target: {lsn: three}
  backup: {id: ../x}
limits: {statement: 5h}
sandbox: {direct: {spool: 1Mi, directory: here}}
";
    let expected = "\
22 mistakes
walproof.yaml:5:12: `url` must begin with s3://, as in s3://bucket/path
walproof.yaml:6:19: `serverName`: `../app` must be one directory's name, without `/` or `..`
walproof.yaml:7:17: `endpoint` must begin with http:// or https://
walproof.yaml:8:42: `accessKeyId`: the file /nowhere/id cannot be read: No such file or directory (os error 2)
walproof.yaml:8:72: `secretAccessKey`: the file /nowhere/key cannot be read: No such file or directory (os error 2)
walproof.yaml:10:11: missing key `tls`: say `system`, `{caFile: …}` or, in a network you trust, `disable`
walproof.yaml:11:11: `user` is empty
walproof.yaml:13:18: `passwordFile` and `passwordEnv` exclude each other: keep one
walproof.yaml:14:44: `name`: `a.b.c` must be `table` or `schema.table`
walproof.yaml:14:61: two databases are called `docs`
walproof.yaml:14:75: `tables` is empty: leave the key out to compare all
walproof.yaml:15:26: `maxWalAge` must be longer than zero
walproof.yaml:16:17: `xid` must be from 3 to 4294967295, as in the WAL
walproof.yaml:17:9: two sources are called `app`
walproof.yaml:18:23: missing key `region`: AWS needs it (another store needs an `endpoint`)
walproof.yaml:18:91: `accessKeyId`: the environment variable WALPROOF_UNSET is not set
walproof.yaml:18:124: `secretAccessKey` must be the name of an environment variable
walproof.yaml:19:60: `tls` is not possible over a Unix socket: leave it out
walproof.yaml:20:17: `lsn`: `three` is not a position in the WAL, as 0/3000028
walproof.yaml:21:16: `id`: `../x` is not a backup's id, as 20261121T012331
walproof.yaml:22:21: limit `statement` (5h) is longer than limit `baseline` (10m)
walproof.yaml:23:27: `spool` must be at least 64Mi: a few WAL segments
walproof.yaml:23:43: `directory` must be an absolute path";
    assert_eq!(mistakes(text, Secrets::Read), expected.replace("22 mistakes", "23 mistakes"));
}

/// The mistakes in meaning of [`KUBERNETES`] with one change.
fn kubernetes_mistakes(written: &str, instead: &str) -> String {
    assert!(KUBERNETES.contains(written), "{written}");
    mistakes(&KUBERNETES.replace(written, instead), Secrets::LeaveUnread)
}

#[test]
fn a_cluster_is_looked_for_in_a_namespace() {
    assert_eq!(
        kubernetes_mistakes("  namespace: postgres\n", ""),
        "1 mistake\nwalproof.yaml:2:9: missing key `namespace`: `fromCluster` looks for the Cluster there"
    );
}

#[test]
fn a_key_that_cannot_be_copied_is_of_no_use_to_the_sandbox() {
    assert_eq!(
        kubernetes_mistakes("fromCluster: {}", "fromCluster: {credentials: ambient}"),
        "1 mistake\nwalproof.yaml:4:40: `credentials`: `fromCluster` needs a key that can be copied: `files` or \
         `environment`"
    );
}

#[test]
fn an_address_beside_the_clusters_own_is_checked_as_any_other() {
    assert_eq!(
        kubernetes_mistakes("fromCluster: {}", "fromCluster: {cluster: app/1, endpoint: localhost:9000}"),
        "2 mistakes\nwalproof.yaml:4:36: `cluster`: `app/1` must be at most 63 letters, digits, `.`, `_` and `-`, with a \
         letter or digit at both ends\nwalproof.yaml:4:53: `endpoint` must begin with http:// or https://"
    );
}

#[test]
fn a_sandbox_is_never_made_where_a_source_runs() {
    assert_eq!(
        kubernetes_mistakes("postgres-restore-test", "postgres"),
        "1 mistake\nwalproof.yaml:5:33: `namespace`: `postgres` is the source's own; a sandbox needs another"
    );
    // Not even beside another source of the same file.
    let other = "- name: docs\n  namespace: postgres-restore-test\n  archive: {fromCluster: {}}\nsandbox:";
    assert_eq!(
        kubernetes_mistakes("sandbox:", other),
        "1 mistake\nwalproof.yaml:8:33: `namespace`: `postgres-restore-test` is the source's own; a sandbox needs another"
    );
}

#[test]
fn the_operator_restores_only_what_a_cluster_describes() {
    let archive = "{s3: {url: s3://wal, serverName: app, region: eu-west-1, credentials: ambient}}";
    assert_eq!(
        kubernetes_mistakes("{fromCluster: {}}", archive),
        "1 mistake\nwalproof.yaml:2:9: the operator sandbox takes the source's Cluster for its model: use `archive: \
         {fromCluster: {}}`"
    );
}

#[test]
fn a_storage_factor_is_neither_too_small_nor_a_typing_error() {
    let with = |factor: &str| KUBERNETES.replace("restore-test}", &format!("restore-test, storageFactor: {factor}}}"));
    for factor in ["1", "1.0", "2.5", "20"] {
        assert!(Plan::all(&Config::parse(&with(factor), "walproof.yaml").unwrap(), Secrets::LeaveUnread).is_ok());
    }
    for factor in ["0.9", "0", "-2", "20.1", "200", ".nan", ".inf"] {
        assert_eq!(
            mistakes(&with(factor), Secrets::LeaveUnread),
            "1 mistake\nwalproof.yaml:5:71: `storageFactor` must be from 1 to 20",
            "{factor}"
        );
    }
}

#[test]
fn an_app_check_shows_no_more_lines_than_a_person_reads() {
    let with = |lines: &str| {
        let app = format!("restore-test, app: {{image: shop:1, outputLines: {lines}}}}}");
        KUBERNETES.replace("restore-test}", &app)
    };
    assert!(Plan::all(&Config::parse(&with("50"), "walproof.yaml").unwrap(), Secrets::LeaveUnread).is_ok());
    assert_eq!(
        mistakes(&with("51"), Secrets::LeaveUnread),
        "1 mistake\nwalproof.yaml:5:90: `outputLines` must be at most 50"
    );
    assert_eq!(
        structural_mistakes(&with("many")),
        "1 mistake\nwalproof.yaml:5:90: expected a whole number from 0 to 65535"
    );
}

#[test]
fn every_mistake_of_an_operator_sandbox_is_reported_at_once() {
    assert_eq!(
        kubernetes_mistakes(
            "{namespace: postgres-restore-test}",
            "{namespace: a/b, imageOverride: '', app: {image: ' ', limit: 0s}}"
        ),
        "\
4 mistakes
walproof.yaml:5:33: `namespace`: `a/b` must be at most 63 letters, digits, `.`, `_` and `-`, with a letter or digit at both \
ends
walproof.yaml:5:53: `imageOverride` is empty
walproof.yaml:5:70: `image` is empty
walproof.yaml:5:82: `limit` must be longer than zero"
    );
}

#[test]
fn a_configuration_is_checked_without_its_secrets() {
    let config = Config::parse(FULL, "walproof.yaml").unwrap();
    assert!(Plan::all(&config, Secrets::LeaveUnread).is_ok());
    let mistakes = Plan::all(&config, Secrets::Read).unwrap_err();
    assert_eq!(mistakes.all().len(), 6, "{mistakes}");
}

#[test]
fn secrets_come_from_files_without_their_last_line_break() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (id, key, empty) = (file("id", "AKIA\n"), file("key", "s3cr3t \r\n"), file("empty", "\n"));
    let text = |id: &str| {
        format!(
            "sources:\n- name: app\n  archive: {{s3: {{url: s3://wal, serverName: app, region: x, credentials: \
             {{files: {{accessKeyId: {id}, secretAccessKey: {key}}}}}}}}}\n"
        )
    };
    let config = Config::parse(&text(&id), "walproof.yaml").unwrap();
    let plan = Plan::for_source(&config, Some("app"), Secrets::Read).unwrap();
    let shown = format!("{plan:?}");
    let Archive::S3(archive) = plan.archive else { panic!("it is an s3 archive") };
    let Credentials::Keys { access_key_id, secret_access_key, session_token } = archive.credentials else {
        panic!("the keys were read")
    };
    assert_eq!((access_key_id.expose_secret(), secret_access_key.expose_secret()), ("AKIA", "s3cr3t "));
    assert!(session_token.is_none());
    assert!(!shown.contains("s3cr3t") && !shown.contains("AKIA"), "{shown}");

    let mistakes = mistakes(&text(&empty), Secrets::Read);
    assert!(mistakes.ends_with(&format!("`accessKeyId`: the file {empty} is empty")), "{mistakes}");
}

#[test]
fn credentials_within_an_address_are_refused_and_not_repeated() {
    let text = SMALL.replace("s3://wal,", "s3://id:hunter2@wal, endpoint: 'https://id:hunter2@minio',");
    let found = mistakes(&text, Secrets::Read);
    assert!(found.starts_with("2 mistakes\n") && !found.contains("hunter2"), "{found}");

    let text = with_line("connection: {host: db, user: a, password: hunter2, tls: disable}");
    let found = structural_mistakes(&text);
    assert!(found.contains("unknown key `password`") && !found.contains("hunter2"), "{found}");
}

#[test]
fn one_source_is_chosen_by_its_name() {
    let two = format!("{SMALL}{}", SMALL.trim_start_matches("sources:\n").replace("name: app", "name: docs"));
    let config = Config::parse(&two, "walproof.yaml").unwrap();
    assert_eq!(Plan::for_source(&config, Some("docs"), Secrets::Read).unwrap().source, "docs");
    assert_eq!(
        Plan::for_source(&config, Some("doc"), Secrets::Read).unwrap_err().to_string(),
        "1 mistake\nwalproof.yaml:2:3: no source is called `doc`; there are `app`, `docs`"
    );
    assert_eq!(
        Plan::for_source(&config, None, Secrets::Read).unwrap_err().to_string(),
        "1 mistake\nwalproof.yaml:2:3: several sources, and none was chosen: name one of `app`, `docs`"
    );
    let none = Config::parse("sources: []\n", "walproof.yaml").unwrap();
    assert_eq!(
        Plan::for_source(&none, None, Secrets::Read).unwrap_err().to_string(),
        "1 mistake\nwalproof.yaml:1:10: `sources` is empty: there is nothing to prove"
    );
}

#[test]
fn one_source_does_not_need_the_secrets_of_another() {
    let other = FULL.trim_start_matches("sources:\n").split("sandbox:").next().unwrap();
    let config = Config::parse(&format!("{SMALL}{other}"), "walproof.yaml").unwrap();
    assert!(Plan::for_source(&config, Some("app"), Secrets::Read).is_ok());
    assert!(Plan::for_source(&config, Some("pal-e-postgres"), Secrets::Read).is_err());
}

#[test]
fn a_file_that_cannot_be_read_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("walproof.yaml");
    let rendered = || {
        let error = Config::read(&path).unwrap_err();
        assert!(error.is_usage());
        error.render().replace(&path.display().to_string(), "walproof.yaml")
    };
    assert_eq!(
        rendered(),
        "error: failed to read the configuration walproof.yaml: No such file or directory (os error 2)\n\n\
         hint: name the configuration file with --config, and see that it can be read"
    );
    fs::write(&path, b"sources: \xff").unwrap();
    assert_eq!(
        rendered(),
        "error: failed to read the configuration walproof.yaml: invalid utf-8 sequence of 1 bytes from index 9\n\n\
         hint: save the file as UTF-8"
    );
    fs::write(&path, "source: []").unwrap();
    assert_eq!(
        rendered(),
        "error: failed to read the configuration walproof.yaml: 1 mistake\n\
         walproof.yaml:1:1: unknown key `source`, expected one of `sources`, `sandbox`, `require`, `limits`, \
         `history`, `publish`\n\n\
         hint: `walproof config schema` prints every key and value"
    );
    fs::write(&path, SMALL).unwrap();
    assert!(Config::read(&path).is_ok());
}

#[test]
fn the_committed_schema_is_the_types_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/walproof.schema.json");
    let schema = serde_json::to_string_pretty(&Config::schema()).unwrap() + "\n";
    if std::env::var_os("WALPROOF_RENEW").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|committed| committed == schema),
        "docs/walproof.schema.json is out of date: cargo run -- config schema > docs/walproof.schema.json"
    );
}

#[test]
fn every_key_is_described_in_the_schema_and_on_the_page() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let schema = Config::schema();
    let mut keys = BTreeSet::new();
    collect_keys(&schema, &mut keys);
    assert!(keys.contains("recoveryWindow") && keys.contains("secretAccessKey"), "{keys:?}");
    let missing: Vec<&String> = keys.iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not mention {missing:?}");
}

/// The names of all properties and of all choices that are written as a name alone.
fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let described = property.get("description").is_some() || property.get("$ref").is_some();
                let is_choice = object.contains_key("description") || object.contains_key("required");
                assert!(described || is_choice, "`{key}` has no description");
                keys.insert(key.clone());
            }
            keys.extend(object.get("const").and_then(Value::as_str).map(str::to_owned));
            for choice in object.get("enum").and_then(Value::as_array).into_iter().flatten() {
                keys.extend(choice.as_str().map(str::to_owned));
            }
            object.values().for_each(|value| collect_keys(value, keys));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}

#[test]
fn the_example_on_the_page_is_a_valid_configuration() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let examples: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        let config = Config::parse(example, "example.yaml").unwrap_or_else(|mistakes| panic!("{mistakes}"));
        Plan::all(&config, Secrets::LeaveUnread).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    }
}

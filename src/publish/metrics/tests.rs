//! The text of each kind of run, and what is never in it.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn passed() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/report-v1.json")).unwrap()
}

fn report(json: &Value) -> Report {
    serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// A drill that found a gap, and restored nothing.
fn failed() -> Report {
    let finding = |code, outcome, object| {
        let blame = (outcome == "failed").then_some("backups");
        json!({"code": code, "outcome": outcome, "blame": blame, "object": object, "summary": "something"})
    };
    report(&json!({
        "schema_version": 1,
        "walproof_version": "0.0.1",
        "command": "drill",
        "run_id": "20261122t124500z-a1b2c3",
        "source": "pal-e-postgres",
        "archive": "s3://postgres-wal/pal-e-postgres",
        "started_at": "2026-11-22T12:45:00Z",
        "finished_at": "2026-11-22T12:45:02Z",
        "verdict": "FAIL",
        "findings": [
            finding("wal.gap", "note", Some("000000010000000000000002")),
            finding("wal.gap", "failed", Some("000000010000000000000005")),
            finding("wal.gap", "failed", Some("000000010000000000000009")),
            finding("wal.gap", "passed", None),
            finding("backup.stale", "note", None),
            finding("backup.stale", "passed", None),
            finding("server.up", "passed", None),
            finding("server.up", "not_checked", None),
        ],
        "left_behind": ["namespace/walproof-1"],
    }))
}

fn series<'a>(report: Option<&'a Report>, objectives: &'a Objectives) -> Series<'a> {
    Series {
        source: "pal-e-postgres",
        namespace: Some("postgres"),
        command: report.map_or(Subject::Drill, |report| report.command),
        report,
        last_started_at: "2026-11-22T12:45:00Z".parse().unwrap(),
        last_success_at: Some("2026-11-21T12:46:12.5Z".parse().unwrap()),
        count: Some(Count { runs: 7, passed: 5 }),
        undelivered: Some(0),
        objectives,
    }
}

fn objectives() -> Objectives {
    let minutes = |minutes| Some(Duration::from_mins(minutes));
    Objectives { recovery_time: minutes(30), recovery_point: minutes(15), recovery_window: minutes(7 * 24 * 60) }
}

/// The samples of one family, without the labels that all have.
fn samples(text: &str, name: &str) -> Vec<String> {
    let name = format!("walproof_{name}");
    let common = |pair: &&str| !LABELS.iter().any(|label| pair.starts_with(&format!("{label}=")));
    let lines = text.lines().filter_map(|line| line.strip_prefix(&format!("{name}{{")));
    let lines = lines.map(|line| line.rsplit_once("} ").unwrap_or_else(|| panic!("{line}")));
    lines
        .map(|(labels, value)| {
            let own: Vec<&str> = labels.split(',').filter(common).collect();
            [own.join(","), value.to_owned()].join(" ").trim_start().to_owned()
        })
        .collect()
}

/// The names of the families in a text, without the prefix.
fn families(text: &str) -> Vec<&str> {
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE walproof_")?.split(' ').next());
    families.collect()
}

#[test]
fn the_metrics_of_a_drill_that_passed() {
    let (report, objectives) = (report(&passed()), objectives());
    let text = text(&series(Some(&report), &objectives));
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "[version]"));
}

#[test]
fn a_failed_drill_keeps_the_last_success_and_says_what_it_does_not_know_by_leaving_it_out() {
    let report = failed();
    let text = text(&series(Some(&report), &Objectives::default()));
    assert_eq!(samples(&text, "verdict"), ["verdict=\"FAIL\" 1", "verdict=\"INCONCLUSIVE\" 0", "verdict=\"PASS\" 0"]);
    assert_eq!(samples(&text, "last_run_timestamp_seconds"), ["1795351502"]);
    assert_eq!(samples(&text, "last_success_timestamp_seconds"), ["1795265172.5"]);
    assert_eq!(samples(&text, "wal_gaps"), ["2"]);
    assert_eq!(samples(&text, "sandbox_leftovers"), ["1"]);
    assert_eq!(
        samples(&text, "finding"),
        [
            "code=\"backup.stale\",outcome=\"passed\" 1",
            "code=\"server.up\",outcome=\"not_checked\" 1",
            "code=\"wal.gap\",outcome=\"failed\" 1",
        ]
    );
    assert_eq!(
        samples(&text, "findings"),
        ["outcome=\"failed\" 2", "outcome=\"not_checked\" 1", "outcome=\"note\" 2", "outcome=\"passed\" 3"]
    );
    assert_eq!(
        families(&text),
        [
            "build_info",
            "finding",
            "findings",
            "last_run_started_timestamp_seconds",
            "last_run_timestamp_seconds",
            "last_success_timestamp_seconds",
            "run_duration_seconds",
            "runs_passed_total",
            "runs_total",
            "sandbox_leftovers",
            "undelivered_reports",
            "verdict",
            "wal_gaps",
        ]
    );
}

#[test]
fn a_check_tells_of_the_archive_and_of_no_restore() {
    let mut json = passed();
    json["command"] = json!("check");
    json.as_object_mut().unwrap().remove("restore");
    let (report, objectives) = (report(&json), objectives());
    let text = text(&series(Some(&report), &objectives));
    assert_eq!(samples(&text, "newest_wal_timestamp_seconds"), ["1795263600"]);
    assert_eq!(samples(&text, "recovery_window_objective_seconds"), ["604800"]);
    let of_a_drill = [
        "phase_duration_seconds",
        "recovered_lsn_distance_bytes",
        "recovered_to_timestamp_seconds",
        "recovery_point_exposure_seconds",
        "recovery_point_objective_seconds",
        "recovery_time_objective_seconds",
        "recovery_time_seconds",
        "restored_bytes",
        "rows_compared",
        "sandbox_leftovers",
        "segments_replayed",
        "tables_compared",
    ];
    for family in families(&text) {
        assert!(!of_a_drill.contains(&family), "{family}");
    }
    assert!(text.lines().filter(|line| !line.starts_with('#')).all(|line| line.contains("command=\"check\"")));
}

#[test]
fn a_first_run_that_has_just_begun_says_so_and_nothing_else() {
    let nothing = Objectives::default();
    let series = Series { last_success_at: None, count: None, undelivered: Some(3), ..series(None, &nothing) };
    let text = text(&series);
    assert_eq!(families(&text), ["build_info", "last_run_started_timestamp_seconds", "undelivered_reports"]);
    assert_eq!(samples(&text, "last_run_started_timestamp_seconds"), ["1795351500"]);
    assert_eq!(samples(&text, "undelivered_reports"), ["3"]);
}

#[test]
fn every_metric_of_the_table_is_written() {
    let mut json = passed();
    let gap = json!({"code": "wal.gap", "outcome": "passed", "summary": "WAL is unbroken"});
    json["findings"].as_array_mut().unwrap().push(gap);
    let (report, objectives) = (report(&json), objectives());
    let text = text(&series(Some(&report), &objectives));
    let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name.strip_prefix("walproof_").unwrap()).collect();
    names.sort_unstable();
    assert_eq!(families(&text), names);
}

#[test]
fn names_say_the_unit() {
    for metric in METRICS {
        let end = match metric.unit {
            "Unix time" => "_timestamp_seconds",
            "seconds" => "_seconds",
            "bytes" | "bytes of WAL" => "_bytes",
            _ => "",
        };
        let is_time = metric.name.ends_with("_timestamp_seconds");
        assert!(metric.name.ends_with(end), "{}", metric.name);
        assert_eq!(is_time, metric.unit == "Unix time", "{}", metric.name);
        assert_eq!(
            metric.name.ends_with("_seconds"),
            matches!(metric.unit, "Unix time" | "seconds"),
            "{}",
            metric.name
        );
        assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
        assert!(metric.help.ends_with('.') && !metric.help.contains(['|', '\n', '\\']), "{}", metric.name);
    }
}

#[test]
fn no_label_value_breaks_out_of_its_quotes() {
    let mut json = passed();
    json["restore"]["phases"] = json!([{"name": "a\"} 1\nwalproof_verdict{x=\"\\", "duration_ms": 1000}]);
    let (report, nothing) = (report(&json), Objectives::default());
    let series = Series { source: "a\"b\\c\nd", namespace: None, ..series(Some(&report), &nothing) };
    let text = text(&series);
    assert!(text.contains(r#"cluster_name="a\"b\\c\nd",cluster_namespace="""#), "{text}");
    assert!(text.contains(r#"phase="a\"} 1\nwalproof_verdict{x=\"\\"} 1"#), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("walproof_verdict{")).count(), 3);
    assert!(text.ends_with('\n'));
}

#[test]
fn gaps_are_counted_only_where_something_looked_for_them() {
    let gap = |outcome: &str, object: Option<&str>| {
        let blame = (outcome == "failed").then_some("backups");
        json!({"code": "wal.gap", "outcome": outcome, "blame": blame, "object": object, "summary": "WAL"})
    };
    let segment = Some("000000010000000000000005");
    let cases: [(&str, Vec<Value>, &[&str]); 6] = [
        ("nothing was listed", vec![], &[]),
        ("only the end was listed", vec![gap("note", None)], &[]),
        ("WAL is unbroken", vec![gap("passed", None)], &["0"]),
        ("a gap that may close", vec![gap("note", segment)], &["0"]),
        ("a gap that closes while waited for", vec![gap("not_checked", segment)], &[]),
        ("a gap, and one that may close", vec![gap("failed", segment), gap("note", segment)], &["1"]),
    ];
    for (case, findings, expected) in cases {
        let mut json = passed();
        json["findings"] = Value::Array(findings);
        let (report, nothing) = (report(&json), Objectives::default());
        assert_eq!(samples(&text(&series(Some(&report), &nothing)), "wal_gaps"), expected, "{case}");
    }
}

#[test]
fn the_rows_that_were_compared_are_exact_or_left_out() {
    let table = |rows: u64, comparison: &str| json!({"database": "app", "table": "public.t", "rows_expected": rows, "comparison": comparison});
    let (exact, within, different) = (table(200, "exact"), table(100, "within_transactions"), table(7, "different"));
    let not_checked = table(50, "not_checked");
    // Tables and rows of the baseline, tables compared, tables listed.
    let cases = [
        ("all are listed", 2, 300, 2, vec![&exact, &within], Some(300)),
        ("a difference was compared too", 2, 207, 2, vec![&exact, &different], Some(207)),
        ("one could not be compared", 2, 250, 1, vec![&exact, &not_checked], Some(200)),
        ("some that passed are not listed", 900, 5000, 899, vec![&exact, &not_checked], Some(4950)),
        ("nothing was compared", 900, 5000, 0, vec![], Some(0)),
        ("a database was gone, and some that passed are not listed", 900, 5000, 700, vec![&exact, &not_checked], None),
    ];
    for (case, tables, rows, compared, listed, expected) in cases {
        let mut json = passed();
        json["restore"]["baseline"]["tables"] = json!(tables);
        json["restore"]["baseline"]["rows"] = json!(rows);
        json["restore"]["tables_compared"] = json!(compared);
        json["restore"]["tables"] = json!(listed);
        let (report, nothing) = (report(&json), Objectives::default());
        let expected: Vec<String> = expected.iter().map(u64::to_string).collect();
        assert_eq!(samples(&text(&series(Some(&report), &nothing)), "rows_compared"), expected, "{case}");
    }
}

#[test]
fn the_distance_to_the_baseline_has_its_sign() {
    for (stop, baseline, expected) in
        [("0/E000060", "0/E0000A0", "-64"), ("0/E0000A0", "0/E0000A0", "0"), ("1/10", "0/FFFFFFF0", "32")]
    {
        let mut json = passed();
        json["restore"]["stop_lsn"] = json!(stop);
        json["restore"]["baseline"]["lsn"] = json!(baseline);
        let (report, nothing) = (report(&json), Objectives::default());
        assert_eq!(samples(&text(&series(Some(&report), &nothing)), "recovered_lsn_distance_bytes"), [expected]);
    }
}

#[test]
fn what_the_operator_restored_has_no_size() {
    let mut json = passed();
    json["restore"]["sandbox"] = json!("operator");
    json["restore"]["bytes_unpacked"] = json!(0);
    let (report, nothing) = (report(&json), Objectives::default());
    assert_eq!(samples(&text(&series(Some(&report), &nothing)), "restored_bytes"), [""; 0]);
}

#[test]
fn two_phases_of_one_name_took_the_time_of_both() {
    let mut json = passed();
    let phase = |seconds: u64| json!({"name": "replay", "duration_ms": seconds * 1000});
    json["restore"]["phases"] = json!([phase(30), phase(12)]);
    let (report, nothing) = (report(&json), Objectives::default());
    let text = text(&series(Some(&report), &nothing));
    assert_eq!(samples(&text, "phase_duration_seconds"), ["phase=\"replay\" 42"]);
}

#[test]
fn a_metrics_file_is_one_that_the_collector_reads() {
    for refused in ["", "walproof", "walproof.txt", "walproof.prom.part", ".prom", "metrics/"] {
        assert!(refused.parse::<MetricsFile>().unwrap_err().contains(".prom"), "{refused}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("walproof.prom");
    let file: MetricsFile = path.to_str().unwrap().parse().unwrap();
    for text in ["first\n", "second\n"] {
        file.write(text).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let lost: MetricsFile = "/nowhere/walproof.prom".parse().unwrap();
    assert_eq!(lost.write("text\n").unwrap_err().to_string(), "write the metrics /nowhere/walproof.prom");
}

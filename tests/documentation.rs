//! What the pages say is what the program does: every code, weight, exit code and option, and the report's schema.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/fenced.rs"]
mod fenced;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use walproof::cli;
use walproof::config::Config;
use walproof::finding::Code;
use walproof::plan::{Plan, Requirement, Secrets};
use walproof::publish::metrics::METRICS;
use walproof::report::Report;
use walproof::sandbox::operator::permission::{PERMISSIONS, Place};
use walproof::verdict::{Subject, Verdict, Weight, weight};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All pages for people: the root's and those in docs/, by their paths.
fn pages() -> Vec<(PathBuf, String)> {
    let directories = [repository(), repository().join("docs")];
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap().flatten());
    let paths = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    let pages: Vec<_> = paths.map(|path| (path.clone(), read(path))).collect();
    assert!(pages.len() >= 7, "{} pages", pages.len());
    pages
}

/// The entries of docs/findings.md: the code in each heading, and the text below it.
fn entries() -> Vec<(String, String)> {
    let page = read("docs/findings.md");
    let sections = page.split("\n## `").skip(1).map(|section| section.split_once("`\n").unwrap());
    sections.map(|(code, text)| (code.to_owned(), text.to_owned())).collect()
}

fn entry(code: Code) -> String {
    entries().into_iter().find(|(name, _)| name == code.as_str()).unwrap_or_else(|| panic!("{}", code.as_str())).1
}

#[test]
fn every_code_has_its_entry_in_the_order_of_the_source_and_no_entry_is_without_a_code() {
    let headings: Vec<String> = entries().into_iter().map(|(code, _)| code).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(headings, codes);
}

#[test]
fn each_entry_begins_with_the_codes_title_and_says_what_to_do() {
    for &code in Code::ALL {
        let text = entry(code);
        let title = text.trim_start().lines().next().unwrap_or_default().to_lowercase();
        assert_eq!(title, format!("*{}.*", code.title()).to_lowercase(), "{}", code.as_str());
        for part in ["\n- **", "**Likely causes**", "**To do**: "] {
            assert!(text.contains(part), "{} lacks {part:?}", code.as_str());
        }
    }
}

#[test]
fn each_entry_names_its_weight_in_both_verdicts() {
    let word = |subject, code| match weight(subject, code) {
        Weight::Proof => "proof",
        Weight::NoDoubt => "no doubt",
        Weight::NoFault => "no fault",
        Weight::Free => "free",
    };
    for &code in Code::ALL {
        let expected = format!("Verdict: check: {}; drill: {}", word(Subject::Check, code), word(Subject::Drill, code));
        let text = entry(code);
        let stated: Vec<&str> = text.lines().filter(|line| line.starts_with("Verdict:")).collect();
        assert_eq!(stated, [expected.as_str()], "{}", code.as_str());
    }
}

#[test]
fn each_entry_says_which_requirement_raises_it() {
    let requirements = [
        Requirement::Objectives,
        Requirement::Freshness,
        Requirement::ExactBaseline,
        Requirement::App,
        Requirement::Content,
        Requirement::Integrity,
    ];
    let name = |requirement| match requirement {
        Requirement::Objectives => "objectives",
        Requirement::Freshness => "freshness",
        Requirement::ExactBaseline => "exactBaseline",
        Requirement::App => "app",
        Requirement::Content => "content",
        Requirement::Integrity => "integrity",
    };
    for &code in Code::ALL {
        for requirement in requirements {
            let stated = entry(code).contains(&format!("`require: [{}]` raises it to proof.", name(requirement)));
            assert_eq!(stated, requirement.codes().contains(&code), "{} and {}", code.as_str(), name(requirement));
        }
    }
}

#[test]
fn the_pages_name_every_exit_code_and_no_other() {
    let report = |verdict, left_behind: &[&str]| {
        let mut report: Report = serde_json::from_str(&read("tests/fixtures/report-v1.json")).unwrap();
        report.verdict = verdict;
        report.left_behind = left_behind.iter().map(|&left| left.to_owned()).collect();
        report.exit_code()
    };
    let constants = [cli::EXIT_OK, cli::EXIT_NOT_DONE, cli::EXIT_INCONCLUSIVE, cli::EXIT_USAGE, cli::EXIT_BUG];
    let verdicts = [
        report(Verdict::Pass, &[]),
        report(Verdict::Fail, &[]),
        report(Verdict::Inconclusive, &[]),
        report(Verdict::Pass, &["a directory"]),
    ];
    let expected: BTreeSet<u8> = constants.into_iter().chain(verdicts).collect();
    for page in ["docs/exit-codes.md", "README.md"] {
        let text = read(page);
        let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()?.parse().ok());
        assert_eq!(cells.collect::<BTreeSet<u8>>(), expected, "{page}");
    }
}

#[test]
fn every_option_that_a_page_mentions_exists() {
    let commands: [&[&str]; 10] = [
        &["check"],
        &["baseline"],
        &["drill"],
        &["sweep"],
        &["gate"],
        &["report"],
        &["forget"],
        &["config"],
        &["config", "check"],
        &["config", "schema"],
    ];
    let all: Vec<(String, BTreeSet<String>)> =
        commands.iter().map(|command| (command.join(" "), options_of(&help(command)))).collect();
    let any: BTreeSet<String> = all.iter().flat_map(|(_, options)| options.clone()).collect();
    let mut seen = 0;
    for (path, page) in pages() {
        for code in code_of(&page) {
            let known = match code.trim_start().strip_prefix("walproof ") {
                Some(rest) => {
                    let of_command = all.iter().rev().find(|(command, _)| rest.starts_with(command.as_str()));
                    &of_command.unwrap_or_else(|| panic!("{}: no such command: {code}", path.display())).1
                }
                None if code.starts_with("--") => &any,
                None => continue,
            };
            for option in options_of(&code) {
                seen += 1;
                assert!(known.contains(&option), "{}: {option} in `{code}`", path.display());
            }
        }
    }
    assert!(seen > 10, "only {seen} options were found on the pages");
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_walproof")).args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "walproof {} --help", command.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// `--words-like-this` in a text.
fn options_of(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !(character.is_ascii_lowercase() || character == '-'));
    words.filter(|word| word.len() > 2 && word.starts_with("--")).map(str::to_owned).collect()
}

/// The code on a page: each line of a fenced block without its comment, and each span between backticks.
fn code_of(page: &str) -> Vec<String> {
    let mut code = Vec::new();
    for (index, part) in page.split("```").enumerate() {
        if index % 2 == 1 {
            code.extend(part.lines().skip(1).map(|line| line.split(" # ").next().unwrap_or_default().to_owned()));
        } else {
            code.extend(part.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")));
        }
    }
    code
}

#[test]
fn no_page_names_the_host_of_a_package_registry() {
    let names = ["crates", "pypi", "pythonhosted", "npmjs", "docker", "quay", "ghcr", "golang", "rubygems"];
    for (path, page) in pages() {
        for name in names {
            for end in ["io", "org", "com"] {
                let host = format!("{name}.{end}");
                assert!(!page.contains(&host), "{} names {host}", path.display());
            }
        }
    }
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let mut seen = 0;
    for (path, page) in pages() {
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = path.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.exists(), "{} links to {target}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} links were found");
}

#[test]
fn every_configuration_on_a_page_is_valid() {
    for (page, expected) in [("README.md", 2), ("docs/kubernetes.md", 1)] {
        let text = read(page);
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let examples: Vec<&str> =
            blocks.filter(|block| block.contains("sources:\n- ") && !block.contains("\nconfig:")).collect();
        assert_eq!(examples.len(), expected, "{page}");
        examples.into_iter().for_each(assert_valid);
    }
}

#[test]
fn the_chart_is_installed_in_the_same_way_on_both_pages() {
    let pages = ["README.md", "docs/install.md"];
    let [readme, page] = pages.map(|page| fenced::block(page, "yaml", "existingSecret: walproof-postgres"));
    assert_eq!(readme.trim_start_matches("# values.yaml\n"), page);
    let [readme, page] = pages.map(|page| fenced::block(page, "sh", "helm install walproof"));
    let without_image: Vec<&str> = readme.lines().filter(|line| !line.starts_with("docker build ")).collect();
    assert_eq!(without_image, page.lines().collect::<Vec<_>>());
}

#[test]
fn the_configuration_that_is_installed_in_kubernetes_is_valid() {
    let manifest = read("docs/kubernetes/configuration.yaml");
    let (_, indented) = manifest.split_once("  walproof.yaml: |\n").unwrap();
    let lines: Vec<&str> = indented.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    assert_valid(&lines.join("\n"));
}

fn assert_valid(configuration: &str) {
    let config = Config::parse(configuration, "walproof.yaml").unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Plan::all(&config, Secrets::LeaveUnread).unwrap_or_else(|mistakes| panic!("{mistakes}"));
}

#[test]
fn every_known_trap_has_its_line() {
    let page = read("docs/what-is-proven.md");
    let traps = (1..=16).map(|n| format!("F{n}")).chain((1..=13).map(|n| format!("A{n}")));
    for trap in traps.chain([1, 2, 3, 4, 9].map(|n| format!("P{n}"))) {
        let is_line = |line: &&str| [format!("| {trap}: "), format!("- {trap}: ")].iter().any(|p| line.starts_with(p));
        assert_eq!(page.lines().filter(is_line).count(), 1, "{trap}");
    }
}

#[test]
fn the_committed_report_schema_is_the_types_schema() {
    let path = repository().join("docs/report.schema.json");
    let schema = serde_json::to_string_pretty(&Report::schema()).unwrap() + "\n";
    if std::env::var_os("WALPROOF_RENEW").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|committed| committed == schema),
        "docs/report.schema.json is out of date: WALPROOF_RENEW=1 cargo test --test documentation"
    );
}

#[test]
fn a_report_of_an_older_walproof_is_read_and_loses_nothing() {
    let text = read("tests/fixtures/report-v1.json");
    let report: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(report.verdict, Verdict::Pass);
    let written: Value = serde_json::from_str(&report.json()).unwrap();
    assert_contains(&written, &serde_json::from_str(&text).unwrap(), "report");
}

/// New fields may have come; none may be gone or have changed.
fn assert_contains(new: &Value, old: &Value, place: &str) {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            for (key, old) in old {
                let place = format!("{place}.{key}");
                assert_contains(new.get(key).unwrap_or_else(|| panic!("{place} is gone")), old, &place);
            }
        }
        (Value::Array(new), Value::Array(old)) => {
            assert_eq!(new.len(), old.len(), "{place}");
            for (index, (new, old)) in new.iter().zip(old).enumerate() {
                assert_contains(new, old, &format!("{place}[{index}]"));
            }
        }
        _ => assert_eq!(new, old, "{place}"),
    }
}

#[test]
fn the_roles_grant_exactly_what_the_drill_uses() {
    for (file, place) in
        [("source.yaml", Place::Source), ("sandbox.yaml", Place::Sandbox), ("identity.yaml", Place::Job)]
    {
        let text = read(format!("docs/kubernetes/{file}"));
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let mut granted = BTreeSet::new();
        for rule in documents
            .iter()
            .filter(|document| document["kind"] == "Role")
            .flat_map(|role| role["rules"].as_array().expect("a Role has rules"))
        {
            let list = |key: &str| -> Vec<String> { serde_json::from_value(rule[key].clone()).unwrap() };
            for group in list("apiGroups") {
                for resource in list("resources") {
                    granted.extend(list("verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
                }
            }
        }
        let used: BTreeSet<(String, String, String)> = PERMISSIONS
            .iter()
            .filter(|permission| permission.place == place)
            .flat_map(|permission| {
                let named = |verb: &&str| (permission.group.into(), permission.resource.into(), (*verb).to_owned());
                permission.verbs.iter().map(named)
            })
            .collect();
        assert_eq!(granted, used, "{file}");
    }
}

#[test]
fn the_page_of_metrics_is_made_of_their_table() {
    let path = repository().join("docs/metrics.md");
    let heading = "\n## All metrics\n\n";
    let page = read(&path);
    let (prose, _) = page.split_once(heading).unwrap();
    let rows = METRICS.iter().map(|metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, unit, labels, help) = (metric.kind.as_str(), metric.unit, labels.join(", "), metric.help);
        format!("| `{}` | {kind} | {unit} | {labels} | {help} |\n", metric.name)
    });
    let head = "| metric | type | unit | labels of its own | meaning |\n|---|---|---|---|---|\n";
    let made = format!("{prose}{heading}{head}{}", rows.collect::<String>());
    if std::env::var_os("WALPROOF_RENEW").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert!(read(&path) == made, "docs/metrics.md is out of date: WALPROOF_RENEW=1 cargo test --test documentation");
}

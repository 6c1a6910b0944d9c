//! What people are shown of a run: one page that needs nothing else, a note for auditors, and a listing. The page is
//! judged as XML, and by a real browser.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Value, json};
use support::process::run;
use support::reports::{REPORTS, history, history_value, report, value};
use walproof::history::History;
use walproof::report::{Report, html, listing, markdown};

const EVIL: &str = r#""><script>alert(1)</script>"#;

/// Every page that the fixtures give, with and without the history.
fn pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for (name, _) in REPORTS {
        let report = report(name);
        pages.push((name.to_owned(), html::page(&report, Some(&history()))));
        pages.push((format!("{name}-alone"), html::page(&report, None)));
    }
    let old: Report = serde_json::from_str(include_str!("fixtures/report-v1.json")).unwrap();
    pages.push(("old".to_owned(), html::page(&old, Some(&History::default()))));
    pages
}

fn parse<'page>(name: &str, page: &'page str) -> Document<'page> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn elements<'a>(document: &'a Document, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(name))
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    for (name, page) in pages() {
        for forbidden in
            ["http://", "https://", "src=", "<script", "<link", "<iframe", "@import", "url(h", "url(\"", "url('"]
        {
            assert!(!page.contains(forbidden), "{name} has {forbidden}");
        }
        let document = parse(&name, &page);
        let policy = elements(&document, "meta")
            .find(|meta| meta.attribute("http-equiv") == Some("Content-Security-Policy"))
            .unwrap();
        assert!(policy.attribute("content").unwrap().starts_with("default-src 'none';"), "{name}");
        let attributes = document.descendants().flat_map(|node| node.attributes());
        assert!(!attributes.map(|a| a.name().to_owned()).any(|a| a.starts_with("on") || a == "style"), "{name}");
    }
}

#[test]
fn a_page_can_be_read_by_ear() {
    for (name, page) in pages() {
        let document = parse(&name, &page);
        assert_eq!(elements(&document, "html").next().unwrap().attribute("lang"), Some("en"), "{name}");
        assert_eq!(elements(&document, "h1").count(), 1, "{name}");
        let levels: Vec<u32> =
            document.descendants().filter_map(|node| node.tag_name().name().strip_prefix('h')?.parse().ok()).collect();
        assert!(levels[0] == 1 && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{name}: {levels:?}");
        for header in elements(&document, "th") {
            assert!(matches!(header.attribute("scope"), Some("col" | "row")), "{name}");
        }
        let all: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
        let ids: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(ids.len(), all.len(), "{name}: an id stands twice");
        let named = document.descendants().filter_map(|node| node.attribute("aria-labelledby"));
        assert!(named.flat_map(str::split_whitespace).all(|id| ids.contains(id)), "{name}");
        for picture in elements(&document, "svg") {
            let is_part = picture.ancestors().skip(1).any(|node| node.has_tag_name("svg"));
            let is_hidden = picture.attribute("aria-hidden") == Some("true");
            let has = |child: &str| picture.children().any(|node| node.has_tag_name(child));
            let is_image = picture.attribute("role") == Some("img") && has("title") && has("desc");
            assert!(is_part || is_hidden || is_image, "{name}: a picture without words");
        }
    }
}

#[test]
fn the_colours_of_text_stand_off_their_ground() {
    let (_, page) = pages().remove(0);
    let sheet = page.split("<style>").nth(1).unwrap();
    let themes: Vec<&str> = sheet.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(themes.len(), 3, "light, dark and paper");
    for theme in themes {
        let luminance = |name: &str| {
            let (_, rest) = theme.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("{name} in {theme}"));
            let channel = |at: usize| {
                let part = f64::from(u8::from_str_radix(&rest[at..at + 2], 16).unwrap()) / 255.0;
                if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
        };
        for (text, ground, least) in ["ink", "quiet", "accent", "pass", "fail", "doubt"]
            .into_iter()
            .flat_map(|text| [(text, "paper", 4.5), (text, "soft", 4.5)])
            .chain([("fail", "hatch", 3.0)])
        {
            let (a, b) = (luminance(text), luminance(ground));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= least, "{text} on {ground}: {contrast:.2} in {theme}");
        }
    }
}

#[test]
fn the_verdict_and_its_reason_stand_first() {
    for (name, word, reason) in [
        ("pass", "PASS", "Proven by walproof's own restore"),
        ("fail", "FAIL", "WAL is missing: 000000010000000800000020"),
        ("inconclusive", "INCONCLUSIVE", "The recovery pod did not start"),
    ] {
        let page = html::page(&report(name), None);
        let document = parse(name, &page);
        let header = elements(&document, "header").next().unwrap();
        let text: String = header.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
        assert!(text.contains(word) && text.contains(reason), "{name}: {text}");
    }
}

/// Puts `evil` into each text of a document that its type takes it in, and counts them.
fn poison<T: serde::de::DeserializeOwned>(document: &mut Value, evil: &str) -> usize {
    let mut places = Vec::new();
    texts(document, String::new(), &mut places);
    let mut poisoned = 0;
    for place in places {
        let text = document.pointer_mut(&place).unwrap();
        let former = std::mem::replace(text, json!(evil));
        if T::deserialize(&*document).is_ok() {
            poisoned += 1;
        } else {
            *document.pointer_mut(&place).unwrap() = former;
        }
    }
    poisoned
}

fn texts(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::String(_) => places.push(place),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                texts(item, format!("{place}/{number}"), places);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                texts(field, format!("{place}/{name}"), places);
            }
        }
        _ => {}
    }
}

#[test]
fn no_name_becomes_markup_wherever_it_stands() {
    let mut past = history_value();
    assert!(poison::<History>(&mut past, EVIL) > 100);
    past["runs"][0]["ending"]["comment_url"] = json!(format!("javascript:{EVIL}"));
    past["runs"][1]["ending"]["comment_url"] = json!(format!("https://forge.example/{EVIL}"));
    let past: History = serde_json::from_value(past).unwrap();
    for (name, _) in REPORTS {
        let mut evil = value(name);
        assert!(poison::<Report>(&mut evil, EVIL) > 30, "{name}");
        let report: Report = serde_json::from_value(evil).unwrap();

        let page = html::page(&report, Some(&past));
        assert!(!page.contains(EVIL) && !page.contains("<script"), "{name}");
        assert!(page.matches("&lt;script&gt;").count() > 15, "{name}");
        let document = parse(name, &page);
        for link in elements(&document, "a") {
            assert!(link.attribute("href").unwrap().starts_with("https://forge.example/"), "{name}");
        }

        let note = markdown::note(&report, Some(&past));
        // Every other part between backticks is code, where markup means nothing.
        for line in note.lines().filter(|line| !line.starts_with("    ")) {
            for text in line.split('`').step_by(2) {
                assert!(!text.contains("<script"), "{name}: {line}");
            }
        }
    }
    let wild = listing::text(&past, false);
    assert!(wild.contains(EVIL), "a terminal knows no markup");
}

#[test]
fn nothing_moves_the_cursor_of_a_terminal() {
    let mut past = history_value();
    poison::<History>(&mut past, "a\u{1b}[2Jb\nc");
    let text = listing::text(&serde_json::from_value(past).unwrap(), false);
    assert!(!text.contains('\u{1b}') && text.lines().count() < 75, "{text}");
}

#[test]
fn a_page_stays_small_whatever_comes_in() {
    let mut huge = value("pass");
    let table = huge["restore"]["tables"][1].clone();
    huge["restore"]["tables"] = json!(vec![table; 5_000]);
    huge["restore"]["tables_compared"] = json!(20_000);
    let finding = huge["findings"][0].clone();
    huge["findings"] = json!(vec![finding; 5_000]);
    let phase = huge["restore"]["phases"][0].clone();
    huge["restore"]["phases"] = json!(vec![phase; 5_000]);
    let mut past = history_value();
    let run = past["runs"][0].clone();
    past["runs"] = json!(vec![run; 5_000]);
    let past: History = serde_json::from_value(past).unwrap();
    let huge: Report = serde_json::from_value(huge).unwrap();
    let page = html::page(&huge, Some(&past));
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    parse("huge", &page);
    assert!(page.contains("19,500 tables more are not listed"), "what is left out is said");
    assert!(markdown::note(&huge, Some(&past)).len() < 1 << 18);
}

#[test]
fn numbers_at_their_limits_break_no_picture() {
    let mut wild = value("pass");
    for phase in wild["restore"]["phases"].as_array_mut().unwrap() {
        phase["duration_ms"] = json!(u64::MAX);
    }
    wild["finished_at"] = json!("0001-01-01T00:00:00Z");
    wild["inventory"]["wal_runs"][0]["from"] = json!("9999-01-01T00:00:00Z");
    let mut past = history_value();
    past["runs"][0]["ending"]["recovery_time_ms"] = json!(u64::MAX);
    let past: History = serde_json::from_value(past).unwrap();
    let page = html::page(&serde_json::from_value(wild).unwrap(), Some(&past));
    parse("wild", &page);
    for attribute in [" x=\"-", " y=\"-", " width=\"-", " height=\"-"] {
        assert!(!page.contains(attribute), "{attribute}");
    }
}

#[test]
fn what_is_missing_is_drawn_and_said() {
    let page = html::page(&report("fail"), None);
    let document = parse("fail", &page);
    let bars = |class: &str| {
        let pictures = elements(&document, "svg").filter(|svg| svg.attribute("role") == Some("img"));
        pictures.flat_map(|svg| svg.descendants()).filter(|node| node.attribute("class") == Some(class)).count()
    };
    assert_eq!((bars("listed"), bars("missing"), bars("replayed"), bars("broken")), (2, 1, 0, 1));
    assert!(page.contains("Missing: 58 segments, between 2026-11-20 09:12:40 UTC and 2026-11-20 14:02:11 UTC."));
}

#[test]
fn the_note_for_auditors() {
    insta::assert_snapshot!("note_of_a_pass", markdown::note(&report("pass"), Some(&history())));
    insta::assert_snapshot!("note_of_a_fail", markdown::note(&report("fail"), None));
}

#[test]
fn the_listing() {
    let mut past = history_value();
    let runs = past["runs"].as_array_mut().unwrap();
    runs.drain(..runs.len() - 34);
    runs.last_mut().unwrap().as_object_mut().unwrap().remove("ending");
    insta::assert_snapshot!("listing", listing::text(&serde_json::from_value(past).unwrap(), false));
    insta::assert_snapshot!("listing_of_nothing", listing::text(&History::default(), false));
}

/// Debian's and others' name of the browser.
fn browser() -> &'static str {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let is_there = |name: &&str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|directory| directory.join(name).is_file())
    };
    names.into_iter().find(is_there).expect("no Chromium is here: scripts/setup installs it")
}

/// The page as the browser understood it, and what it complained of.
fn load(name: &str, page: &str) -> (String, Vec<String>) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join(format!("{name}.html"));
    fs::write(&file, page).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(browser());
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", file.display()));
    let finished = run(&mut command, Duration::from_mins(2));
    assert_eq!(finished.exit_code, 0, "{name}: {}", finished.stderr);
    let complaints = finished.stderr.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    (finished.stdout, complaints)
}

#[test]
fn a_browser_shows_each_page_without_complaint() {
    for (name, page) in pages() {
        let (shown, complaints) = load(&name, &page);
        assert_eq!(complaints, Vec::<String>::new(), "{name}");
        for part in ["</h1>", "id=\"about\"", "</main>"] {
            assert!(shown.contains(part), "{name} lacks {part}");
        }
    }
}

#[test]
fn a_browser_runs_no_script_that_got_into_a_page() {
    let page = html::page(&report("pass"), None);
    let script = "<script>document.title = 'ran'</script><img src=\"x.png\"/></main>";
    let (shown, complaints) = load("with-a-script", &page.replace("</main>", script));
    assert!(!shown.contains("<title>ran"), "the policy did not hold");
    assert!(complaints.len() >= 2, "the browser's complaints are not seen: {complaints:?}");
}

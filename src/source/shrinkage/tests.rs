use jiff::SignedDuration;

use super::*;
use crate::archive::wal::Timeline;
use crate::finding::Outcome;
use crate::history::fixture::at;

const TONIGHT: i64 = 40;

/// Tables and their rows.
type Rows<'a> = &'a [(&'a str, u64)];

fn map(rows: Rows) -> BTreeMap<String, u64> {
    rows.iter().map(|(table, rows)| (format!("shop.public.{table}"), *rows)).collect()
}

fn tonight(rows: Rows) -> Tonight {
    Tonight { rows: map(rows), not_read: BTreeSet::new() }
}

/// The recovery window of so many days.
fn window(days: i64) -> Window {
    Window {
        from: at(TONIGHT - days) - SignedDuration::from_hours(1),
        to: at(TONIGHT),
        timeline: Timeline(1),
        oldest_backup: "20261101T003000".to_owned(),
        last_segment: "0000000100000000000000FF".to_owned(),
        broken_by: None,
    }
}

/// Judges a source with the counts of former nights, the newest first.
fn judged(nights: &[BTreeMap<String, u64>], tonight: &Tonight, window: &Window) -> Option<Finding> {
    let nights: Vec<_> = (1..).zip(nights).map(|(ago, rows)| (at(TONIGHT - ago), rows)).collect();
    let mut findings = judge(&nights, tonight, Some(window));
    assert!(findings.len() <= 1);
    findings.pop()
}

/// One table among others that do not change: `past` are its counts, the newest first.
fn has_shrunk(past: &[u64], now: u64, window_days: i64) -> bool {
    let nights: Vec<_> = past.iter().map(|&rows| map(&[("queue", rows), ("other", 10_000_000)])).collect();
    let finding = judged(&nights, &tonight(&[("queue", now), ("other", 10_000_000)]), &window(window_days));
    match finding.unwrap().outcome {
        Outcome::Failed => true,
        Outcome::Passed => false,
        other => panic!("{other:?}"),
    }
}

fn times(number: usize, rows: u64) -> Vec<u64> {
    vec![rows; number]
}

#[test]
fn what_fell_is_told_from_what_varies() {
    let queue: Vec<u64> = [0, 40, 0, 0, 900, 3, 0, 70].repeat(4);
    let rare: Vec<u64> = [&times(5, 0)[..], &[500], &times(14, 0), &[500], &times(10, 0)].concat();
    let week = [times(5, 9000), times(2, 0)].concat();
    let cases: &[(&str, &[u64], u64, bool)] = &[
        ("emptied tonight", &[1000, 990, 980], 0, true),
        ("emptied tonight, and only last night is known", &[3], 0, true),
        ("emptied last night, and reported then", &[0, 1000, 990], 0, true),
        ("emptied five nights ago", &[0, 0, 0, 0, 0, 1000, 1000], 0, true),
        ("emptied, and a few rows since", &[5, 2, 0, 900, 900], 9, true),
        ("emptied, and as many rows as before since", &[700, 300, 0, 900, 900], 900, false),
        ("always empty", &[0, 0, 0], 0, false),
        ("a queue, empty tonight", &queue, 0, false),
        ("a queue, full tonight", &queue, 900, false),
        ("a table that has rows once in a while", &rare, 0, false),
        ("rows once, after long without any", &[&[0, 0, 500][..], &times(20, 0)].concat(), 0, false),
        ("filled for a week after its creation, then emptied", &[&times(6, 8000)[..], &times(20, 0)].concat(), 0, true),
        ("half of many rows", &[10_000, 9_000], 4_400, true),
        ("a little more than a half", &[10_000, 9_000], 4_600, false),
        ("half of few rows", &[1_000, 900], 300, false),
        ("half of many rows, some nights ago", &[4_000, 4_100, 9_000, 9_000], 4_200, true),
        ("a table that grew for weeks, then lost most", &[90_000, 60_000, 30_000, 9_000, 800, 100], 90, true),
        ("grew for weeks, and two nights' growth is lost", &[90_000, 30_000, 10_000], 12_000, false),
        ("less every night", &[3_000, 5_000, 7_000, 9_000], 2_000, false),
        (
            "one large import that was cleared up",
            &[&times(6, 1_000)[..], &[9_000], &times(20, 1_000)].concat(),
            1_000,
            false,
        ),
        ("grows", &[1000, 900], 1100, false),
        ("grew from nothing within the window", &[900, 500, 200, 0, 0], 0, true),
        ("falls every weekend", &week.repeat(3), 0, false),
        ("fell last weekend, which is no habit yet", &week.repeat(2)[..12], 0, true),
        ("lost again after an accident", &[times(6, 5_000_000), times(2, 0), times(6, 5_000_000)].concat(), 0, true),
        (
            "lost again, two nights ago",
            &[&[0, 0][..], &times(3, 5_000_000), &[0], &times(6, 5_000_000)].concat(),
            0,
            true,
        ),
    ];
    let wrong: Vec<&str> =
        cases.iter().filter(|(_, past, now, expected)| has_shrunk(past, *now, 7) != *expected).map(|it| it.0).collect();
    assert_eq!(wrong, Vec::<&str>::new());
}

#[test]
fn a_fall_is_reported_as_long_as_a_night_before_it_can_be_recovered() {
    for nights_ago in 0..12 {
        let past = [times(nights_ago, 0), times(20 - nights_ago, 1000)].concat();
        assert_eq!(has_shrunk(&past, 0, 7), nights_ago < 7, "{nights_ago} nights ago");
    }
}

#[test]
fn a_night_behind_a_gap_of_wal_cannot_be_recovered() {
    let nights = [map(&[("notes", 5000)]), map(&[("notes", 5000)]), map(&[("notes", 4000)])];
    let empty = tonight(&[("notes", 0)]);
    let mut window = window(7);
    window.to = at(TONIGHT - 2) - SignedDuration::from_hours(1);
    window.broken_by = Some("2 segments".to_owned());
    let finding = judged(&nights, &empty, &window).unwrap();
    assert!(finding.expected.unwrap().contains("4,000 rows on 2026-12-07"), "the third night is the newest of use");
    window.to = at(TONIGHT - 10);
    assert_eq!(judged(&nights, &empty, &window), None, "no night can be recovered");
    window.broken_by = None;
    assert!(judged(&nights, &empty, &window).is_some(), "an idle source writes no WAL");
}

#[test]
fn without_former_nights_nothing_is_said() {
    assert_eq!(judge(&[], &tonight(&[("notes", 5)]), Some(&window(7))), []);
    assert_eq!(judged(&[], &tonight(&[]), &window(7)), None);
}

#[test]
fn a_sound_source_is_said_to_be_compared() {
    let nights = [map(&[("notes", 5)]), map(&[("notes", 4)])];
    let finding = judged(&nights, &tonight(&[("notes", 6)]), &window(7)).unwrap();
    assert_eq!(finding.outcome, Outcome::Passed);
    assert_eq!(
        finding.summary,
        "compared with 2 former nights, no table was emptied, lost half of its rows or is gone"
    );
}

#[test]
fn the_finding_names_tables_numbers_the_last_good_night_and_the_time_left() {
    let before = map(&[("notes", 200_000), ("users", 3_000), ("tags", 12), ("other", 50_000)]);
    let nights = [map(&[("notes", 0), ("users", 3_000), ("tags", 12), ("other", 50_000)]), before.clone(), before];
    let now = tonight(&[("notes", 0), ("users", 900), ("other", 50_000)]);
    let finding = judged(&nights, &now, &window(7)).unwrap();
    assert_eq!((finding.outcome, finding.blame), (Outcome::Failed, Some(Blame::Source)));
    assert_eq!(
        finding.summary,
        "the source shrank: all tables together lost 79 % of its rows, shop.public.notes is empty, shop.public.users \
         lost 70 % of its rows, shop.public.tags is gone; the night before, 2026-12-08 01:00:00 UTC, can be recovered \
         for about 5 d 1 h more"
    );
    assert_eq!(
        finding.expected.unwrap(),
        "all tables together: 253,000 rows on 2026-12-08 01:00:00 UTC; shop.public.notes: 200,000 rows on 2026-12-08 \
         01:00:00 UTC; shop.public.users: 3,000 rows on 2026-12-09 01:00:00 UTC; shop.public.tags: 12 rows on \
         2026-12-09 01:00:00 UTC"
    );
    assert_eq!(
        finding.observed.unwrap(),
        "all tables together: 50,900; shop.public.notes: 0; shop.public.users: 900; shop.public.tags: gone"
    );
    assert!(finding.hint.unwrap().contains("recover the night of 2026-12-08 01:00:00 UTC into a new cluster"));
}

#[test]
fn five_are_named_and_the_others_counted() {
    let tables: Vec<String> = (b'a'..=b'h').map(|letter| char::from(letter).to_string()).collect();
    let with = |rows| tables.iter().map(|table| (table.as_str(), rows)).collect::<Vec<_>>();
    let finding = judged(&[map(&with(10))], &tonight(&with(0)), &window(7)).unwrap();
    assert_eq!(finding.summary.matches(" is empty").count(), NAMED);
    assert!(finding.summary.contains(", and 4 more;"), "{}", finding.summary);
}

#[test]
fn many_small_falls_are_one_large_one() {
    let tables: Vec<String> = (b'a'..=b'z').map(|letter| char::from(letter).to_string()).collect();
    let with = |rows| tables.iter().map(|table| (table.as_str(), rows)).collect::<Vec<_>>();
    let summary = |rows| judged(&[map(&with(1000))], &tonight(&with(rows)), &window(7)).unwrap();
    assert!(summary(700).summary.starts_with("the source shrank: all tables together lost 30 % of its rows;"));
    assert_eq!(summary(850).outcome, Outcome::Passed);
}

#[test]
fn a_table_that_is_gone_is_told_from_one_that_was_not_read_or_comes_and_goes() {
    let with = |rows: Rows| map(&[rows, &[("other", 10_000_000)]].concat());
    let had = |rows: u64| with(&[("notes", rows)]);
    let without = with(&[]);
    let now = |rows: Rows| Tonight { rows: with(rows), not_read: BTreeSet::new() };
    let gone = |nights: &[BTreeMap<String, u64>], tonight: &Tonight| {
        judged(nights, tonight, &window(7)).unwrap().outcome == Outcome::Failed
    };
    assert!(gone(&[had(5), had(5)], &now(&[])));
    assert!(gone(&[without.clone(), without.clone(), had(5), had(5)], &now(&[])), "two nights ago");
    assert!(!gone(&[had(5), without.clone(), had(5), without.clone()], &now(&[])), "it comes and goes");
    assert!(!gone(&[had(5), had(5)], &now(&[("notes", 7)])));
    for not_read in ["shop.public.notes", "shop."] {
        let tonight = Tonight { not_read: [not_read.to_owned()].into(), ..now(&[]) };
        assert!(!gone(&[had(5), had(5)], &tonight), "{not_read} was not read");
    }
    // Of a source with many tables only the largest are remembered.
    let largest: BTreeMap<String, u64> =
        (0..TABLES_KEPT as u64).map(|n| (format!("shop.public.t{n}"), 100 + n)).collect();
    let mut now = Tonight { rows: largest.clone(), not_read: BTreeSet::new() };
    now.rows.insert("shop.public.small".to_owned(), 1);
    assert!(!gone(&[largest.clone(), largest.clone()], &now), "a small one that nobody remembers");
}

#[test]
fn a_partition_that_its_successors_replace_is_not_missed() {
    let night = |months: &[u32], rows: u64| -> BTreeMap<String, u64> {
        months.iter().map(|month| (format!("shop.public.events_2026_{month:02}"), rows)).collect()
    };
    let former = [night(&[9, 10, 11], 40_000), night(&[9, 10, 11], 39_000)];
    let outcome = |rows| {
        let tonight = Tonight { rows, not_read: BTreeSet::new() };
        judged(&former, &tonight, &window(7)).unwrap().outcome
    };
    assert_eq!(outcome(night(&[10, 11, 12], 40_000)), Outcome::Passed);
    assert_eq!(outcome(night(&[11], 40_000)), Outcome::Failed, "two of three are gone, and their rows with them");
    assert_eq!(outcome(night(&[], 0)), Outcome::Failed, "all are gone");
    assert_eq!(without_numbers("a1.b22_c333"), "a#.b#_c#");
}

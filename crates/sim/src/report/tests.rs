//! The page from figures that the tests make up, and once from runs of a small fleet.
use super::*;
use crate::catalogue;
use crate::summary::Moment;

/// A report in which a policy's crashed hosts and speed are its place in the list.
pub(crate) fn made_up() -> Report {
    let scenario = catalogue::scenario("july-2024").unwrap();
    let row = |(at, (name, _)): (u32, &(&str, &str))| {
        let policy = catalogue::policy(name).unwrap();
        let asked = Asked { scenario: &scenario, policy: &policy, mode: Mode::Counts, seed: 1 };
        let mut cell = summary::of(asked, &[], 0.0);
        cell.crashed.max = 10_u64.pow(at.min(6));
        let t99 = Some(300.0 * f64::from(at + 1));
        cell.t99_s = Moment { median: t99, max: t99, reached: 1 };
        let cells = vec![cell; COLUMNS.len()];
        Row {
            policy: (*name).to_owned(),
            about: policy.about.clone(),
            ours: is_ours(&policy),
            cells,
        }
    };
    let rows: Vec<Row> = (0..).zip(POLICIES).map(row).collect();
    let point = |at: u32| TracePoint {
        at_s: f64::from(at) * 5.0,
        exposed: u64::from(at) * 1000,
        crashed: u64::from(at),
        e: f64::from(at).exp(),
    };
    let trace = |row: &Row| {
        let points = (1..200).map(point).collect();
        Trace { policy: row.policy.clone(), ours: row.ours, points }
    };
    Report {
        asked: rows[0].cells[0].clone(),
        about: "Faults <b>& \"quotes\"".to_owned(),
        cell_runs: 1,
        traces: rows.iter().map(trace).collect(),
        threshold: Some(1000.0),
        rows,
    }
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = html(&made_up());
    for word in ["http:", "https:", "src=", "href=", "<script", "@import", "url(", "javascript"] {
        assert!(!page.contains(word), "{word} in the page");
    }
    assert!(page.contains("<style>") && page.ends_with("</html>\n"));
}

#[test]
fn words_from_files_cannot_become_markup() {
    let page = html(&made_up());
    assert!(page.contains("Faults &lt;b&gt;&amp; &quot;quotes&quot;."));
    assert!(!page.contains("<b>&"));
}

#[test]
fn tags_close_in_the_order_in_which_they_open() {
    let page = html(&made_up());
    let mut open: Vec<&str> = Vec::new();
    let single = ["meta", "line", "circle", "path", "!DOCTYPE"];
    for tag in page.split('<').skip(1) {
        let name = tag.split(['>', ' ', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "near <{}", &tag[..tag.len().min(60)]),
            None if single.contains(&name) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn every_policy_is_a_point_a_line_and_a_row() {
    let report = made_up();
    let page = html(&report);
    assert_eq!(page.matches("<circle").count(), POLICIES.len());
    for (name, _) in POLICIES {
        // frontier, two charts over time, table; ours in the chart of evidence too
        let ours = name.starts_with("andon");
        let text = format!(">{name}</");
        assert_eq!(page.matches(&text).count(), if ours { 5 } else { 4 }, "{name}");
    }
    assert!(page.contains("halt at E = 1/α = 1000"));
}

#[test]
fn losses_are_told() {
    let mut report = made_up();
    assert!(page::losing(&report).is_empty(), "{:?}", page::losing(&report));
    report.asked.policy = POLICIES[2].0.to_owned();
    let lines = page::losing(&report);
    assert_eq!(lines.len(), COLUMNS.len());
    assert_eq!(lines[0], "july-2024: andon-10min-8500 100; better: andon 1, andon-850 10");
    // A false halt of a good update is worse than any delay.
    report.rows[0].cells[SPEED].false_halts = 1;
    assert!(!page::losing(&report)[SPEED].contains("andon 5 min"), "{:?}", page::losing(&report));
    assert!(html(&report).contains("<li>july-2024"));
}

/// Contrast of two colours by WCAG 2.2: 4.5 is needed for text.
fn contrast(one: &str, other: &str) -> f64 {
    let light = |colour: &str| {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5) + 0.05
    };
    let (one, other) = (light(one), light(other));
    (one / other).max(other / one)
}

#[test]
fn all_text_is_readable_in_the_light_in_the_dark_and_on_paper() {
    let style = include_str!("style.css");
    let themes: Vec<&str> = style.split(":root {").skip(1).collect();
    assert_eq!(themes.len(), 3);
    for theme in themes {
        let colour = |name: &str| {
            let from = theme.find(&format!("--{name}: ")).unwrap() + name.len() + 4;
            theme[from..from + 7].to_owned()
        };
        for name in ["ink", "soft", "ours", "peer", "alarm"] {
            let seen = contrast(&colour(name), &colour("paper"));
            assert!(seen >= 4.5, "{name} has contrast {seen:.2} in {theme}");
        }
    }
}

#[test]
fn a_small_fleet_can_be_gathered() {
    let scenario = catalogue::scenario("small-200").unwrap();
    let policy = catalogue::policy("andon").unwrap();
    let asked = Asked { scenario: &scenario, policy: &policy, mode: Mode::Counts, seed: 1 };
    let summary = summary::of(asked, &[crate::outcome::RunOutcome::default()], 0.0);
    let wanted = Wanted {
        scenario: &scenario,
        policy: &policy,
        mode: Mode::Counts,
        seed: 1,
        threads: 2,
        asked: &summary,
    };
    let report = gather(wanted, &|_, _| {}).unwrap();
    assert_eq!((report.rows.len(), report.traces.len()), (POLICIES.len(), POLICIES.len()));
    for (row, (name, _)) in report.rows.iter().zip(POLICIES) {
        assert_eq!(row.policy, *name);
        let columns: Vec<&str> = row.cells.iter().map(|cell| cell.scenario.as_str()).collect();
        assert_eq!(columns, COLUMNS);
        assert!(row.cells.iter().all(|cell| cell.policy == *name && cell.hosts == 200));
    }
    assert_eq!(report.rows.iter().find(|row| row.policy == "all-at-once").unwrap().blast(), 200);
    assert!(html(&report).contains("</svg>"));
}

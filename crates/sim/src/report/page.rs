//! The page around the charts: what was asked, the table of everything, where we lose, how to repeat it.
use super::charts::{self, What};
use super::svg::{escape, hosts, span};
use super::{COLUMNS, Report, Row};
use crate::summary::Summary;
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

/// The whole page.
#[must_use]
pub fn html(report: &Report) -> String {
    let asked = &report.asked;
    let title = format!("{} under {}", asked.scenario, asked.policy);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Andon simulation: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        title = escape(&title)
    );
    let mut put = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    put(&format!("<h1>{}</h1>\n<p>{}.</p>", escape(&title), escape(&report.about)));
    put(&figures(asked));
    put(
        "<h2>Frontier</h2>\n<p>Left is faster, low is safer; every policy is one point. Andon's policies are \
         filled.</p>",
    );
    put(&figure(&charts::frontier(report)));
    put(&format!("<h2>{} over time</h2>", escape(&asked.scenario)));
    put(&figure(&charts::hosts_over_time(report, What::Exposed, "hosts that have the update")));
    if report.traces.iter().any(|trace| trace.points.iter().any(|point| point.crashed > 0)) {
        put(&figure(&charts::hosts_over_time(report, What::Crashed, "hosts crashed")));
    }
    if let Some(chart) = charts::evidence(report) {
        put(
            "<h2>Evidence</h2>\n<p>E multiplies with every host that falls silent or complains among those that \
             have the update rather than among the rest. A good update reaches the line in at most a share \
             α of all rollouts, however often one looks.</p>",
        );
        put(&figure(&chart));
    }
    put(&table(report));
    put(&losses(report));
    put(&repeat(asked));
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn figure(chart: &str) -> String {
    format!("<figure>\n{chart}</figure>")
}

/// The figures that were asked for.
fn figures(it: &Summary) -> String {
    let when = |moment: Option<f64>| moment.map_or("–".to_owned(), span);
    let three = |h: &crate::summary::Hosts| {
        format!("{} median, {} in 99.9 %, {} worst", hosts(h.median), hosts(h.p999), hosts(h.max))
    };
    let rows = [
        (
            "fleet",
            format!("{} hosts of {} operators", hosts(it.hosts), hosts(u64::from(it.operators))),
        ),
        ("played", format!("{} runs, seed {}, {}", hosts(it.runs), it.seed, it.mode.word())),
        ("crashed", three(&it.crashed)),
        ("got the update", three(&it.exposed)),
        (
            "halted",
            format!(
                "{} of {} runs; after {} median, {} at the latest; {} of them without reason",
                hosts(it.halted.count),
                hosts(it.runs),
                when(it.halted.median_s),
                when(it.halted.max_s),
                hosts(it.false_halts)
            ),
        ),
        (
            "99 % handed out",
            format!("{} median, {} at the latest", when(it.t99_s.median), when(it.t99_s.max)),
        ),
        ("need a person", format!("{} at worst", hosts(it.hands.max))),
        ("budget overdrawn", format!("{} times", hosts(it.violations))),
        ("not detectable", it.undetectable.clone()),
        (
            "not played",
            if it.not_played.is_empty() { "–".to_owned() } else { it.not_played.join(", ") },
        ),
    ];
    let mut out = String::from("<table class=\"figures\">\n");
    for (name, value) in rows {
        let _never_fails =
            writeln!(out, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escape(&value));
    }
    out + "</table>"
}

/// Whether a column's figure is crashed hosts; else it is time.
fn is_faulty(column: usize) -> bool {
    column < super::SPEED
}

/// What a cell is compared by: hosts crashed, or seconds; a good update halted or not delivered is worst.
#[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^53")]
fn cost(cell: &Summary, column: usize) -> f64 {
    if is_faulty(column) {
        return cell.crashed.max as f64;
    }
    let delivered = cell.t99_s.median.unwrap_or(f64::INFINITY);
    if cell.false_halts > 0 { f64::INFINITY } else { delivered }
}

fn cell_text(cell: &Summary, column: usize) -> String {
    let halts = match cell.false_halts {
        0 => String::new(),
        halts => format!(", {halts} false"),
    };
    if is_faulty(column) {
        return hosts(cell.crashed.max);
    }
    cell.t99_s.median.map_or("not reached".to_owned(), span) + &halts
}

/// All policies in all scenarios.
fn table(report: &Report) -> String {
    let mut out = format!(
        "<h2>Every policy, every scenario</h2>\n<p>Faulty updates: hosts crashed in the worst of {} runs. Good \
         updates: time to 99 %, and halts without reason. The best of a column is bold. {} hosts.</p>\n\
         <div class=\"wide\"><table class=\"all\">\n<thead><tr><th scope=\"col\">policy</th>",
        report.cell_runs,
        hosts(report.asked.hosts)
    );
    for column in COLUMNS {
        let _never_fails = write!(out, "<th scope=\"col\">{column}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &report.rows {
        let class = if row.ours { "ours" } else { "peer" };
        let _never_fails = write!(
            out,
            "<tr class=\"{class}\"><th scope=\"row\" title=\"{}\">{}</th>",
            escape(&row.about),
            escape(&row.policy)
        );
        for (column, cell) in row.cells.iter().enumerate() {
            let text = escape(&cell_text(cell, column));
            let best = report.rows.iter().filter_map(|row| row.cells.get(column));
            let best = best.map(|cell| cost(cell, column)).fold(f64::INFINITY, f64::min);
            let own = cost(cell, column);
            let text = if own <= best && own.is_finite() { format!("<b>{text}</b>") } else { text };
            let _never_fails = write!(out, "<td>{text}</td>");
        }
        out.push_str("</tr>\n");
    }
    out + "</tbody>\n</table></div>"
}

/// Where another policy does better than the one asked for, in plain words.
pub(super) fn losing(report: &Report) -> Vec<String> {
    let Some(own) = report.rows.iter().find(|row| row.policy == report.asked.policy) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (column, name) in COLUMNS.iter().enumerate() {
        let Some(ours) = own.cells.get(column) else { continue };
        let better = |row: &&Row| {
            row.cells.get(column).is_some_and(|cell| cost(cell, column) < cost(ours, column))
        };
        let ahead: Vec<String> = report
            .rows
            .iter()
            .filter(better)
            .map(|row| format!("{} {}", row.policy, cell_text(&row.cells[column], column)))
            .collect();
        if !ahead.is_empty() {
            let ours = cell_text(ours, column);
            lines.push(format!("{name}: {} {ours}; better: {}", own.policy, ahead.join(", ")));
        }
    }
    lines
}

fn losses(report: &Report) -> String {
    let lines = losing(report);
    let policy = escape(&report.asked.policy);
    if lines.is_empty() {
        return format!("<h2>Where {policy} loses</h2>\n<p>In none of these scenarios.</p>");
    }
    let mut out = format!("<h2>Where {policy} loses</h2>\n<ul>\n");
    for line in lines {
        let _never_fails = writeln!(out, "<li>{}</li>", escape(&line));
    }
    out + "</ul>"
}

fn repeat(it: &Summary) -> String {
    let command = format!(
        "andon simulate {} --policy {} --hosts {} --operators {} --runs {} --seed {} --mode {} --report out.html",
        it.scenario,
        it.policy,
        it.hosts,
        it.operators,
        it.runs,
        it.seed,
        it.mode.word()
    );
    format!(
        "<h2>To repeat it</h2>\n<p><code>{}</code></p>\n<p>Hash over every event of the figures above: \
         <code>{}</code>. The same seed gives the same hash on any machine and any number of threads. \
         Peers are models of their documented rules, each with its source in its policy file.</p>",
        escape(&command),
        it.trace_hash
    )
}

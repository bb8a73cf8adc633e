//! The charts: frontier, hosts over time, evidence over time. All axes are logarithmic: what matters
//! spans seconds to days and one host to millions.
use super::labels::{self, Area};
use super::svg::{self, Canvas, MOMENTS, Scale};
use super::{Report, Trace};
use crate::outcome::TracePoint;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 440.0;
/// Left, top, right and bottom of the space inside the axes.
const FRAME: Area = Area { left: 70.0, top: 16.0, right: 880.0, bottom: 388.0 };
/// The same where lines end in words.
const LINES: Area = Area { right: 720.0, ..FRAME };
/// Most points of a line: more than pixels would only make the file large.
const POINTS_MAX: usize = 400;

/// Axes with their grid.
fn axes(canvas: &mut Canvas, frame: Area, x: (&Scale, &str), y: (&Scale, &str, fn(f64) -> String)) {
    for tick in x.0.ticks(&MOMENTS, 48.0) {
        let at = x.0.at(tick);
        canvas.line("grid", (at, frame.top), (at, frame.bottom));
        canvas.text("tick", (at, frame.bottom + 18.0), "middle", &svg::span(tick));
    }
    for tick in y.0.ticks(&svg::decades(), 20.0) {
        let at = y.0.at(tick);
        canvas.line("grid", (frame.left, at), (frame.right, at));
        canvas.text("tick", (frame.left - 8.0, at + 4.0), "end", &y.2(tick));
    }
    canvas.line("axis", (frame.left, frame.bottom), (frame.right, frame.bottom));
    canvas.line("axis", (frame.left, frame.top), (frame.left, frame.bottom));
    canvas.text("name", (frame.right, frame.bottom + 42.0), "end", x.1);
    canvas.text("name", (frame.left + 6.0, frame.top + 4.0), "start", y.1);
}

/// Blast radius against speed: a point per policy. Left and low is better.
pub(super) fn frontier(report: &Report) -> String {
    let hosts = as_f64(report.asked.hosts);
    let known: Vec<f64> = report.rows.iter().filter_map(super::Row::t99_s).collect();
    let latest = known.iter().copied().fold(600.0, f64::max) * 2.5;
    let first = known.iter().copied().fold(60.0, f64::min) * 0.6;
    let x = Scale::new(first, latest, FRAME.left, FRAME.right);
    let y = Scale::new(0.7, hosts * 2.0, FRAME.bottom, FRAME.top);
    let mut canvas = Canvas::new(WIDTH, HEIGHT, "Frontier: hosts crashed against time to 99 %");
    let title = "hosts crashed by a fault at load, worst case";
    axes(
        &mut canvas,
        FRAME,
        (&x, "time until 99 % of a good update's hosts have it (right edge: not reached)"),
        (&y, title, svg::short_hosts),
    );
    let mut points: Vec<(f64, f64, String, bool)> = report
        .rows
        .iter()
        .map(|row| {
            let at = x.at(row.t99_s().unwrap_or(latest));
            // Nobody crashed has no place on a logarithmic axis: it is drawn at the lower edge.
            (at, y.at(as_f64(row.blast())), row.policy.clone(), row.ours)
        })
        .collect();
    points.sort_by_key(|point| !point.3);
    let words: Vec<_> = points.iter().map(|(x, y, words, _)| (*x, *y, words.clone())).collect();
    let inside = Area { top: FRAME.top + 14.0, ..FRAME };
    for ((x, y, words, ours), area) in points.iter().zip(labels::place(&words, inside)) {
        let class = if *ours { "ours" } else { "peer" };
        let middle = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
        let near_x = x.clamp(area.left, area.right);
        if (near_x - x).hypot(middle.1 - y) > 20.0 {
            canvas.line("leader", (*x, *y), (near_x, middle.1));
        }
        canvas.put(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="5"/>"#));
        canvas.text(&format!("label {class}"), (area.left, area.bottom - 3.0), "start", words);
    }
    canvas.finish()
}

/// What a trace chart shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Exposed,
    Crashed,
    Evidence,
}

impl What {
    fn of(self, point: &TracePoint) -> f64 {
        match self {
            What::Exposed => as_f64(point.exposed),
            What::Crashed => as_f64(point.crashed),
            What::Evidence => point.e,
        }
    }
}

/// Hosts over time, a line per policy.
pub(super) fn hosts_over_time(report: &Report, what: What, title: &str) -> String {
    let y = Scale::new(0.7, as_f64(report.asked.hosts) * 1.5, LINES.bottom, LINES.top);
    let mut canvas = Canvas::new(WIDTH, HEIGHT, title);
    let x = time(&report.traces);
    axes(
        &mut canvas,
        LINES,
        (&x, "time after the first activation"),
        (&y, title, svg::short_hosts),
    );
    let drawn: Vec<&Trace> = report.traces.iter().collect();
    draw(&mut canvas, &drawn, what, &x, &y);
    canvas.finish()
}

/// E over time with the line at which it halts; `None` without a gate.
pub(super) fn evidence(report: &Report) -> Option<String> {
    let drawn: Vec<&Trace> = report.traces.iter().filter(|trace| trace.ours).collect();
    let threshold = report.threshold.unwrap_or(1000.0);
    let some = drawn.iter().any(|trace| !trace.points.is_empty());
    some.then(|| {
        // Beyond a thousand thresholds only the word "more" is of interest.
        let y = Scale::new(0.5, threshold * 1e3, LINES.bottom, LINES.top);
        let short: Vec<Trace> = drawn.iter().map(|trace| (*trace).clone()).collect();
        let x = time(&short);
        let mut canvas = Canvas::new(WIDTH, HEIGHT, "Evidence against the update over time");
        let title = "evidence E against the update (upper edge: more)";
        axes(
            &mut canvas,
            LINES,
            (&x, "time after the first activation"),
            (&y, title, |tick| format!("{tick}")),
        );
        let at = y.at(threshold);
        canvas.line("threshold", (LINES.left, at), (LINES.right, at));
        let words = format!("halt at E = 1/α = {threshold:.0}");
        canvas.text("label threshold", (LINES.right - 6.0, at - 6.0), "end", &words);
        draw(&mut canvas, &drawn, What::Evidence, &x, &y);
        canvas.finish()
    })
}

fn time(traces: &[Trace]) -> Scale {
    let ends = traces.iter().filter_map(|trace| trace.points.last()).map(|point| point.at_s);
    Scale::new(4.0, ends.fold(60.0, f64::max) * 1.1, LINES.left, LINES.right)
}

/// A line per trace, its name at its end.
fn draw(canvas: &mut Canvas, traces: &[&Trace], what: What, x: &Scale, y: &Scale) {
    let mut ends = Vec::new();
    for trace in traces {
        let line: Vec<(f64, f64)> = thin(&trace.points)
            .into_iter()
            .filter(|point| what.of(point) > 0.0)
            .map(|point| (x.at(point.at_s), y.at(what.of(&point))))
            .collect();
        let class = if trace.ours { "ours" } else { "peer" };
        let Some(end) = line.last().copied() else { continue };
        canvas.path(&format!("trace {class}"), &line);
        ends.push((trace.policy.clone(), class, end));
    }
    let wanted: Vec<f64> = ends.iter().map(|(.., end)| end.1).collect();
    let heights = labels::stack(&wanted, LINES.top + 6.0, LINES.bottom);
    for ((policy, class, end), height) in ends.iter().zip(heights) {
        canvas.line("leader", *end, (LINES.right + 12.0, height));
        let at = (LINES.right + 16.0, height + 4.0);
        canvas.text(&format!("label {class}"), at, "start", policy);
    }
}

/// Few enough points, the last one among them; those that differ in every figure first.
fn thin(points: &[TracePoint]) -> Vec<TracePoint> {
    let mut kept: Vec<TracePoint> = Vec::new();
    for point in points {
        // On a logarithmic axis equal steps of time are equal factors.
        let far = kept.last().is_none_or(|last| point.at_s >= last.at_s * 1.02);
        if far && kept.len() < POINTS_MAX {
            kept.push(*point);
        }
    }
    if let Some(last) = points.last().filter(|last| kept.last() != Some(last)) {
        kept.push(*last);
    }
    kept
}

#[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^53")]
fn as_f64(hosts: u64) -> f64 {
    hosts as f64
}

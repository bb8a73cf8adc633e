//! The few shapes that the charts are made of. Not a drawing library: text in, text out.
use std::fmt::Write as _;

/// Text that cannot become markup.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A logarithmic axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Values `low` to `high` at pixels `from` to `to`.
    pub(super) fn new(low: f64, high: f64, from: f64, to: f64) -> Scale {
        Scale { low: low.max(1e-9), high: high.max(low * 1.001), from, to }
    }
    /// The pixel of a value; at the edge if it lies outside.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }
    /// Those of these values that lie on the axis, at least so many pixels apart.
    pub(super) fn ticks(&self, values: &[f64], apart: f64) -> Vec<f64> {
        let mut kept: Vec<f64> = Vec::new();
        for value in values.iter().filter(|value| (self.low..=self.high).contains(value)) {
            let last = kept.last().map(|last| (self.at(*last) - self.at(*value)).abs());
            if last.is_none_or(|far| far >= apart) {
                kept.push(*value);
            }
        }
        kept
    }
}

/// Powers of ten.
pub(super) fn decades() -> Vec<f64> {
    (0..=12).map(|power| 10_f64.powi(power)).collect()
}

/// Moments that people have words for.
pub(super) const MOMENTS: [f64; 13] = [
    5.0,
    15.0,
    60.0,
    180.0,
    600.0,
    1_800.0,
    3_600.0,
    10_800.0,
    21_600.0,
    86_400.0,
    172_800.0,
    518_400.0,
    2_592_000.0,
];

/// A span of time in few characters: `15 s`, `6.5 min`, `48 h`.
pub(super) fn span(seconds: f64) -> String {
    let short = |value: f64, unit: &str| {
        let text = format!("{value:.1}");
        format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match seconds {
        s if s < 60.0 => short(s, "s"),
        s if s < 5_400.0 => short(s / 60.0, "min"),
        s if s < 259_200.0 => short(s / 3_600.0, "h"),
        s => short(s / 86_400.0, "d"),
    }
}

/// A number of hosts with thin gaps: `8 500 000`.
pub(super) fn hosts(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A number of hosts on an axis: `10 k`, `1 M`.
pub(super) fn short_hosts(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{} M", (n / 1e5).round() / 10.0),
        n if n >= 1e3 => format!("{} k", (n / 1e2).round() / 10.0),
        n => format!("{n}"),
    }
}

/// A picture being drawn.
#[derive(Debug)]
pub(super) struct Canvas {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Canvas {
        Canvas { width, height, title: escape(title), body: String::new() }
    }
    pub(super) fn put(&mut self, markup: std::fmt::Arguments<'_>) {
        let _never_fails = writeln!(self.body, "{markup}");
    }
    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }
    /// Text with its baseline at a point; `anchor` is `start`, `middle` or `end`.
    pub(super) fn text(&mut self, class: &str, at: (f64, f64), anchor: &str, words: &str) {
        let (x, y) = at;
        let words = escape(words);
        self.put(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
        ));
    }
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut way = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let step = if at == 0 { 'M' } else { 'L' };
            let _never_fails = write!(way, "{step}{x:.1} {y:.1}");
        }
        self.put(format_args!(r#"<path class="{class}" d="{way}"/>"#));
    }
    pub(super) fn finish(self) -> String {
        let Canvas { width, height, title, body } = self;
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">\n\
             <title>{title}</title>\n{body}</svg>\n"
        )
    }
}

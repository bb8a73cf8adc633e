//! What a person or a script sees. Results go to standard output, everything else to standard
//! error; colour and redrawing only on a terminal; `--json` gives one stable JSON document.
use crate::exit::Failure;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// tables and sentences
    People,
    /// JSON
    Json,
}

impl Form {
    /// From the `--json` switch.
    pub(crate) fn of(json: bool) -> Form {
        if json { Form::Json } else { Form::People }
    }
}

/// One line on standard output. A closed pipe (`| head`) is no failure.
pub(crate) fn line(text: impl std::fmt::Display) {
    let _closed_pipe = writeln!(std::io::stdout().lock(), "{text}");
}

/// One line on standard error: progress, hints, warnings.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _closed_pipe = writeln!(std::io::stderr().lock(), "{text}");
}

/// A document on standard output, indented.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Either the document or what `people` writes.
pub(crate) fn either(
    form: Form,
    value: &impl Serialize,
    people: impl FnOnce(),
) -> Result<(), Failure> {
    match form {
        Form::Json => json(value),
        Form::People => {
            people();
            Ok(())
        }
    }
}

/// A table without a frame, as wide as the terminal allows.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|word| word.to_uppercase()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| clean(&cell)).collect::<Vec<_>>());
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Text from elsewhere without what a terminal would obey.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Whether standard output can be redrawn.
pub(crate) fn live() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Cuts a picture to the terminal: a line that wraps, or a picture that scrolls, could not be drawn
/// over. Escape sequences of [`Paint`] take no room and are never cut in two.
pub(crate) fn fit(text: &str) -> String {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 1);
    let (columns, rows) = size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()));
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.iter().take(rows - 1);
    shown.map(|line| cut(line, columns)).collect::<Vec<_>>().join("\n")
}

fn cut(line: &str, columns: usize) -> String {
    let (mut out, mut room, mut escape, mut painted) = (String::new(), columns, false, false);
    for c in line.chars() {
        if c == '\x1b' {
            (escape, painted) = (true, true);
        } else if escape {
            escape = c != 'm';
        } else if room == 0 {
            continue;
        } else {
            room -= 1;
        }
        out.push(c);
    }
    if painted { out + "\x1b[0m" } else { out }
}

/// Paints only where paint is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output: a terminal, and `NO_COLOR` is not set (no-color.org).
    pub(crate) fn stdout() -> Paint {
        Paint { on: live() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) }
    }
    fn with(self, code: &str, text: impl std::fmt::Display) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
    /// well
    pub(crate) fn good(self, text: impl std::fmt::Display) -> String {
        self.with("32", text)
    }
    /// attention
    pub(crate) fn warn(self, text: impl std::fmt::Display) -> String {
        self.with("33", text)
    }
    /// bad
    pub(crate) fn bad(self, text: impl std::fmt::Display) -> String {
        self.with("1;31", text)
    }
    /// less important
    pub(crate) fn faint(self, text: impl std::fmt::Display) -> String {
        self.with("2", text)
    }
    /// headings
    pub(crate) fn strong(self, text: impl std::fmt::Display) -> String {
        self.with("1", text)
    }
}

/// A failure on standard error: what, where, what to do; as JSON too if JSON was asked for.
pub(crate) fn failure(form: Form, failure: &Failure) {
    let causes: Vec<String> = failure.cause.chain().map(|c| clean(&c.to_string())).collect();
    if form == Form::Json {
        let body = serde_json::json!({"error": {
            "exit": failure.exit as u8, "message": causes.join(": "), "next": failure.next}});
        note(body);
        return;
    }
    note(format_args!("andon: {}", causes.join(": ")));
    if let Some(next) = &failure.next {
        note(format_args!("  next: {}", clean(next)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_what_is_seen_not_by_bytes() {
        assert_eq!(cut("█████", 3), "███");
        assert_eq!(cut("\x1b[1mabc\x1b[0mdef", 4), "\x1b[1mabc\x1b[0md\x1b[0m");
        assert_eq!(cut("ab\x1b[2mcd\x1b[0m", 2), "ab\x1b[2m\x1b[0m\x1b[0m");
    }

    #[test]
    fn tables_never_carry_escape_sequences() {
        let shown = table(&["host"], vec![vec!["h1\u{1b}[2J".to_owned()]]);
        assert!(!shown.contains('\u{1b}'));
        assert!(shown.starts_with(" HOST") || shown.starts_with("HOST"), "{shown:?}");
    }
}

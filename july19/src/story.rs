//! The words around the cases, for someone who has heard of none of this.
use crate::cases::{CASES, Outcome};
use serde_json::Value;

pub(crate) const PROLOGUE: &str = "\
July 19 in a box
  On 19 July 2024 a security vendor sent a content file to 8.5 million hosts. Its kernel code, validly signed,
  read it, followed a pointer that was never there, and crashed the kernel; at every boot again.
  Here the same happens to virtual machines: a stock Debian kernel that loads signed modules only, a vendor's
  signed module whose key the firmware vouches for, and content that asks for input 21 of 20.
  First without Andon, then with its guard, which runs before anything risky loads.
";

/// Digests by their first 12 digits: a person compares those; the report and the logs have them whole.
pub(crate) fn shortened(said: &str) -> String {
    let mut out = String::new();
    let mut hex = String::new();
    for c in said.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() {
            hex.push(c);
            continue;
        }
        out.push_str(if hex.len() == 64 { &hex[..12] } else { &hex });
        hex.clear();
        out.push(c);
    }
    out.pop();
    out
}

/// One case, boot by boot.
pub(crate) fn case(outcome: &Outcome) -> String {
    let what = CASES.iter().find(|(name, _)| *name == outcome.name).map_or("", |(_, what)| what);
    let mut text = format!("\n{}: {what}\n", outcome.name);
    for line in &outcome.story {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!("  {}: {}\n", word(outcome), figures(&outcome.value)));
    text
}

fn word(outcome: &Outcome) -> &'static str {
    if outcome.held { "held" } else { "NOT HELD" }
}

/// What was counted, in a line.
fn figures(value: &Value) -> String {
    let mut parts = Vec::new();
    let number = |name: &str| value[name].as_f64();
    let mut count = |name: &str, words: &str| {
        if let Some(n) = number(name) {
            parts.push(format!("{n} {words}"));
        }
    };
    count("boots", "boots");
    count("crashes", "kernel panics");
    count("runs", "runs");
    count("lost", "counted boots forgotten");
    count("undecided", "hosts that did not come back");
    count("fallbacks", "fallbacks");
    count("recovery_s", "s from the first panic to a running sensor");
    count("guard_ms_per_boot", "ms of guard at most");
    for (name, yes, no) in [
        ("recovered", "sensor runs", "sensor does not run"),
        ("host_up", "host is up", "host is down"),
        ("safe_mode", "safe mode", "no safe mode"),
        ("kernel_loads_it", "the kernel loads it", "the kernel refuses it"),
        ("guard_loads_it", "the guard loads it", "the guard refuses it"),
    ] {
        if let Some(is) = value[name].as_bool() {
            parts.push(if is { yes } else { no }.to_owned());
        }
    }
    parts.join(", ")
}

/// All cases, a line each.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from("\nIn all\n");
    for (name, what) in CASES {
        if let Some(outcome) = outcomes.iter().find(|outcome| outcome.name == name) {
            let figures = figures(&outcome.value);
            text.push_str(&format!("  {:<9} {name:<18} {what}\n", word(outcome)));
            text.push_str(&format!("  {:<9} {:<18} {figures}\n", "", ""));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_digests_are_shortened_and_nothing_else() {
        let digest = "ab".repeat(32);
        let said = format!("beef version 2 ({digest}): back to 1");
        assert_eq!(shortened(&said), "beef version 2 (abababababab): back to 1");
        assert_eq!(shortened(&digest), "abababababab");
        assert_eq!(shortened("ends in abc"), "ends in abc");
    }
}

//! Words of the command line that several commands share: hooks, kinds, command lines in quotes.
use crate::exit::Failure;
use crate::span::Span;
use andon_model::Millis;
use andon_model::release::{Hook, Hooks};

/// How long a hook may run unless said otherwise.
const HOOK_TIMEOUT: Millis = Millis::from_secs(30);

/// Commands for a tool that does not know us.
#[derive(Debug, clap::Args)]
pub(crate) struct HookArgs {
    /// Run on the staged files before they take effect; {slot} is their folder
    #[arg(long, value_name = "COMMAND")]
    validate: Option<String>,
    /// Run after the files have become the active ones
    #[arg(long, value_name = "COMMAND")]
    reload: Option<String>,
    /// Run while soaking and after; a status other than 0 means unhealthy
    #[arg(long, value_name = "COMMAND")]
    health: Option<String>,
    /// How long a hook may run
    #[arg(long, value_name = "TIME", default_value_t = Span(HOOK_TIMEOUT))]
    hook_timeout: Span,
}

impl HookArgs {
    /// The hooks.
    pub(crate) fn hooks(&self) -> Result<Hooks, Failure> {
        let hook = |option: &'static str, text: &Option<String>| -> Result<Option<Hook>, Failure> {
            let Some(text) = text else { return Ok(None) };
            let argv = split(text).ok_or_else(|| {
                Failure::usage(format_args!("--{option} {text:?} is empty or has an open quote"))
                    .next("there is no shell: give a program and its arguments")
            })?;
            Ok(Some(Hook { argv, timeout: self.hook_timeout.0 }))
        };
        Ok(Hooks {
            validate: hook("validate", &self.validate)?,
            reload: hook("reload", &self.reload)?,
            health: hook("health", &self.health)?,
        })
    }
}

/// Words of a command line: blanks separate, quotes keep together, a backslash takes the next
/// character as it is. Nothing else of a shell: no variables, no patterns, no pipes.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_split_without_a_shell() {
        let cases: [(&str, &[&str]); 5] = [
            ("clamscan -d {slot}", &["clamscan", "-d", "{slot}"]),
            ("a 'b c' \"d 'e\"", &["a", "b c", "d 'e"]),
            ("a\\ b ''", &["a b", ""]),
            ("  x  ", &["x"]),
            ("echo $HOME | cat", &["echo", "$HOME", "|", "cat"]),
        ];
        for (text, want) in cases {
            assert_eq!(split(text).unwrap(), want, "{text}");
        }
        for bad in ["", "  ", "'a", "a\\"] {
            assert!(split(bad).is_none(), "{bad:?} was accepted");
        }
    }
}

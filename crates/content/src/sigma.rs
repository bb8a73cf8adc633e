//! Sigma rules (sigmahq.io specification) on program starts, through the `rsigma` engine.
//!
//! A rule is routed by its `logsource`: only `category: process_creation` for Linux (or for any
//! product) is evaluated on program starts. Rules for other kinds of events are compiled too, so
//! that a broken one is found, and then stay inert; [`Counts`] says how many.
use crate::event::{Counts, Detect, Detection, ProcessEvent};
use andon_model::limits::{RULE_FILE_BYTES_MAX, RULE_NESTING_MAX, RULES_BYTES_MAX, RULES_MAX};
use rsigma_eval::{Engine, Event, EventValue};
use rsigma_parser::{FilterRule, LogSource, SigmaRule};
use std::borrow::Cow;
use std::fmt;

/// How many file names an error's text lists before it says "and more".
const FILES_NAMED_MAX: usize = 8;

/// Compiled rules, ready to judge events.
pub struct RuleSet {
    engine: Engine,
    source: LogSource,
    counts: Counts,
}

/// What is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// relative path of the file
    pub path: String,
    /// what is wrong, in the engine's words
    pub why: String,
}

/// Why a set of files is no rule set. Nothing of it is used then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// some files are not rules that this engine can run
    #[error("load sigma rules: {}", Listed(.0))]
    Files(Vec<FileProblem>),
    /// more bytes than allowed
    #[error("load sigma rules: over {RULES_BYTES_MAX} bytes in all; split the set")]
    Bytes,
    /// more rules than allowed
    #[error("load sigma rules: over {RULES_MAX} rules; split the set")]
    Rules,
    /// nothing to load
    #[error("load sigma rules: no rule in any .yml or .yaml file")]
    Empty,
}

struct Listed<'a>(&'a [FileProblem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused", self.0.len())?;
        for problem in self.0.iter().take(FILES_NAMED_MAX) {
            write!(f, "; {}: {}", problem.path, problem.why)?;
        }
        if self.0.len() > FILES_NAMED_MAX { f.write_str("; and more") } else { Ok(()) }
    }
}

/// Everything parsed, and from which file each rule came.
#[derive(Default)]
struct Parsed {
    active: Vec<SigmaRule>,
    active_files: Vec<String>,
    inert: Vec<SigmaRule>,
    inert_files: Vec<String>,
    filters: Vec<(String, FilterRule)>,
    correlations: usize,
    skipped_files: u32,
    problems: Vec<FileProblem>,
}

impl RuleSet {
    /// Compiles every `.yml` and `.yaml` file of `files` (relative path, bytes); others are skipped.
    /// # Errors
    /// [`LoadError`]; the set is refused as a whole, with every bad file named.
    pub fn load<P, B>(files: impl IntoIterator<Item = (P, B)>) -> Result<RuleSet, LoadError>
    where
        P: AsRef<str>,
        B: AsRef<[u8]>,
    {
        let mut parsed = Parsed::default();
        let mut bytes_total = 0_usize;
        for (path, bytes) in files {
            bytes_total = bytes_total.saturating_add(bytes.as_ref().len());
            if bytes_total > RULES_BYTES_MAX {
                return Err(LoadError::Bytes);
            }
            parsed.read(path.as_ref(), bytes.as_ref());
            if parsed.count() > RULES_MAX {
                return Err(LoadError::Rules);
            }
        }
        parsed.compile()
    }
}

impl Parsed {
    fn count(&self) -> usize {
        self.active.len() + self.inert.len() + self.correlations + self.filters.len()
    }

    fn problem(&mut self, path: &str, why: impl fmt::Display) {
        let why = andon_model::text::Text::clipped(&why.to_string()).to_string();
        self.problems.push(FileProblem { path: path.to_owned(), why });
    }

    fn read(&mut self, path: &str, bytes: &[u8]) {
        let lower = path.to_ascii_lowercase();
        if !lower.ends_with(".yml") && !lower.ends_with(".yaml") {
            self.skipped_files += 1;
            return;
        }
        if bytes.len() > RULE_FILE_BYTES_MAX {
            return self.problem(path, format_args!("is over {RULE_FILE_BYTES_MAX} bytes"));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.problem(path, "is not UTF-8");
        };
        if flow_nesting_bound(text) > RULE_NESTING_MAX {
            return self.problem(path, format_args!("opens over {RULE_NESTING_MAX} brackets"));
        }
        let collection = match rsigma_parser::parse_sigma_yaml(text) {
            Ok(collection) => collection,
            Err(refused) => return self.problem(path, refused),
        };
        if let Some(first) = collection.errors.first() {
            return self.problem(path, first);
        }
        if collection.rules.is_empty()
            && collection.correlations.is_empty()
            && collection.filters.is_empty()
        {
            return self.problem(path, "holds no rule");
        }
        self.correlations += collection.correlations.len();
        self.filters.extend(collection.filters.into_iter().map(|rule| (path.to_owned(), rule)));
        for rule in collection.rules {
            let (rules, files) = if is_for_exec(&rule.logsource) {
                (&mut self.active, &mut self.active_files)
            } else {
                (&mut self.inert, &mut self.inert_files)
            };
            rules.push(rule);
            files.push(path.to_owned());
        }
    }

    fn compile(mut self) -> Result<RuleSet, LoadError> {
        let mut engine = Engine::new();
        let refused = engine.add_rules(&self.active);
        for (at, why) in refused {
            self.problem(&self.active_files[at].clone(), why);
        }
        let refused = Engine::new().add_rules(&self.inert);
        for (at, why) in refused {
            self.problem(&self.inert_files[at].clone(), why);
        }
        for (path, filter) in std::mem::take(&mut self.filters) {
            if let Err(why) = engine.apply_filter(&filter) {
                self.problem(&path, why);
            }
        }
        if !self.problems.is_empty() {
            self.problems.sort_by(|a, b| a.path.cmp(&b.path));
            return Err(LoadError::Files(self.problems));
        }
        if self.active.is_empty() && self.inert.is_empty() {
            return Err(LoadError::Empty);
        }
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let counts = Counts {
            active: number(self.active.len()),
            inert: number(self.inert.len() + self.correlations),
            skipped_files: self.skipped_files,
        };
        Ok(RuleSet { engine, source: exec_source(), counts })
    }
}

/// An upper bound of how deep flow collections nest, without parsing. (Block collections need no
/// bound of ours: the parser stops at 128 levels in linear time.)
fn flow_nesting_bound(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count()
}

fn exec_source() -> LogSource {
    LogSource {
        category: Some("process_creation".to_owned()),
        product: Some("linux".to_owned()),
        ..LogSource::default()
    }
}

/// A rule without a category searches log lines; on a program start it would match by accident.
fn is_for_exec(source: &LogSource) -> bool {
    let is = |value: &Option<String>, want: &str| {
        value.as_ref().is_some_and(|value| value.eq_ignore_ascii_case(want))
    };
    is(&source.category, "process_creation")
        && (source.product.is_none() || is(&source.product, "linux"))
        && source.service.is_none()
}

impl Detect for RuleSet {
    fn detect(&self, event: &ProcessEvent) -> Vec<Detection> {
        let results = self.engine.evaluate_with_logsource(&Fields(event), &self.source);
        let mut out: Vec<Detection> = results
            .into_iter()
            .map(|result| Detection {
                title: result.header.rule_title,
                id: result.header.rule_id.unwrap_or_default(),
                level: result.header.level.map_or("unknown", |level| level.as_str()).to_owned(),
            })
            .collect();
        out.sort();
        out
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// A program start under Sigma's field names (Sysmon taxonomy). An empty text is an absent field.
struct Fields<'a>(&'a ProcessEvent);

impl Fields<'_> {
    fn texts(&self) -> [(&'static str, &str); 6] {
        let event = self.0;
        [
            ("Image", &event.image),
            ("CommandLine", &event.command_line),
            ("ParentImage", &event.parent_image),
            ("ParentCommandLine", &event.parent_command_line),
            ("User", &event.user),
            ("CurrentDirectory", &event.current_directory),
        ]
    }
    fn present(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.texts().into_iter().filter(|(_, text)| !text.is_empty())
    }
    fn numbers(&self) -> [(&'static str, u32); 2] {
        [("ProcessId", self.0.pid), ("ParentProcessId", self.0.parent_pid)]
    }
}

impl Event for Fields<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        let text = self.texts().into_iter().find(|(name, _)| *name == path);
        if let Some((_, text)) = text {
            return (!text.is_empty()).then_some(EventValue::Str(Cow::Borrowed(text)));
        }
        let number = self.numbers().into_iter().find(|(name, _)| *name == path);
        number.map(|(_, number)| EventValue::Int(i64::from(number)))
    }
    fn any_string_value(&self, holds: &dyn Fn(&str) -> bool) -> bool {
        self.present().any(|(_, text)| holds(text))
    }
    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        self.texts()
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(_, text)| Cow::Borrowed(text))
            .collect()
    }
    fn to_json(&self) -> serde_json::Value {
        let texts = self.present().map(|(name, text)| (name.to_owned(), text.into()));
        let numbers = self.numbers().into_iter().map(|(name, n)| (name.to_owned(), n.into()));
        serde_json::Value::Object(texts.chain(numbers).collect())
    }
    fn top_level_keys(&self) -> Option<Vec<Cow<'_, str>>> {
        let texts = self.present().map(|(name, _)| Cow::Borrowed(name));
        Some(texts.chain(self.numbers().map(|(name, _)| Cow::Borrowed(name))).collect())
    }
}

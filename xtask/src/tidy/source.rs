//! Rules over one Rust file's syntax tree: names of types, sizes, banned calls and attributes, the
//! opening comment, where serialisation may be derived.
use super::ratchet::Size;
use super::{File, Finding};
use serde::Deserialize;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// The words and the places where they may stand all the same.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRules {
    /// words that say nothing, or say it in another vocabulary
    pub names: Vec<String>,
    /// folders in which types may derive serialisation
    pub serde_folders: Vec<String>,
    /// file names (or folder names) in which types may, anywhere
    pub serde_files: Vec<String>,
    /// exceptions, each with its reason
    #[serde(default)]
    pub except: Vec<Except>,
}

/// One exception.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Except {
    /// the rule's word: a banned name, `sleep`, `unbounded`, `serde`
    pub word: String,
    /// in this file, or in every file under this folder
    pub path: String,
    /// why
    pub reason: String,
}

/// Judges every Rust file.
#[must_use]
pub fn check(rules: &SourceRules, files: &[File]) -> (Vec<Size>, Vec<Finding>) {
    let (mut sizes, mut found) = (Vec::new(), Vec::new());
    for except in rules.except.iter().filter(|e| e.reason.trim().is_empty()) {
        let message = format!("exception for {} has no reason", except.word);
        found.push(Finding::new(&except.path, 0, message));
    }
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let (more, said) = check_file(rules, file);
        sizes.extend(more);
        found.extend(said);
    }
    (sizes, found)
}

fn check_file(rules: &SourceRules, file: &File) -> (Vec<Size>, Vec<Finding>) {
    let syntax = match syn::parse_file(&file.text) {
        Ok(syntax) => syntax,
        Err(error) => {
            let line = error.span().start().line;
            return (vec![], vec![Finding::new(&file.path, line, format!("parse: {error}"))]);
        }
    };
    let lines: Vec<&str> = file.text.lines().collect();
    let end = test_module(&syntax).map_or(lines.len(), |line| line - 1);
    let in_tests = ["/tests/", "/benches/"].iter().any(|part| file.path.contains(part))
        || file.path.starts_with("e2e/")
        || file.path.ends_with("/tests.rs");
    let code = code_lines(&lines, 0, end);
    let size = Size::File { path: file.path.clone(), code, all: lines.len() };
    let mut walk = Walk { rules, file, lines, in_tests, sizes: vec![size], found: vec![] };
    if !file.text.starts_with("//!") {
        walk.say(1, "begins without //! saying what the file is and is not");
    }
    walk.texts();
    walk.visit_file(&syntax);
    (walk.sizes, walk.found)
}

/// The line on which a trailing `#[cfg(test)] mod` begins.
fn test_module(syntax: &syn::File) -> Option<usize> {
    match syntax.items.last()? {
        syn::Item::Mod(module) if module.content.is_some() && for_tests(&module.attrs) => {
            let first = module.attrs.first()?;
            Some(first.span().start().line)
        }
        _ => None,
    }
}

fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
    })
}

/// Lines that are neither blank nor only a comment.
fn code_lines(lines: &[&str], from: usize, to: usize) -> usize {
    let code = |line: &&&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    lines.iter().take(to).skip(from).filter(code).count()
}

/// `HostStateInfo` → `Host`, `State`, `Info`.
fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}

struct Walk<'a> {
    rules: &'a SourceRules,
    file: &'a File,
    lines: Vec<&'a str>,
    in_tests: bool,
    sizes: Vec<Size>,
    found: Vec<Finding>,
}

impl Walk<'_> {
    fn say(&mut self, line: usize, message: impl Into<String>) {
        self.found.push(Finding::new(&self.file.path, line, message));
    }

    fn excepted(&self, word: &str) -> bool {
        self.rules.except.iter().any(|except| {
            let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
            except.word == word && self.file.path.strip_prefix(&except.path).is_some_and(below)
        })
    }

    /// What stands inside macros too, where there is no syntax tree.
    fn texts(&mut self) {
        let unbounded = concat!("unbounded", "_channel");
        let places: Vec<usize> = (1..=self.lines.len())
            .filter(|at| {
                let line = self.lines[at - 1];
                line.contains(unbounded) && !line.trim().starts_with("//")
            })
            .collect();
        for line in places {
            if !self.excepted("unbounded") {
                self.say(line, format!("{unbounded}: every queue has a limit"));
            }
        }
    }

    fn name(&mut self, name: &syn::Ident) {
        for word in camel_words(&name.to_string()) {
            if self.rules.names.contains(&word) && !self.excepted(&word) {
                let message = format!("type {name} has the word {word}: say what it is");
                self.say(name.span().start().line, message);
            }
        }
    }

    fn function(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let code = code_lines(&self.lines, span.start().line, span.end().line - 1);
        self.sizes.push(Size::Function {
            path: self.file.path.clone(),
            name: name.to_string(),
            line: name.span().start().line,
            code,
        });
    }

    fn serde(&mut self, attribute: &syn::Attribute) {
        let mut derives = false;
        if attribute.path().is_ident("derive") {
            let _ = attribute.parse_nested_meta(|meta| {
                let last = meta.path.segments.last().map(|s| s.ident.to_string());
                derives |= matches!(last.as_deref(), Some("Serialize" | "Deserialize"));
                Ok(())
            });
        }
        let stem = |part: &str| part.trim_end_matches(".rs").to_owned();
        let place = self.rules.serde_folders.iter().any(|f| self.file.path.starts_with(f.as_str()))
            || self.file.path.split('/').any(|p| self.rules.serde_files.contains(&stem(p)));
        if derives && !place && !self.in_tests && !self.excepted("serde") {
            let line = attribute.span().start().line;
            self.say(
                line,
                "derives serialisation outside wire types: see serde_files in tidy.toml",
            );
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let outer = self.in_tests;
        self.in_tests |= for_tests(&module.attrs);
        visit::visit_item_mod(self, module);
        self.in_tests = outer;
    }
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("allow") {
            self.say(
                attribute.span().start().line,
                "has allow: write expect(lint, reason = \"…\")",
            );
        }
        self.serde(attribute);
        visit::visit_attribute(self, attribute);
    }
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.name(&item.ident);
        visit::visit_item_struct(self, item);
    }
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.name(&item.ident);
        visit::visit_item_enum(self, item);
    }
    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.name(&item.ident);
        visit::visit_item_trait(self, item);
    }
    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.name(&item.ident);
        visit::visit_item_type(self, item);
    }
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, &item.block);
        visit::visit_item_fn(self, item);
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func {
            let words: Vec<String> =
                path.path.segments.iter().map(|s| s.ident.to_string()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let line = call.span().start().line;
            match words.as_slice() {
                [.., "thread" | "time", "sleep"] if self.in_tests && !self.excepted("sleep") => {
                    self.say(line, "sleeps in a test: wait for the condition instead");
                }
                [.., "mpsc", "channel"] if call.args.is_empty() && !self.excepted("unbounded") => {
                    self.say(line, "mpsc::channel() has no limit: use sync_channel(n)");
                }
                _ => {}
            }
        }
        visit::visit_expr_call(self, call);
    }
}

#[cfg(test)]
#[path = "source/tests.rs"]
mod tests;

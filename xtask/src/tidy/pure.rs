//! Purity of the pure crates: clippy and the compiler judge the code; this makes sure that they are
//! asked to, in the same words everywhere.
use super::layers::Layer;
use super::{File, Finding};
use std::collections::BTreeMap;

/// Looks at every package marked pure.
#[must_use]
pub fn check(table: &BTreeMap<String, Layer>, files: &[File]) -> Vec<Finding> {
    let text = |path: &str| files.iter().find(|f| f.path == path).map(|f| f.text.as_str());
    let mut found = Vec::new();
    let mut first: Option<(String, &str)> = None;
    for name in table.iter().filter(|(_, layer)| layer.pure).map(|(name, _)| name) {
        let folder = format!("crates/{}", name.trim_start_matches("andon-"));
        let lib = format!("{folder}/src/lib.rs");
        if !text(&lib).is_some_and(|text| text.contains("#![forbid(unsafe_code)]")) {
            found.push(Finding::new(lib, 0, "a pure crate begins with #![forbid(unsafe_code)]"));
        }
        let lints = format!("{folder}/clippy.toml");
        let Some(words) = text(&lints).filter(|text| !text.is_empty()) else {
            found.push(Finding::new(lints, 0, "a pure crate has its own clippy.toml"));
            continue;
        };
        match &first {
            None => first = Some((lints, words)),
            Some((path, other)) if *other != words => {
                let message = format!("differs from {path}: one list of banned calls for all");
                found.push(Finding::new(lints, 0, message));
            }
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_pure_crate_without_its_guards_is_found() {
        let table: BTreeMap<String, Layer> =
            toml::from_str("[andon-a]\npure = true\n[andon-b]\npure = true\n[andon-c]\n").unwrap();
        let good = [
            file("crates/a/src/lib.rs", "//! a\n#![forbid(unsafe_code)]\n"),
            file("crates/b/src/lib.rs", "//! b\n#![forbid(unsafe_code)]\n"),
            file("crates/a/clippy.toml", "x = 1\n"),
            file("crates/b/clippy.toml", "x = 1\n"),
        ];
        assert_eq!(check(&table, &good), []);
        let mut bad = good.to_vec();
        bad[1].text.clear();
        bad[3].text = "x = 2\n".to_owned();
        let said: Vec<String> = check(&table, &bad).iter().map(Finding::to_string).collect();
        assert_eq!(
            said,
            [
                "crates/b/src/lib.rs: a pure crate begins with #![forbid(unsafe_code)]",
                "crates/b/clippy.toml: differs from crates/a/clippy.toml: one list of banned calls for all",
            ]
        );
        assert_eq!(check(&table, &bad[..2]).len(), 3);
    }
}

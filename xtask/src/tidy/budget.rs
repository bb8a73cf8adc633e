//! How many crates the endpoint's programs pull in: every one of them runs on every host.
use super::Finding;
use crate::run;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Counts the tree of every package that has a budget.
/// # Errors
/// When cargo cannot say.
pub fn check(root: &Path, budgets: &BTreeMap<String, usize>) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (package, most) in budgets {
        let words = ["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
        let tree = run::output(run::cargo(root).args(words).args(["--package", package]))?;
        found.extend(judge(package, *most, &tree));
    }
    Ok(found)
}

/// Distinct (name, version) pairs, the package itself left out.
fn crates(tree: &str) -> BTreeSet<String> {
    tree.lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(format!("{} {}", words.next()?, words.next()?))
        })
        .collect()
}

fn judge(package: &str, most: usize, tree: &str) -> Option<Finding> {
    let count = crates(tree).len();
    let message = format!("has {count} crates in its tree, its budget is {most}");
    (count > most).then(|| Finding::new(package, 0, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_counts_once_per_version_and_the_package_itself_does_not() {
        let tree = "top v0.1.0 (/p)\na v1.0.0\nb v1.0.0 (proc-macro)\na v1.0.0 (*)\na v2.0.0\n\n";
        assert_eq!(crates(tree).len(), 3);
        assert_eq!(judge("top", 3, tree), None);
        assert!(judge("top", 2, tree).unwrap().message.contains("has 3 crates"));
    }
}

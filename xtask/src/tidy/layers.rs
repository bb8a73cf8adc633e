//! Who may import whom. The table is data; the graph is cargo's own. Dependencies for tests are
//! judged apart: they may widen the layer only where the table says so.
use super::Finding;
use crate::run;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What one package may do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// no clock, randomness, I/O, async, threads, unsafe, hash-map iteration
    #[serde(default)]
    pub pure: bool,
    /// our own packages that it may import; `*` for any but those in `never`
    #[serde(default)]
    pub imports: Vec<String>,
    /// further ones for its tests
    #[serde(default)]
    pub tests: Vec<String>,
    /// the exception to `*`
    #[serde(default)]
    pub never: Vec<String>,
    /// features of our own packages that it must leave off, `package/feature`
    #[serde(default)]
    pub without: Vec<String>,
    /// outside crates, all of them, for pure crates
    #[serde(default)]
    pub outside: Vec<String>,
}

/// The packages of the workspace and what they depend on directly.
#[derive(Debug, Default)]
pub struct Graph {
    /// by name
    pub packages: BTreeMap<String, Vec<Edge>>,
}

/// One dependency.
#[derive(Clone, Debug, Deserialize)]
pub struct Edge {
    name: String,
    kind: Option<String>,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    uses_default_features: bool,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Edge>,
}

impl Graph {
    /// Asks cargo.
    /// # Errors
    /// When cargo fails or answers what we cannot read.
    pub fn read(root: &Path) -> Result<Graph> {
        let words = ["metadata", "--no-deps", "--format-version", "1"];
        Graph::parse(&run::output(run::cargo(root).args(words))?)
    }

    fn parse(text: &str) -> Result<Graph> {
        let metadata: Metadata = serde_json::from_str(text).context("parse cargo metadata")?;
        let pairs = metadata.packages.into_iter().map(|p| (p.name, p.dependencies));
        Ok(Graph { packages: pairs.collect() })
    }
}

/// Compares table and graph.
#[must_use]
pub fn check(table: &BTreeMap<String, Layer>, graph: &Graph) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, edges) in &graph.packages {
        let Some(layer) = table.get(name) else {
            found.push(Finding::new(name, 0, "is not in the layer table: add it to tidy.toml"));
            continue;
        };
        for edge in edges {
            found.extend(judge(name, layer, edge));
        }
    }
    for name in table.keys().filter(|name| !graph.packages.contains_key(*name)) {
        found.push(Finding::new(name, 0, "is in the layer table but not in the workspace"));
    }
    found
}

fn judge(name: &str, layer: &Layer, edge: &Edge) -> Vec<Finding> {
    let for_tests = edge.kind.as_deref() == Some("dev");
    if edge.path.is_none() {
        let outside = layer.pure && !for_tests && !layer.outside.contains(&edge.name);
        let message =
            format!("pure crate imports {}: not in its list of outside crates", edge.name);
        return if outside { vec![Finding::new(name, 0, message)] } else { vec![] };
    }
    let listed = |list: &[String]| list.contains(&edge.name);
    let any = layer.imports.iter().any(|word| word == "*") && !listed(&layer.never);
    let allowed = any || listed(&layer.imports) || (for_tests && listed(&layer.tests));
    if !allowed {
        let message = format!("must not import {} (layer table in tidy.toml)", edge.name);
        return vec![Finding::new(name, 0, message)];
    }
    layer
        .without
        .iter()
        .filter_map(|word| word.split_once('/'))
        .filter(|(package, _)| *package == edge.name && !for_tests)
        .filter(|(_, feature)| {
            edge.features.iter().any(|on| on == feature)
                || (*feature == "default" && edge.uses_default_features)
        })
        .map(|(package, feature)| {
            Finding::new(name, 0, format!("must leave feature {feature} of {package} off"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(table: &str, metadata: &str) -> Vec<String> {
        let table = toml::from_str(table).unwrap();
        check(&table, &Graph::parse(metadata).unwrap()).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn an_import_outside_the_table_is_found() {
        let table = "[a]\nimports = ['m']\n[m]\n";
        let graph = |dependency: &str, kind: &str| {
            format!(
                r#"{{"packages":[{{"name":"m","dependencies":[]}},{{"name":"a","dependencies":
                [{{"name":"{dependency}","kind":{kind},"path":"/p","features":[],
                "uses_default_features":true}}]}}]}}"#
            )
        };
        assert!(findings(table, &graph("m", "null")).is_empty());
        let dev = findings(table, &graph("z", "\"dev\""));
        assert_eq!(dev, ["a: must not import z (layer table in tidy.toml)"]);
        assert_eq!(findings(table, &graph("z", "null")), dev);
        let tests = "[a]\ntests = ['z']\n[m]\n";
        assert!(findings(tests, &graph("z", "\"dev\"")).is_empty());
        assert_eq!(findings(tests, &graph("z", "null")), dev);
    }

    #[test]
    fn strangers_features_and_outside_crates_are_found() {
        let graph = r#"{"packages":[{"name":"a","dependencies":[
            {"name":"t","kind":null,"path":"/p","features":["tuf"],"uses_default_features":false},
            {"name":"tokio","kind":null,"path":null}]},{"name":"new","dependencies":[]}]}"#;
        let table = "[a]\npure = true\nimports = ['t']\nwithout = ['t/tuf']\n[gone]\n";
        assert_eq!(
            findings(table, graph),
            [
                "a: must leave feature tuf of t off",
                "a: pure crate imports tokio: not in its list of outside crates",
                "new: is not in the layer table: add it to tidy.toml",
                "gone: is in the layer table but not in the workspace",
            ]
        );
    }

    #[test]
    fn a_star_allows_everything_but_the_exceptions() {
        let graph = |name: &str| {
            format!(
                r#"{{"packages":[{{"name":"cli","dependencies":
                [{{"name":"{name}","kind":null,"path":"/p"}}]}}]}}"#
            )
        };
        let table = "[cli]\nimports = ['*']\nnever = ['sensor']\n";
        assert!(findings(table, &graph("host")).is_empty());
        assert_eq!(findings(table, &graph("sensor")).len(), 1);
    }
}

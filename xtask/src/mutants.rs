//! Mutants: one safeguard removed at a time, and the test that must notice (docs/adr/0006).
//!
//! A mutant is data in `mutants/*.toml`. It is applied to a copy of the checkout, never to the
//! checkout itself. It counts as killed only when the copy still builds, the named test ran, and it
//! failed; a mutant that does not build proves nothing.
use crate::{run, tidy};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of `mutants/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// the file's name without `.toml`
    pub name: String,
    /// which promise falls without the safeguard
    pub promise: String,
    /// file to change, relative to the checkout
    pub file: String,
    /// exact text; occurs once
    pub find: String,
    /// what takes its place
    pub replace: String,
    /// words for `cargo test` that pick the test, ending in its name
    pub test: Vec<String>,
    /// packages whose programs the test starts
    #[serde(default)]
    pub programs: Vec<String>,
}

/// What became of one mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// the test failed, as it must
    Killed,
    /// the test passed: the safeguard is not proven
    Survived,
    /// the changed tree does not build, or the test did not run
    Void(String),
}

/// All mutants, sorted by name.
/// # Errors
/// When a file cannot be read or says something unknown.
pub fn read(root: &Path) -> Result<Vec<Mutant>> {
    let folder = root.join("mutants");
    let mut out = Vec::new();
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let mutant: Mutant =
            toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        ensure!(
            path.file_stem().is_some_and(|stem| stem == mutant.name.as_str()),
            "{} is named {:?} inside",
            path.display(),
            mutant.name
        );
        out.push(mutant);
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

impl Mutant {
    /// The changed text of its file.
    /// # Errors
    /// When the text to change is not there exactly once, or the change changes nothing.
    pub fn applied(&self, text: &str) -> Result<String> {
        let times = text.matches(&self.find).count();
        ensure!(
            times == 1,
            "mutant {}: its text stands {times} times in {}, once is needed",
            self.name,
            self.file
        );
        ensure!(self.find != self.replace, "mutant {} changes nothing", self.name);
        Ok(text.replacen(&self.find, &self.replace, 1))
    }

    /// The function that must fail, without its modules.
    /// # Errors
    /// When the test's words are empty.
    pub fn function(&self) -> Result<&str> {
        let last = self.test.last().with_context(|| format!("mutant {} has no test", self.name))?;
        Ok(last.rsplit("::").next().unwrap_or(last))
    }
}

/// What can be checked without building: the text stands there once, the test exists.
/// # Errors
/// Naming the first mutant that has rotted.
pub fn check(root: &Path) -> Result<usize> {
    let mutants = read(root)?;
    let files = tidy::files(root)?;
    for mutant in &mutants {
        let file = files.iter().find(|file| file.path == mutant.file);
        let file = file.with_context(|| format!("mutant {}: no {}", mutant.name, mutant.file))?;
        mutant.applied(&file.text)?;
        let signature = format!("fn {}(", mutant.function()?);
        let there = files.iter().any(|f| f.path.ends_with(".rs") && f.text.contains(&signature));
        ensure!(there, "mutant {}: no test {}", mutant.name, signature);
        let program = mutant.test.windows(2).find(|pair| pair[0] == "--test").map(|p| &p[1]);
        let ends = |at: &str, name: &str| {
            at.ends_with(&format!("/tests/{name}.rs"))
                || at.ends_with(&format!("/tests/{name}/main.rs"))
        };
        let there = program.is_none_or(|name| files.iter().any(|file| ends(&file.path, name)));
        ensure!(there, "mutant {}: no test program {program:?}", mutant.name);
    }
    Ok(mutants.len())
}

/// Runs all mutants, or those named; true when every one was killed.
/// # Errors
/// When a mutant has rotted or the copy cannot be made.
pub fn report(root: &Path, names: &[&str]) -> Result<bool> {
    check(root)?;
    let all = read(root)?;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|m| m.name != **name)) {
        bail!("no mutant is named {unknown}");
    }
    let chosen: Vec<&Mutant> =
        all.iter().filter(|m| names.is_empty() || names.contains(&m.name.as_str())).collect();
    let copy = Copy::make(root)?;
    let mut rows = Vec::new();
    for mutant in chosen {
        eprintln!("mutant {}: {}", mutant.name, mutant.promise);
        let fate = copy.fate(mutant)?;
        eprintln!("mutant {}: {fate:?}", mutant.name);
        rows.push((mutant, fate));
    }
    println!("{:<36} {:<10} promise", "mutant", "fate");
    for (mutant, fate) in &rows {
        let word = match fate {
            Fate::Killed => "killed".to_owned(),
            Fate::Survived => "SURVIVED".to_owned(),
            Fate::Void(why) => format!("VOID ({why})"),
        };
        println!("{:<36} {word:<10} {}", mutant.name, mutant.promise);
    }
    let killed = rows.iter().filter(|(_, fate)| *fate == Fate::Killed).count();
    println!("{killed} of {} mutants killed", rows.len());
    Ok(killed == rows.len())
}

/// A copy of the checkout that may be broken.
#[derive(Debug)]
struct Copy {
    root: PathBuf,
    builds: PathBuf,
}

impl Copy {
    /// Beside the build folder, so that a second run builds only what changed.
    fn make(from: &Path) -> Result<Copy> {
        let base = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| from.join("target"), PathBuf::from)
            .join("mutants");
        let copy = Copy { root: base.join("tree"), builds: base.join("builds") };
        copy.sweep(from)?;
        for path in tracked(from)? {
            let (source, place) = (from.join(&path), copy.root.join(&path));
            let bytes =
                std::fs::read(&source).with_context(|| format!("read {}", source.display()))?;
            // untouched files keep their time, so cargo has nothing to build again
            if std::fs::read(&place).is_ok_and(|old| old == bytes) {
                continue;
            }
            let folder = place.parent().context("find the folder of a copied file")?;
            std::fs::create_dir_all(folder)
                .with_context(|| format!("make {}", folder.display()))?;
            std::fs::copy(&source, &place).with_context(|| format!("copy {}", source.display()))?;
        }
        Ok(copy)
    }

    /// Removes what an earlier run copied and the checkout no longer has.
    fn sweep(&self, from: &Path) -> Result<()> {
        if !self.root.exists() {
            return Ok(());
        }
        for file in tidy::files(&self.root)? {
            if !from.join(&file.path).exists() {
                std::fs::remove_file(self.root.join(&file.path))
                    .with_context(|| format!("remove {}", file.path))?;
            }
        }
        Ok(())
    }

    fn cargo(&self) -> Command {
        let mut command = run::cargo(&self.root);
        command.env("CARGO_TARGET_DIR", &self.builds).env("ANDON_ROOT", &self.root);
        command
    }

    fn fate(&self, mutant: &Mutant) -> Result<Fate> {
        let path = self.root.join(&mutant.file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        std::fs::write(&path, mutant.applied(&text)?)
            .with_context(|| format!("write {}", path.display()))?;
        let fate = self.judge(mutant);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        fate
    }

    fn judge(&self, mutant: &Mutant) -> Result<Fate> {
        // In one go: features then agree, and what both use is built once.
        let packages = mutant.programs.iter().flat_map(|package| ["-p", package]);
        let mut programs = self.cargo();
        programs.args(["build", "--quiet", "--bins"]).args(packages);
        if !mutant.programs.is_empty() && !run::passes(&mut programs)? {
            return Ok(Fate::Void(format!("{} do not build", mutant.programs.join(", "))));
        }
        let words: Vec<&str> = mutant.test.iter().map(String::as_str).collect();
        let (name, picks) = words.split_last().context("split the test's words")?;
        if !run::passes(self.cargo().args(["test", "--quiet", "--no-run"]).args(picks))? {
            return Ok(Fate::Void("does not build".to_owned()));
        }
        let mut command = self.cargo();
        command.args(["test"]).args(picks).args(["--", "--exact", name]);
        command.env("ANDON_E2E_STRICT", "1");
        if !mutant.programs.is_empty() {
            // Otherwise the test builds every program there is, which takes longer than all else.
            command.env("ANDON_E2E_PREBUILT", "1");
        }
        let out = command.output().with_context(|| format!("start {command:?}"))?;
        let said = String::from_utf8_lossy(&out.stdout);
        Ok(verdict(&said))
    }
}

/// How a test says that a program it starts was not built (`e2e/src/programs.rs`).
const UNBUILT: &str = "build it first";

/// Reads libtest's summary lines: over all test programs, did the one test run, and how did it end?
fn verdict(said: &str) -> Fate {
    // A test that found no program to start has failed for a reason of its own.
    if said.contains(UNBUILT) {
        return Fate::Void("the test needs a program that the mutant does not name".to_owned());
    }
    let summaries: Vec<&str> = said.lines().filter(|l| l.starts_with("test result:")).collect();
    let count = |word: &str| -> usize {
        summaries
            .iter()
            .filter_map(|line| line.split([';', '.']).find(|part| part.trim().ends_with(word)))
            .filter_map(|part| part.split_whitespace().next()?.parse::<usize>().ok())
            .sum()
    };
    match (count("passed"), count("failed")) {
        (0, 0) => Fate::Void("the test did not run".to_owned()),
        (_, 0) => Fate::Survived,
        _ => Fate::Killed,
    }
}

/// Files that git knows, and new ones it does not ignore.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-co", "--exclude-standard"]);
    let there = |path: &PathBuf| root.join(path).is_file();
    Ok(run::output(&mut git)?.lines().map(PathBuf::from).filter(there).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_applies_to_text_that_stands_once_and_nowhere_else() {
        let mutant: Mutant = toml::from_str(
            "name = 'x'\npromise = 'p'\nfile = 'a.rs'\nfind = 'sync()?;'\nreplace = ''\n\
             test = ['-p', 'a', '--lib', 'b::tests::it_syncs']\n",
        )
        .unwrap();
        assert_eq!(mutant.applied("a\nsync()?;\nb").unwrap(), "a\n\nb");
        assert!(mutant.applied("none").is_err());
        assert!(mutant.applied("sync()?; sync()?;").is_err());
        assert_eq!(mutant.function().unwrap(), "it_syncs");
    }

    #[test]
    fn only_a_test_that_ran_and_failed_kills() {
        let line = |passed, failed| {
            format!("test result: x. {passed} passed; {failed} failed; 0 ignored; 9 filtered out")
        };
        let failed = format!("{}\n", line(0, 1).replace(" x.", " FAILED."));
        let passed = format!("{}\n", line(1, 0).replace(" x.", " ok."));
        assert_eq!(verdict(&failed), Fate::Killed);
        assert_eq!(verdict(&passed), Fate::Survived);
        assert_eq!(verdict(&format!("{}\n{failed}", line(0, 0))), Fate::Killed);
        assert!(matches!(verdict(&line(0, 0)), Fate::Void(_)));
        let unbuilt = format!("Error: no target/debug/andond: build it first\n{failed}");
        assert!(matches!(verdict(&unbuilt), Fate::Void(_)));
        assert!(matches!(verdict(""), Fate::Void(_)));
    }
}

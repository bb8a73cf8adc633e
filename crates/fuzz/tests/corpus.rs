//! The whole corpus, every input once, without a fuzzer. What was ever found is tried with every change.
use andon_fuzz::{ALL, Entry, Fate};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most files of the corpus: it is there to be read again with every change.
const FILES_MAX: usize = 400;
/// Most bytes of all of them.
const BYTES_MAX: u64 = 1024 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

fn replay(entry: &Entry) {
    let folder = folder().join(entry.name);
    for name in names(&folder) {
        let path = folder.join(&name);
        let bytes = std::fs::read(&path).expect("read an input");
        let run = std::panic::catch_unwind(|| (entry.run)(&bytes));
        assert!(run.is_ok(), "{} fails; the words above say why", path.display());
    }
}

/// Mutants: sabotaged parsers (mutants/fuzz-*.toml).
#[test]
fn every_input_of_the_corpus_is_judged_as_it_must_be() {
    ALL.iter().for_each(replay);
}

#[test]
fn every_seed_is_taken_and_lies_in_the_corpus() {
    for entry in ALL {
        let kept = folder().join(entry.name);
        for (at, bytes) in (entry.seeds)().iter().enumerate() {
            let what = format!("{} seed {at}", entry.name);
            assert_eq!((entry.run)(bytes), Fate::Taken, "{what}");
            assert!(bytes.len() <= entry.length_max, "{what} has {} bytes", bytes.len());
            let lies = std::fs::read(kept.join(format!("seed-{at}"))).ok();
            let how = "write it: cargo run -p andon-fuzz --example seeds";
            assert_eq!(lies.as_deref(), Some(bytes.as_slice()), "{what}: {how}");
        }
    }
}

#[test]
fn every_target_has_its_folder_and_the_corpus_stays_small() {
    let listed: BTreeSet<String> = ALL.iter().map(|entry| entry.name.to_owned()).collect();
    assert_eq!(names(&folder()), listed);
    let files = listed.iter().flat_map(|name| {
        let folder = folder().join(name);
        names(&folder).into_iter().map(move |file| folder.join(file))
    });
    let lengths: Vec<u64> =
        files.map(|file| std::fs::metadata(file).expect("a file").len()).collect();
    assert!(lengths.len() <= FILES_MAX, "{} files", lengths.len());
    let bytes: u64 = lengths.iter().sum();
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}

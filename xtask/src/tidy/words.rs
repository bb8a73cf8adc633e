//! Words that must not stand in any file: places of the machines this was written on.
use super::{File, Finding};

/// Put together at compile time, so that this file passes its own rule.
const WORDS: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of a build machine"),
    (concat!("/tmp/", "brief"), "a path of a build machine"),
    (concat!("sub", "agent"), "a word of the workplace"),
    (concat!("://reg", "istry."), "a registry host: write the package's name"),
    (concat!("://ind", "ex."), "a registry host: write the package's name"),
    (concat!("://pro", "xy."), "a registry host: write the package's name"),
    (concat!("://mir", "ror."), "a registry host: write the package's name"),
];

/// Looks for the words in every file.
#[must_use]
pub fn check(files: &[File]) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in files {
        for (at, line) in file.text.lines().enumerate() {
            for (word, what) in WORDS {
                let Some(place) = line.find(word) else { continue };
                // `https://host/wo…rk/` is somebody's address, `./wo…rk/` a folder below us
                let before = line[..place].chars().next_back();
                let joined =
                    before.is_some_and(|c| c.is_ascii_alphanumeric() || ".}_-".contains(c));
                if !(word.starts_with('/') && joined) {
                    found.push(Finding::new(&file.path, at + 1, format!("has {word:?}, {what}")));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_workplace_are_found_and_look_alikes_are_not() {
        let path = concat!("/wo", "rk/");
        let text = format!("fine\nsee {path}x\nhttps://a.example{path}y\n");
        let found = check(&[File { path: "a.md".to_owned(), text }]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].place.as_str(), found[0].line), ("a.md", 2));
    }
}

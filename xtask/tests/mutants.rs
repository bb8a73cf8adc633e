//! No mutant rots unseen: the text it changes stands there once, and its test exists.

#[test]
fn every_mutant_still_applies() {
    xtask::mutants::check(&xtask::root()).unwrap();
}

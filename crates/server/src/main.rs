//! `andond`: parse, build, run, map the error.
fn main() {}

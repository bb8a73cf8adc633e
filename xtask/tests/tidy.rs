//! The checkout keeps its own house rules.

#[test]
fn the_checkout_is_tidy() {
    let found = xtask::tidy::check(&xtask::root()).unwrap();
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

//! libFuzzer's program: runs the target that `ANDON_FUZZ` names. All targets are one program, so that it
//! is built and linked once.
#![no_main]

use andon_fuzz::Entry;
use libfuzzer_sys::Corpus;
use std::sync::LazyLock;

static ENTRY: LazyLock<&'static Entry> = LazyLock::new(|| {
    let name = std::env::var("ANDON_FUZZ").unwrap_or_default();
    andon_fuzz::find(&name).unwrap_or_else(|| {
        eprintln!("ANDON_FUZZ names no target: {name:?}");
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    if bytes.len() > ENTRY.length_max {
        return Corpus::Reject;
    }
    let _fate = (ENTRY.run)(bytes);
    Corpus::Keep
});

//! Whole hosts driven by inputs.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod directives;
mod facts;
mod story;

//! Other implementations of the same specifications, asked the same questions: `ct-merkle` for trees
//! and proofs, `sigsum` for policies and whole proofs, `signed_note` for notes. Where they differ on
//! purpose, a test says so.
mod notes;
mod policies;
mod trees;

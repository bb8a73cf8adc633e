//! andon-trust.

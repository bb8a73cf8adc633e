//! andon-check.

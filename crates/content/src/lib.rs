//! andon-content.

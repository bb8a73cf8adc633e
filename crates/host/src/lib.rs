//! andon-host.

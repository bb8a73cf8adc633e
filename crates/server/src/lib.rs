//! andon-server.

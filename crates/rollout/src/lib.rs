//! andon-rollout.

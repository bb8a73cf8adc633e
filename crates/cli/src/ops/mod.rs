//! What the commands do, without the command line: the demo and the tests call the same functions.
//! They take time, keys and a client as arguments and print nothing.

pub(crate) mod ceremony;
pub(crate) mod change;
pub(crate) mod directive;
pub(crate) mod init;
pub(crate) mod init_log;
pub(crate) mod keyring;
pub(crate) mod office;
pub(crate) mod plan;
pub(crate) mod platform;
pub(crate) mod policy;
pub(crate) mod policy_edit;
pub(crate) mod release;
pub(crate) mod role;
pub(crate) mod rollout;
pub(crate) mod rotate;
pub(crate) mod stop;
pub(crate) mod trust;

//! Shutting ourselves in before the first network byte: Landlock for files and ports, seccomp for
//! system calls. Both are inherited by every thread started later and can never be undone.
//!
//! What is left: reading the name-resolution files, writing the folders given, TCP to the server's
//! port and DNS. What is gone: starting programs, reading anything else (the host's private key!),
//! tracing, mounting, loading kernel code, listening.
mod calls;

use crate::http::chain;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::path::Path;

/// The newest Landlock features asked for; a kernel that has fewer gives what it has.
const LANDLOCK_ABI: ABI = ABI::V6;
/// What name resolution reads. Folders where `/etc/resolv.conf` may point to are whole folders,
/// because the file is replaced when the network changes.
const NAMES: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
];
const DNS_PORT: u16 = 53;

/// Enters the sandbox; what this kernel lacks comes back in words, and is to be told.
/// Call before any thread is started.
#[must_use]
pub fn enter(writable: &[&Path], server_port: u16) -> Vec<String> {
    let mut lacking = Vec::new();
    match restrict_files(writable, server_port) {
        Ok(RulesetStatus::FullyEnforced) => {}
        Ok(RulesetStatus::PartiallyEnforced) => {
            lacking.push("landlock: this kernel has only a part of it".to_owned());
        }
        Ok(RulesetStatus::NotEnforced) => {
            lacking
                .push("landlock: this kernel does not have it; files are not confined".to_owned());
        }
        Err(failed) => {
            lacking.push(format!("landlock: {}; files are not confined", chain(&failed)))
        }
    }
    if let Err(failed) = calls::restrict() {
        lacking.push(format!("seccomp: {}; system calls are not confined", chain(&failed)));
    }
    lacking
}

fn restrict_files(writable: &[&Path], server_port: u16) -> Result<RulesetStatus, RulesetError> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let all = AccessFs::from_all(LANDLOCK_ABI);
    let write = all & !BitFlags::from(AccessFs::Execute);
    let status = Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .add_rules(path_beneath_rules(NAMES, read))?
        .add_rules(path_beneath_rules(writable, write))?
        .add_rule(NetPort::new(server_port, AccessNet::ConnectTcp))?
        .add_rule(NetPort::new(DNS_PORT, AccessNet::ConnectTcp))?
        .restrict_self()?;
    Ok(status.ruleset)
}

//! Names of servers, asked for once: `ureq` would ask again, in a new thread, for every request, and a
//! thousand files make a thousand requests.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Addresses found so far, by `HOST:PORT`. They hold for one command, which ends within hours.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Mutex<BTreeMap<String, Vec<SocketAddr>>>,
    system: DefaultResolver,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let name = uri.authority().map(ToString::to_string).unwrap_or_default();
        let locked = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(addresses) = locked().get(&name) {
            let mut found = self.empty();
            addresses.iter().for_each(|address| found.push(*address));
            return Ok(found);
        }
        let found = self.system.resolve(uri, config, timeout)?;
        locked().insert(name, found.to_vec());
        Ok(found)
    }
}

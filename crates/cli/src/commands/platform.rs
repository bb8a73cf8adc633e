//! `andon platform …`: the platform's next TUF root or top-level targets, on a line that runs: vendors, the
//! fast-lane list, keys that were lost or are due.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::ops::platform::{self, Top};
use crate::output;
use crate::policy_fast_lane::Listed;
use crate::span::Span;
use andon_model::fast_lane::FastLane;
use andon_model::limits::{KEYS_MAX, PLATFORM_BYTES_MAX};
use andon_model::{PublicKey, Time, VendorId};
use andon_trust::repository::{Delegation, Role, TargetsChange};
use andon_trust::sign::SigningKey;
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `andon platform …`
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The next top-level targets: delegate to vendors, withdraw from them, set the fast-lane list
    Targets {
        /// Delegate to a vendor, anew or with other keys; its keys in hexadecimal. May be repeated
        #[arg(long, value_name = "VENDOR=KEY[,KEY…][:THRESHOLD]")]
        delegate: Vec<RoleWord>,
        /// Delegate to this vendor no longer. May be repeated
        #[arg(long, value_name = "VENDOR")]
        withdraw: Vec<VendorId>,
        /// What may use the emergency lane, instead of what may now. May be repeated
        #[arg(long = "fast-lane", value_name = "VENDOR/COMPONENT")]
        fast_lane: Vec<Listed>,
        #[command(flatten)]
        common: Common,
    },
    /// The next root: other keys for root, targets, snapshot or timestamp
    Root {
        /// A role's keys instead of those it has, in hexadecimal. May be repeated
        #[arg(long, value_name = "ROLE=KEY[,KEY…][:THRESHOLD]", required = true)]
        role: Vec<RoleWord>,
        #[command(flatten)]
        common: Common,
    },
    /// Add signatures to a file of `--out`
    Sign {
        /// the file
        file: PathBuf,
        /// With which keys. May be repeated
        #[arg(long = "key", value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Send a file that enough have signed
    Send {
        /// the file
        file: PathBuf,
    },
}

/// Options of both ceremonies.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Keys that sign: of a root as many of the old one's as of the new one's. May be repeated
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// How long it is valid
    #[arg(long, default_value = "365d", value_name = "SPAN")]
    valid: Span,
    /// Write it to this file for others to sign, instead of sending it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A role, its keys, and how many of them must sign: all, where nothing is said.
#[derive(Clone, Debug)]
pub(crate) struct RoleWord {
    name: String,
    role: Role,
}

impl FromStr for RoleWord {
    type Err = String;
    fn from_str(text: &str) -> Result<RoleWord, String> {
        let (name, rest) = text.split_once('=').ok_or("write NAME=KEY[,KEY…][:THRESHOLD]")?;
        let (keys, threshold) = match rest.rsplit_once(':') {
            Some((keys, number)) => (keys, Some(number)),
            None => (rest, None),
        };
        let key = |word: &str| word.parse::<PublicKey>().map_err(|why| format!("key: {why}"));
        let keys = keys.split(',').map(key).collect::<Result<Vec<_>, _>>()?;
        let all = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let threshold = match threshold {
            None => all,
            Some(number) => number.parse().map_err(|_| format!("threshold {number:?}"))?,
        };
        if keys.len() > KEYS_MAX || threshold == 0 || threshold > all {
            return Err(format!("a threshold of {threshold} of {all} keys"));
        }
        Ok(RoleWord { name: name.to_owned(), role: Role { keys, threshold } })
    }
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Targets { delegate, withdraw, fast_lane, common } => {
            let expires = clock::now().plus(common.valid.0);
            let change = change(delegate, withdraw, fast_lane, expires)?;
            let keys = signing(context, &common.keys)?;
            let current = current(context).await?;
            let top = platform::targets(&current, expires, &change, &keys)?;
            finish(context, &top, common.out.as_deref()).await
        }
        Command::Root { role, common } => {
            let expires = clock::now().plus(common.valid.0);
            let keys = signing(context, &common.keys)?;
            let current = current(context).await?;
            let roles: Vec<_> = role.iter().map(|r| (r.name.as_str(), r.role.clone())).collect();
            let top = platform::root(&current, expires, &roles, &keys)?;
            finish(context, &top, common.out.as_deref()).await
        }
        Command::Sign { file, keys } => {
            let top = platform::sign(&read(&file)?, &signing(context, &keys)?)?;
            files::replace(&file, &platform::write(&top)?, Access::Public)?;
            written(context, &file)
        }
        Command::Send { file } => send(context, &read(&file)?).await,
    }
}

fn change(
    delegate: Vec<RoleWord>,
    withdraw: Vec<VendorId>,
    fast_lane: Vec<Listed>,
    expires: Time,
) -> Result<TargetsChange, Failure> {
    let mut delegations = Vec::new();
    for RoleWord { name, role } in delegate {
        let vendor = VendorId::new(&name)
            .map_err(|why| Failure::usage(format_args!("vendor {name:?} {why}")))?;
        delegations.push(Delegation { vendor, role });
    }
    let mut components: Vec<_> = fast_lane.into_iter().map(|listed| listed.0).collect();
    components.sort();
    components.dedup();
    let fast_lane = (!components.is_empty()).then_some(FastLane { expires, components });
    Ok(TargetsChange { delegate: delegations, withdraw, fast_lane })
}

async fn current(context: &Context) -> Result<platform::Current, Failure> {
    let anchor = context.anchor()?;
    Ok(platform::current(&context.client()?, &anchor.tuf_root, clock::now()).await?)
}

fn signing(context: &Context, words: &[String]) -> Result<Vec<SigningKey>, Failure> {
    Ok(context.keys(words)?.into_iter().map(|held| held.key).collect())
}

async fn finish(context: &Context, top: &Top, out: Option<&Path>) -> Outcome {
    let Some(file) = out else { return send(context, top).await };
    files::create(file, &platform::write(top)?, Access::Public)?;
    written(context, file)
}

fn read(file: &Path) -> Result<Top, Failure> {
    Ok(platform::read(&files::read(file, PLATFORM_BYTES_MAX as u64)?)?)
}

fn written(context: &Context, file: &Path) -> Outcome {
    output::either(context.form(), &json!({ "file": file }), || {
        output::line(format_args!("{} holds it.", file.display()));
        output::note(
            "the next signs: andon platform sign FILE --key NAME; then: andon platform send FILE",
        );
    })?;
    Ok(Exit::Ok)
}

async fn send(context: &Context, top: &Top) -> Outcome {
    let published = platform::send(&context.client()?, top).await?;
    output::either(context.form(), &published, || {
        let platform::Published { root, targets, orphaned } = &published;
        output::line(format_args!("In force: root {root}, top-level targets {targets}."));
        for vendor in orphaned {
            output::note(format_args!(
                "vendor {vendor} must sign its role anew: hosts believe none of its releases until then"
            ));
        }
    })?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roles_word_names_its_keys_and_how_many_sign() {
        let key = |n: u8| SigningKey::from_seed([n; 32]).public().to_string();
        let (one, two) = (key(1), key(2));
        let read = |text: String| text.parse::<RoleWord>();
        let both = read(format!("root={one},{two}")).unwrap();
        assert_eq!((both.name.as_str(), both.role.keys.len(), both.role.threshold), ("root", 2, 2));
        assert_eq!(read(format!("acme={one},{two}:1")).unwrap().role.threshold, 1);
        for bad in [one.clone(), format!("a={one}:0"), format!("a={one}:2"), "a=:1".into()] {
            assert!(read(bad.clone()).is_err(), "{bad} was taken");
        }
    }
}

//! `andon pull`: the cord. One key of one party is enough.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::ops::stop;
use crate::output;
use andon_model::limits::FREEZE_ALONE_MAX;
use andon_model::stop::{Party, Scope};
use andon_model::{Digest, LineId, Millis, OperatorId, VendorId};
use clap::Subcommand;
use serde_json::json;

/// Options of `andon pull`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Who pulls: vendor:NAME, operator (default), operator:NAME or platform
    #[arg(long = "as", global = true, default_value = "operator", value_name = "PARTY")]
    party: String,
    /// Key of that party
    #[arg(long, global = true, value_name = "KEY")]
    key: Option<String>,
    /// A second key of that party: without one it holds for 30 days at most. May be repeated
    #[arg(long, global = true, value_name = "KEY")]
    confirm: Vec<String>,
    /// Why; people will read it
    #[arg(long, global = true)]
    reason: Option<String>,
    /// How long it holds; over 720 with --confirm only
    #[arg(long, global = true, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=87_600))]
    hours: u64,
}

/// What stops.
#[derive(Clone, Debug, Subcommand)]
enum What {
    /// One release, by the digest of its manifest
    Release {
        /// the digest
        digest: Digest,
    },
    /// Everything of a vendor
    Vendor {
        /// the vendor
        vendor: VendorId,
    },
    /// Everything
    All,
}

pub(crate) async fn run(context: &Context, args: Args) -> Outcome {
    let (Some(word), Some(reason)) = (&args.key, &args.reason) else {
        return Err(Failure::usage("pulling the cord needs --key and --reason")
            .next("andon pull release DIGEST --as operator --key alice --reason \"crashes\""));
    };
    let by = party(context, &args.party)?;
    let scope = match args.what {
        What::Release { digest } => Scope::Release(digest),
        What::Vendor { vendor } => Scope::Vendor(vendor),
        What::All => Scope::All,
    };
    let held = context.key(word)?;
    let mut confirming = Vec::new();
    for word in &args.confirm {
        confirming.push(context.key(word)?.key);
    }
    let valid = Millis::from_secs(args.hours * 3600);
    if valid > FREEZE_ALONE_MAX && confirming.is_empty() {
        return Err(Failure::usage("one key alone freezes for 720 hours at most")
            .next("add --confirm with a second key of the same party, or take fewer --hours"));
    }
    let now = clock::now();
    let keys = (&held.key, &confirming[..]);
    let freeze = stop::freeze(by.clone(), scope.clone(), reason, keys, now, valid)?;
    let digest = stop::pull(&context.client()?, &freeze).await?;
    let named = Digest::of(&freeze.payload);
    let value = json!({"stop": digest, "freeze": named, "by": by, "scope": scope, "expires": now.plus(valid)});
    output::either(context.form(), &value, || {
        output::line(format_args!("Frozen by {by} for {} h: {digest}", args.hours));
        output::line(
            "No host activates it from now on; hosts it crashed go back; healthy hosts stay.",
        );
        output::note(format_args!(
            "an operator lets it go for its own line by policy: [[override]] freeze = \"{named}\""
        ));
    })?;
    Ok(Exit::Ok)
}

pub(super) fn party(context: &Context, word: &str) -> Result<Party, Failure> {
    let wrong = || {
        Failure::usage(format_args!("party {word:?} is unknown"))
            .next("--as vendor:NAME, --as operator or --as platform")
    };
    match word.split_once(':') {
        None if word == "platform" => Ok(Party::Platform),
        None if word == "operator" => match context.line()? {
            LineId::Operator(name) => Ok(Party::Operator(name)),
            LineId::Vendor(name) => Ok(Party::Vendor(name)),
        },
        Some(("operator", name)) => OperatorId::new(name).map(Party::Operator).map_err(|_| wrong()),
        Some(("vendor", name)) => VendorId::new(name).map(Party::Vendor).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

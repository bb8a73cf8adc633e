//! `andon init`.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::keys::Keeping;
use crate::ops::init::{self, InitError, InitOptions, Made};
use crate::ops::init_log::{self, LogOptions, WitnessOption};
use crate::output;
use crate::policy_fast_lane::Listed;
use andon_model::{LineId, OperatorId, PersonId, RigId, VendorId, VerifierId};
use serde_json::json;

/// Options of `andon init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the fleet's owner
    #[arg(long, default_value = "operator")]
    operator: OperatorId,
    /// Lay out a vendor's line over member operators instead: its people, keys and policy
    #[arg(long, value_name = "VENDOR", conflicts_with_all = ["operator", "vendors"])]
    vendor_line: Option<VendorId>,
    /// A vendor with a signing role of its own; may be repeated
    #[arg(long = "vendor", value_name = "NAME")]
    vendors: Vec<VendorId>,
    /// The operator's people, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "alice,bob,carol")]
    people: Vec<PersonId>,
    /// How many people must sign policy and adopted releases
    #[arg(long, default_value_t = 2)]
    threshold: u32,
    /// A gate verifier that must cosign every ticket; may be repeated. Without this option: one, v1
    #[arg(long = "verifier", value_name = "NAME")]
    verifiers: Vec<VerifierId>,
    /// No gate verifier: whoever steals the server's online key may then hand out at any pace
    #[arg(long, conflicts_with = "verifiers")]
    no_verifier: bool,
    /// A rig that must have run a release before hosts install it; may be repeated, all of them must
    #[arg(long = "rig", value_name = "NAME")]
    rigs: Vec<RigId>,
    /// Let the server keep a public log of releases, policies and stops, and let hosts demand a proof
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    log: Option<String>,
    /// A witness of that log (its verifier key is printed by andon keys note); may be repeated
    #[arg(long = "witness", value_name = "VKEY@URL", requires = "log")]
    witnesses: Vec<WitnessOption>,
    /// A component that may use the emergency lane, by the platform's list; may be repeated. Without it
    /// all may
    #[arg(long = "fast-lane", value_name = "VENDOR/COMPONENT")]
    fast_lane: Vec<Listed>,
    /// Encrypt the keys of people (operator root, daily, platform, vendors) by a passphrase; those of programs
    /// stay plain
    #[arg(long)]
    encrypt: bool,
    /// Where the server will listen
    #[arg(long, default_value = "127.0.0.1:7300", value_name = "ADDR:PORT")]
    listen: String,
}

pub(crate) fn run(context: &Context, args: Args) -> Outcome {
    let Some(layout) = context.layout() else {
        return Err(Failure::usage("andon init needs a folder to make").next("give --dir DIR"));
    };
    if args.listen.parse::<std::net::SocketAddr>().is_err() {
        let text = format!("listen address {:?} is not ADDRESS:PORT", args.listen);
        return Err(Failure::usage(text).next("for example --listen 127.0.0.1:7300"));
    }
    let line = args.vendor_line.map_or(LineId::Operator(args.operator), LineId::Vendor);
    let mut options = InitOptions::new(line);
    options.vendors = args.vendors;
    options.people = args.people;
    options.threshold = args.threshold;
    options.verifiers = match (args.verifiers, args.no_verifier) {
        (named, _) if !named.is_empty() => named,
        (_, true) => Vec::new(),
        (_, false) => vec![VerifierId::new("v1").map_err(anyhow::Error::new)?],
    };
    options.fast_lane = args.fast_lane.into_iter().map(|listed| listed.0).collect();
    options.rigs = args.rigs;
    let unnamed = init_log::name(&options.line);
    options.log = args.log.map(|name| {
        let name = if name.is_empty() { unnamed } else { name };
        LogOptions { name, witnesses: args.witnesses }
    });
    options.listen = args.listen;
    init::check(layout.dir(), &options).map_err(refused)?;
    if args.encrypt {
        let passphrase = context.new_passphrase("all keys of people")?;
        options.keeping = Keeping::Sealed { passphrase, made: clock::now() };
    }
    let made = init::create(layout.dir(), &options, clock::now()).map_err(refused)?;
    show(context, &options, &made)?;
    Ok(Exit::Ok)
}

fn refused(error: InitError) -> Failure {
    Failure::from(error).next("name a folder that is not there yet")
}

fn show(context: &Context, options: &InitOptions, made: &Made) -> Result<(), Failure> {
    let layout = &made.layout;
    let record = match &options.line {
        LineId::Operator(operator) => {
            init::vendor_of_record(operator).map_err(anyhow::Error::new)?
        }
        LineId::Vendor(vendor) => vendor.clone(),
    };
    let value = json!({
        "dir": layout.dir(),
        "line": made.anchor.line,
        "anchor": layout.anchor(),
        "join_token": layout.join_token(),
        "keys": layout.keys(),
        "policy_form": layout.policy_form(),
        "policy": layout.policy(),
        "server_config": layout.server_config(),
        "tuf": layout.tuf(),
        "people": options.people,
        "threshold": options.threshold,
        "vendors": options.vendors,
        "verifiers": options.verifiers,
        "rigs": options.rigs,
        "log": made.log.as_ref().map(ToString::to_string),
        "vendor_of_record": record,
        "next": next(options, made),
    });
    output::either(context.form(), &value, || {
        let row = |what: &str, path: &std::path::Path, why: &str| {
            vec![what.to_owned(), path.display().to_string(), why.to_owned()]
        };
        let mut rows = vec![
            row("anchor", &layout.anchor(), "give it to every host, by a way you trust"),
            row("join token", &layout.join_token(), "admits new hosts; secret"),
            row("people", &layout.keys().join("people"), "daily keys; one for each person"),
            row(
                "offline keys",
                &layout.keys(),
                "operator-root, platform, vendors: move off this machine",
            ),
            row("policy", &layout.policy_form(), "edit, then andon policy sign"),
            row("server", &layout.server_config(), "andond's configuration"),
        ];
        for name in &options.verifiers {
            let path = layout.verifier_key(name);
            rows.push(row("verifier", &path, "move it to the verifier's machine: andon verifier"));
        }
        for name in &options.rigs {
            let path = layout.rig_key(name);
            rows.push(row("rig", &path, "move it to the rig's machine: andon rig run"));
        }
        if made.log.is_some() {
            rows.push(row("log", &layout.log_key(), "signs the public log; the server's own"));
        }
        output::line(format_args!("Line {} is laid out.\n", made.anchor.line));
        if options.verifiers.is_empty() {
            output::note(
                "no gate verifier: the server's online key alone can hand out at any pace",
            );
        }
        output::line(output::table(&["what", "where", "note"], rows));
        for command in next(options, made) {
            output::note(format_args!("next: {command}"));
        }
    })
}

fn next(options: &InitOptions, made: &Made) -> Vec<String> {
    let (dir, verifiers) = (made.layout.dir().display(), &options.verifiers);
    let mut next = vec![
        format!("andond --config {dir}/server/andond.toml"),
        format!("export ANDON_DIR={dir}"),
    ];
    // Without them nothing is ever handed out.
    next.extend(verifiers.iter().map(|name| {
        format!(
            "andon verifier --key verifiers/{name} --data verifier-{name}   # elsewhere, for good"
        )
    }));
    // Without them nothing is ever published.
    if let (Some(vkey), Some(log)) = (&made.log, &options.log)
        && !log.witnesses.is_empty()
    {
        next.push(format!("andon witness --log {vkey} …   # each witness, elsewhere, for good"));
    }
    next
}

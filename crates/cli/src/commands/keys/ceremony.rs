//! `andon keys ceremony`.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::ops::ceremony::{HOLDERS_MAX, Sheet};
use crate::ops::office::Office;
use crate::output;
use andon_model::VendorId;
use andon_model::enrol::Anchor;
use serde_json::json;
use std::path::PathBuf;
use std::str::FromStr;

const AFTER_HELP: &str = "\
Plain text, to be printed on A4 and filled in by hand. With --dir the line's own people and threshold are on
it, and the ceremony gives each of them a new key; without, it begins with laying the line out.";

/// Options of `andon keys ceremony`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Whose keys: operator-root, platform-root, platform-targets, platform-cord, vendor, person
    #[arg(long, value_enum, default_value = "operator-root", value_name = "WHAT")]
    role: Office,
    /// How many of how many sign, where no line says it
    #[arg(long, value_name = "K/N")]
    threshold: Option<Threshold>,
    /// The vendor, for its keys
    #[arg(long, value_name = "NAME", required_if_eq("role", "vendor"))]
    vendor: Option<VendorId>,
    /// File to make; without it the sheet is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `2/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threshold {
    sign: usize,
    of: usize,
}

impl FromStr for Threshold {
    type Err = String;
    fn from_str(text: &str) -> Result<Threshold, String> {
        let parts =
            text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((sign, of)) if 0 < sign && sign <= of && of <= HOLDERS_MAX => {
                Ok(Threshold { sign, of })
            }
            _ => Err(format!("{text:?} is not K/N such as 2/3, with N at most {HOLDERS_MAX}")),
        }
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    if args.role.is_online() {
        return Err(Failure::usage("a program's key needs no ceremony: nobody holds it")
            .next("andon keys rotate replaces it"));
    }
    let anchor = match context.layout() {
        Some(layout) if layout.anchor().is_file() => Some(context.anchor()?),
        _ => None,
    };
    let folder = context.layout().map_or("LINE".to_owned(), |it| it.dir().display().to_string());
    let text = sheet(args, anchor.as_ref(), folder)?.text();
    let Some(out) = &args.out else {
        output::either(context.form(), &json!({"text": text}), || output::line(text.trim_end()))?;
        return Ok(Exit::Ok);
    };
    files::create(out, text.as_bytes(), Access::Public)?;
    output::either(context.form(), &json!({"file": out}), || {
        output::note(format_args!("{} is written; print it for everybody", out.display()));
    })?;
    Ok(Exit::Ok)
}

fn sheet(args: &Args, anchor: Option<&Anchor>, folder: String) -> Result<Sheet, Failure> {
    let people = people(args, anchor)?;
    let threshold = anchor.map_or(2, |it| it.operators_threshold as usize);
    let roots: Vec<String> = people.iter().map(|name| format!("operator-root/{name}")).collect();
    let of_roots: Vec<String> = roots.iter().take(threshold).cloned().collect();
    let of_line = anchor.and_then(platform).filter(|_| args.role != Office::Vendor);
    let Threshold { sign, of } = of_line.or(args.threshold).unwrap_or(Threshold { sign: 2, of: 3 });
    let platform: Vec<String> = (1..=of).map(|number| format!("platform/root-{number}")).collect();
    let of_platform = platform.iter().take(sign).cloned().collect();
    let targets = "platform/targets".to_owned();
    let named = |sign: usize, keys: &[String]| (sign.min(keys.len()), keys.to_vec());
    let ((threshold, keys), also) = match args.role {
        Office::OperatorRoot => {
            let sign = if anchor.is_some() { threshold } else { sign };
            (named(sign, &roots), Vec::new())
        }
        Office::PlatformRoot => ((sign, platform), Vec::new()),
        Office::PlatformTargets => ((1, vec![targets]), of_platform),
        Office::PlatformCord => ((1, vec!["platform/cord".to_owned()]), Vec::new()),
        Office::Vendor => {
            let vendor = args.vendor.as_ref().map_or("VENDOR", |it| it.as_str());
            let keys = (1..=of).map(|number| format!("vendors/{vendor}/{number}")).collect();
            ((sign, keys), vec![targets])
        }
        _ => {
            let daily: Vec<String> = people.iter().map(|name| format!("people/{name}")).collect();
            (named(threshold, &daily), [of_roots, vec![targets]].concat())
        }
    };
    let init = anchor.is_none().then(|| init(args, &folder, &people, sign));
    let line = anchor.map_or("______________________________".to_owned(), |it| it.line.to_string());
    let results = results(args.role);
    Ok(Sheet {
        office: args.role,
        line,
        folder,
        init,
        keys,
        threshold,
        also,
        results,
        now: clock::now(),
    })
}

/// The line's people, or stand-ins for those who will be.
fn people(args: &Args, anchor: Option<&Anchor>) -> Result<Vec<String>, Failure> {
    let Some(anchor) = anchor else {
        let of = args.threshold.map_or(3, |it| it.of);
        return Ok((1..=of).map(|number| format!("person-{number}")).collect());
    };
    let people: Vec<String> = anchor.operators.iter().map(|it| it.person.to_string()).collect();
    if people.len() > HOLDERS_MAX {
        let text =
            format!("a sheet has room for {HOLDERS_MAX} holders, the line has {}", people.len());
        return Err(Failure::usage(text));
    }
    match (args.role, args.threshold) {
        (Office::OperatorRoot | Office::Person, Some(asked))
            if (asked.sign, asked.of) != (anchor.operators_threshold as usize, people.len()) =>
        {
            let (k, n) = (anchor.operators_threshold, people.len());
            Err(Failure::usage(format!(
                "the line's own threshold is {k}/{n}; another one takes a new anchor"
            ))
            .next("leave --threshold out (docs/operate/key-loss.md says how to re-root)"))
        }
        _ => Ok(people),
    }
}

/// How many of how many sign the platform's root, by the root that the anchor pins.
fn platform(anchor: &Anchor) -> Option<Threshold> {
    let role = anchor.tuf_root.pointer("/signed/roles/root")?;
    let of = role.get("keyids")?.as_array()?.len().min(HOLDERS_MAX);
    let sign = usize::try_from(role.get("threshold")?.as_u64()?).ok()?;
    Some(Threshold { sign, of })
}

fn init(args: &Args, folder: &str, people: &[String], sign: usize) -> String {
    let vendor = args.vendor.as_ref().map_or(String::new(), |it| format!(" --vendor {it}"));
    // A few at a time: a list of many has no place where a line could end.
    let people = people.chunks(4).map(|some| format!(" --people {}", some.join(",")));
    format!(
        "andon --dir {folder} init --operator operator-name{vendor} --threshold {sign} --encrypt{}",
        people.collect::<String>()
    )
}

fn results(office: Office) -> Vec<&'static str> {
    match office {
        Office::OperatorRoot => vec!["anchor.json", "server/policy.json"],
        Office::PlatformCord => vec!["anchor.json"],
        Office::PlatformRoot => vec!["server/data/tuf/*.root.json"],
        Office::PlatformTargets => {
            vec!["server/data/tuf/*.root.json", "server/data/tuf/*.targets.json"]
        }
        Office::Vendor => vec!["server/data/tuf/*.targets.json"],
        _ => vec!["server/policy.json", "server/data/tuf/*.targets.json"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::ops::ceremony::{COLUMNS_MAX, PROMPT};
    use andon_model::policy::Person;
    use andon_model::{LineId, PersonId, PublicKey};
    use clap::{Parser as _, ValueEnum as _};

    fn anchor() -> Anchor {
        let person = |name: &str| Person {
            person: PersonId::new(name).unwrap(),
            key: PublicKey([name.len().try_into().unwrap(); 32]),
        };
        Anchor {
            schema: 1,
            line: LineId::from_str("operator:hospital").unwrap(),
            operators: ["alice", "bob", "christopher-of-the-long-name"].map(person).to_vec(),
            operators_threshold: 2,
            tuf_root: serde_json::Value::Null,
            platform: Vec::new(),
        }
    }

    fn sheets() -> Vec<(String, String)> {
        let mut all = Vec::new();
        let offices = Office::value_variants().iter().filter(|office| !office.is_online());
        for role in offices {
            for (anchor, threshold) in [
                (Some(anchor()), None),
                (None, None),
                (None, Some(Threshold { sign: 4, of: HOLDERS_MAX })),
            ] {
                let vendor = (*role == Office::Vendor).then(|| VendorId::new("acme").unwrap());
                let args = Args { role: *role, threshold, vendor, out: None };
                let folder = "/media/line".to_owned();
                let text = sheet(&args, anchor.as_ref(), folder).unwrap().text();
                all.push((format!("{role:?} {threshold:?}"), text));
            }
        }
        all
    }

    /// What people type on the day must not be found wrong on the day. Mutant: ceremony-command-unknown.
    #[test]
    fn every_command_on_a_sheet_is_one_that_andon_takes() {
        for (what, text) in sheets() {
            let joined = text.replace("\\\n", " ");
            let typed = joined.lines().filter_map(|line| line.trim_start().strip_prefix(PROMPT));
            let own: Vec<&str> = typed.filter(|line| line.starts_with("andon ")).collect();
            assert!(own.len() >= 4, "{what}: {own:?}");
            for line in own {
                // Printing the version ends clap with an "error" of that kind.
                let parsed = Cli::try_parse_from(line.split_whitespace());
                let version = |e: &clap::Error| e.kind() == clap::error::ErrorKind::DisplayVersion;
                assert!(parsed.as_ref().err().is_none_or(version), "{what}: {line}: {parsed:?}");
            }
        }
    }

    #[test]
    fn a_sheet_fits_its_paper_and_has_a_line_for_everybody() {
        for (what, text) in sheets() {
            for line in text.lines() {
                assert!(line.chars().count() <= COLUMNS_MAX, "{what}: {line}");
            }
        }
        let args = Args { role: Office::OperatorRoot, threshold: None, vendor: None, out: None };
        let text = sheet(&args, Some(&anchor()), "d".to_owned()).unwrap().text();
        for person in ["alice", "bob", "christopher-of-the-long-name"] {
            assert!(text.contains(&format!("keys rotate operator-root/{person}")), "{text}");
        }
        assert!(text.contains("operator:hospital") && text.contains("2 of 3 sign"), "{text}");
    }

    #[test]
    fn thresholds_are_read_or_refused() {
        assert_eq!("2/3".parse(), Ok(Threshold { sign: 2, of: 3 }));
        assert_eq!("16/16".parse(), Ok(Threshold { sign: 16, of: 16 }));
        for wrong in ["", "2", "0/3", "4/3", "2/17", "a/b", "2/3/4", "-1/3"] {
            assert!(Threshold::from_str(wrong).is_err(), "{wrong}");
        }
        let threshold = Some(Threshold { sign: 1, of: 3 });
        let args = Args { role: Office::OperatorRoot, threshold, vendor: None, out: None };
        assert!(sheet(&args, Some(&anchor()), "d".to_owned()).is_err(), "it is not the line's");
    }
}

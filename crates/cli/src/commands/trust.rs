//! `andon trust`: who may do what, and what a thief of each key reaches, measured on the code that hosts
//! run (docs/spec/what-if.md).
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::ops::trust;
use crate::output;
use andon_trust::theft::{HOSTS, Lab, LabError, Line, Reach, breaches, needs_also};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What `andon trust` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Who may do what, as a tree: which keys, how many of them, what for
    Show,
    /// What a thief of keys reaches, measured on 10,000 hosts
    WhatIf {
        /// Every single key and every pair
        #[arg(long, conflicts_with = "stolen", required_unless_present = "stolen")]
        all: bool,
        /// A key as andon trust show names it; repeat it for several in one hand
        #[arg(long, value_name = "KEY")]
        stolen: Vec<String>,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    let line = line(context).await?;
    match command {
        Command::Show => super::trust_show::show(context, &line),
        // Measuring is computation, a second or more of it.
        Command::WhatIf { all, stolen } => {
            tokio::task::block_in_place(|| what_if(context, line, all, &stolen))
        }
    }
}

/// The line of the folder, of the server below an anchor, or a made-up one.
async fn line(context: &Context) -> Result<Line, Failure> {
    match context.layout() {
        Some(layout) => Ok(trust::of_folder(layout, &context.anchor()?).await?),
        None if context.has_anchor() => {
            Ok(trust::of_server(&context.client()?, &context.anchor()?).await?)
        }
        None => {
            output::note(
                "no line is named (--dir, or --anchor and --server): a made-up one is taken",
            );
            Ok(trust::made_up()?)
        }
    }
}

/// Measures each set once, and once for all keys of a class.
struct Measured<'l> {
    lab: &'l Lab,
    classes: BTreeMap<&'l str, &'l str>,
    known: BTreeMap<Vec<&'l str>, Reach>,
}

impl<'l> Measured<'l> {
    fn new(lab: &'l Lab) -> Measured<'l> {
        let classes = lab.keys().iter().map(|key| (key.name.as_str(), key.class.as_str()));
        Measured { lab, classes: classes.collect(), known: BTreeMap::new() }
    }

    fn of(&mut self, names: &[&str]) -> Result<Reach, LabError> {
        let class = |name: &&str| self.classes.get(*name).copied();
        let Some(mut alike) = names.iter().map(class).collect::<Option<Vec<_>>>() else {
            return self.lab.measure(names);
        };
        alike.sort_unstable();
        let mut reach = match self.known.get(&alike) {
            Some(reach) => reach.clone(),
            None => self.lab.measure(names)?,
        };
        self.known.entry(alike).or_insert_with(|| reach.clone());
        reach.stolen = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(reach)
    }
}

fn what_if(context: &Context, line: Line, all: bool, stolen: &[String]) -> Outcome {
    let of = line.line.clone();
    let lab = Lab::new(line)?;
    let names: Vec<&str> = lab.keys().iter().map(|key| key.name.as_str()).collect();
    let sets: Vec<Vec<&str>> =
        if all { singles_and_pairs(&names) } else { vec![known(&names, stolen)?] };
    let beyond = breaches(&lab)?;
    let mut measured = Measured::new(&lab);
    let mut rows = Vec::new();
    for set in &sets {
        let reach = measured.of(set)?;
        rows.push((needs_also(&beyond, lab.keys(), set), reach));
    }
    let value = |(also, reach): &(Vec<Vec<String>>, Reach)| -> Result<Value, Failure> {
        let mut value = serde_json::to_value(reach)?;
        (value["needs_also"], value["line"]) = (json!(also), json!(of));
        value["hosts"] = json!(HOSTS);
        Ok(value)
    };
    let values = rows.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    output::either(context.form(), &values, || people(&of.to_string(), &lab, &rows, all))?;
    Ok(Exit::Ok)
}

fn singles_and_pairs<'k>(names: &[&'k str]) -> Vec<Vec<&'k str>> {
    let mut sets: Vec<Vec<&str>> = names.iter().map(|name| vec![*name]).collect();
    for (at, first) in names.iter().enumerate() {
        sets.extend(names.iter().skip(at + 1).map(|second| vec![*first, *second]));
    }
    sets
}

fn known<'k>(names: &[&'k str], stolen: &[String]) -> Result<Vec<&'k str>, Failure> {
    let mut set = Vec::new();
    for word in stolen {
        // `alice` is a person's daily key, as with --key.
        let person = format!("people/{word}");
        let name =
            names.iter().find(|name| *name == word || **name == person).ok_or_else(|| {
                Failure::not_found(format!("this line has no key {word:?}"))
                    .next("andon trust show lists the names")
            })?;
        if !set.contains(name) {
            set.push(*name);
        }
    }
    Ok(set)
}

fn people(line: &str, lab: &Lab, rows: &[(Vec<Vec<String>>, Reach)], all: bool) {
    output::line(format_args!(
        "Line {line}: what a thief reaches of {HOSTS} hosts while a first wave of {} is under way\n",
        lab.wave_signed()
    ));
    let yes = |said: bool| if said { "yes" } else { "NO" }.to_owned();
    let shown = rows.iter().filter(|(_, reach)| {
        // All pairs fill pages: those that say more than their two keys do, unless they were asked for.
        !all || reach.stolen.len() == 1 || !reach.within_signed_wave
    });
    let table = shown.map(|(also, reach)| {
        let also: Vec<String> = also.iter().take(2).map(|set| set.join(" + ")).collect();
        let freezes = if reach.can_freeze { reach.freezes.join(", ") } else { "-".to_owned() };
        vec![
            reach.stolen.join(" + "),
            reach.hosts_reached_max.to_string(),
            reach.hosts_foreign_code_max.to_string(),
            yes(reach.within_signed_wave),
            freezes,
            reach.hosts_unprotected_max.to_string(),
            if also.is_empty() { "-".to_owned() } else { also.join(", or ") },
        ]
    });
    let header =
        ["stolen", "reached", "foreign code", "in the wave", "freezes", "kept back", "needs also"];
    output::line(output::table(&header, table.collect()));
    let pairs = rows.iter().filter(|(_, reach)| reach.stolen.len() == 2).count();
    if all && pairs > 0 {
        let beyond = rows.iter().filter(|(_, it)| it.stolen.len() == 2 && !it.within_signed_wave);
        output::line(format_args!(
            "\n{pairs} pairs were measured; the {} that reach further than the wave are shown",
            beyond.count()
        ));
    }
    if !all {
        for (_, reach) in rows {
            for tried in &reach.attacks {
                output::line(format_args!(
                    "{:>7} hosts, {:>6} kept back  {}",
                    tried.hosts, tried.unprotected, tried.attack
                ));
            }
            output::line(format_args!("{} forgeries were tried", reach.attacks_tried));
        }
    }
}

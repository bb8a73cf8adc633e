//! The order of the acts, the words around them, and the table at the end.
use super::acts::bad::{self, Met, Told};
use super::acts::good::{self, Sent};
use super::acts::opening::{self, Asked};
use super::picture::Screen;
use super::play::Play;
use super::recount::{FULL_HOST, Recipe};
use super::report::{FleetFigures, Report};
use super::setting::{Fault, Places};
use super::{Args, judge};
use crate::output::{self, Paint};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// What the acts left to be counted.
#[derive(Debug, Default)]
struct Acts {
    good: Option<Sent>,
    bad: Option<Met>,
    silent: Option<Met>,
    fix: Option<Sent>,
}

/// Before anything runs.
pub(super) fn prologue(screen: &mut Screen, args: &Args, root: &Path) {
    screen.act(&format!(
        "One full host and {} light hosts on this machine; release 2 has: {}",
        args.hosts,
        args.fault.words()
    ));
    screen.say(&format!("everything is kept in {}", root.display()));
}

/// Plays, counts, judges. A story that breaks off still gives a report, which says so.
/// # Errors
/// Only when not even a report can be made.
pub(super) async fn tell(screen: Screen, places: &Places, args: &Args) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let rules = opening::rules(args.rules.as_deref())?;
    let mut report = Report::blank(args, places, rules.origin.clone())?;
    let asked = Asked { seed: args.seed, fault: args.fault, light_hosts: args.hosts };
    match opening::raise(places.clone(), screen, &asked).await {
        Ok(mut play) => {
            let mut acts = Acts::default();
            let played = play_acts(&mut play, &rules, &mut acts, &mut report).await;
            let counted = count(&play, &acts, &mut report).await;
            report.error = played.err().or(counted.err()).map(|error| format!("{error:#}"));
            report.fleet = figures(&play);
            end(play).await;
        }
        Err(error) => report.error = Some(format!("{error:#}")),
    }
    report.wall_s = (begun.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    report.promises = judge::promises(&report, args.fault);
    Ok(report)
}

async fn play_acts(
    play: &mut Play,
    rules: &super::bundles::Rules,
    acts: &mut Acts,
    report: &mut Report,
) -> anyhow::Result<()> {
    play.screen.say(&format!("{} hosts run release 0", play.hosts));
    if let Some(why) = &play.line.rig_figures().left_out {
        play.screen.say(&format!("no rig works here, so hosts demand none: {why}"));
    }
    play.screen
        .say("every ticket is made again and cosigned by a gate verifier, or no host obeys it");
    play.screen.say("every release is in a public log that two of three witnesses have cosigned, or no host takes it");
    acts.good = Some(good::rules(play, rules).await?);
    report.alert = Some(good::alert(play, rules).await?);

    play.screen.act(&format!("Release 2: {}", play.fault.words()));
    acts.bad = Some(bad::meet(play, "release-2", 2, Told::Reports).await?);
    if play.fault.crashes() || play.fault == Fault::Hang {
        play.screen.say("every crashed host is back, by itself");
    }

    if play.fault.can_silence() {
        play.screen.act("The same again with reports switched off: only the dead are silent");
        acts.silent = Some(bad::meet(play, "release-2-silent", 3, Told::Nothing).await?);
    } else {
        report.bad_silent_left_out = Some(match play.fault {
            Fault::None => "there is no fault to be silent about".to_owned(),
            Fault::Hang | Fault::Probe => {
                "hosts with this fault keep beating: without reports and probes nobody could tell"
                    .to_owned()
            }
            Fault::Crash | Fault::Late(_) => "the fault is outside the promise".to_owned(),
        });
    }
    acts.fix = Some(good::fix(play, 4).await?);
    Ok(())
}

/// Figures, from the journals as they lie in the folder now.
async fn count(play: &Play, acts: &Acts, report: &mut Report) -> anyhow::Result<()> {
    play.export().await?;
    keep_full_journal(&play.places)?;
    let journals = play.journals()?;
    report.hosts = journals.hosts().count();
    report.good = acts.good.as_ref().map(|sent| sent.count(&journals, play.hosts));
    report.bad = acts.bad.as_ref().map(|met| met.count(&journals, play.fault));
    report.bad_silent = acts.silent.as_ref().map(|met| met.count(&journals, play.fault));
    report.fix = acts.fix.as_ref().map(|sent| sent.count(&journals, play.hosts));
    report.detected = report.bad.as_ref().is_some_and(|bad| bad.detected);
    report.freeze_seen_s = acts.bad.as_ref().and_then(|met| met.freeze_seen_s(&journals));
    report.log = Some(play.line.prove(&play.places.proofs()).await?);
    report.rig = play.line.rig_figures();
    let waived = report.rig.waived.iter().filter_map(|release| release.parse().ok());
    let reached = waived.map(|release| journals.activated(&release).len());
    report.rig.waived_hosts_max = reached.max().unwrap_or(0);
    report.recount = recipes(play, acts);
    Ok(())
}

/// The commands that make the same counts.
fn recipes(play: &Play, acts: &Acts) -> BTreeMap<String, String> {
    let (journals, exports) = (play.places.journals(), play.places.exports());
    let mut out = BTreeMap::new();
    let mut put = |name: String, command| {
        out.insert(name, command);
    };
    for (name, met) in [("bad", &acts.bad), ("bad_silent", &acts.silent)] {
        let Some(met) = met else { continue };
        let release = met.started.release.to_string();
        let with = |condition: &str| {
            Recipe::hosts_with(&journals, &condition.replace('@', &format!("{release:?}")))
        };
        let crashed = ".fact == \"exited\" and .signal != null and .which.release == @";
        put(format!("{name}.crashed"), with(crashed));
        put(format!("{name}.hung"), with(".fact == \"hung\" and .which.release == @"));
        put(format!("{name}.fell_back"), with(".fact == \"fell_back\" and .from.release == @"));
        let explained = exports.join(format!("{}.explained.json", met.started.rollout));
        let halted = Recipe::halted_s(&journals, &explained, &release);
        put(format!("{name}.halted_after_s"), halted);
    }
    for (name, sent) in [("good", &acts.good), ("fix", &acts.fix)] {
        let Some(sent) = sent else { continue };
        let release = sent.started.release.to_string();
        let condition = format!(".fact == \"confirmed\" and .which.release == {release:?}");
        put(format!("{name}.updated"), Recipe::hosts_with(&journals, &condition));
        let needed = (play.hosts * 990).div_ceil(1000);
        let reached = Recipe::reached_s(&journals, &release, sent.started.at, needed);
        put(format!("{name}.t99_s"), reached);
    }
    if let Some(pulled) = acts.bad.as_ref().and_then(|met| met.pulled) {
        let seen = Recipe::freeze_seen_s(&journals, &pulled.freeze, pulled.at);
        put("freeze_seen_s".to_owned(), seen);
    }
    out
}

/// The full host's journal becomes a file like the others'.
fn keep_full_journal(places: &Places) -> anyhow::Result<()> {
    let link = places.journals().join(FULL_HOST);
    if link.is_symlink() {
        let bytes = std::fs::read(&link)?;
        std::fs::remove_file(&link)?;
        std::fs::write(&link, bytes)?;
    }
    Ok(())
}

fn figures(play: &Play) -> FleetFigures {
    let status = play.fleet.status.borrow();
    #[expect(clippy::cast_precision_loss, reason = "kilobytes for people")]
    let per_host = status.rss_kb as f64 / (status.enrolled.max(1)) as f64;
    FleetFigures {
        rss_kb: status.rss_kb,
        rss_kb_per_host: (per_host * 10.0).round() / 10.0,
        beats: status.beats,
        beats_lost: status.beats_lost,
    }
}

async fn end(play: Play) {
    play.fleet.end().await;
    play.supervisor.end().await;
    play.verifier.end().await;
    play.server.end().await;
    for witness in play.witnesses {
        witness.end().await;
    }
}

/// The table of promises.
/// # Errors
/// When the report cannot be written as JSON.
pub(super) fn epilogue(report: &Report, json: bool) -> Result<(), crate::exit::Failure> {
    if json {
        return output::json(report);
    }
    let paint = Paint::stdout();
    output::line("");
    let rows = report.promises.iter().map(|promise| {
        // Padded before it is painted: a terminal's colour codes would count as width.
        let mark = if promise.held { paint.good("held  ") } else { paint.bad("BROKEN") };
        format!("  {mark}  {:<40} {}", promise.name, promise.figure)
    });
    rows.for_each(output::line);
    if let Some(error) = &report.error {
        output::line(paint.bad(format_args!("  the story broke off: {error}")));
    }
    if let Some(why) = &report.rig.left_out {
        output::line(format_args!("  no rig: {why}"));
    }
    if let Some(why) = &report.bad_silent_left_out {
        output::line(format_args!("  no run with reports off: {why}"));
    }
    output::line("");
    output::line(format_args!("report    {}", super::report::FILE));
    output::line(format_args!("journals  {}", report.journals.folder));
    Ok(())
}

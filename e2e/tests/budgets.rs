//! Disruption budgets of groups with real programs: a good release and one that kills, each counted
//! again afterwards from the server's journal and the hosts' own.
use andon_e2e::fleet::Fleet;
use andon_e2e::line::Line;
use andon_e2e::recount::Recount;
use andon_e2e::release::{self, Release};
use andon_e2e::server::Server;
use andon_e2e::{tool, wait};
use andon_model::order::Shard;
use andon_model::{HostId, Millis};
use anyhow::{Context as _, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(90);
const HOSTS: usize = 40;
/// Every fourth host serves the shop, every ninth is a till: two hosts are both.
const GROUPS: [&str; 4] = ["--group", "svc=4", "--group", "till=9"];
const TILLS: usize = 5;
/// At most so many members of `svc` may have a release that is not vouched for.
const BUDGET: usize = 2;
/// The first wave, and the line's own budget: so many hosts may crash, whatever their groups.
const FIRST_WAVE: usize = 16;
/// The policy's rules, and a blast radius that is less than the whole line.
const POLICY: &str = r#"
[emergency]
budget = [{ after = "0s", hosts_max = 16 }]
[[rules.hold]]
group = "till"
[[rules.budget]]
group = "svc"
limit = "2"
"#;
/// Delivery, window and silence: so long after its ticket a host is past everything that could show.
const GENERATION: Millis = Millis(2500);

struct Scene {
    line: Line,
    server: Server,
    fleet: Fleet,
}

impl Scene {
    fn new() -> Result<Scene> {
        let line = Line::new()?;
        line.quick_policy_form(POLICY)?;
        tool::sign_policy(&line, None)?;
        line.edit_config("tick_ms = 200")?;
        let server = Server::start(&line)?;
        let fleet = Fleet::start(&line, &server.address, HOSTS, &GROUPS)?;
        Ok(Scene { line, server, fleet })
    }

    /// Publishes and starts a release; gives the places of all hosts, which leave with the ticket.
    fn start(&self, release: &Release) -> Result<Shard> {
        release::publish(&self.server.http(), &self.line, None, release)?;
        release::start(&self.server.http(), &self.line, "r1", release)?;
        let path = format!("/v1/lines/{}/orders/r1/0.json", self.line.id());
        let shard = wait::until("the hosts' places", PATIENCE, || {
            self.server.http().get(&path).ok().filter(|answer| answer.status == 200)
        })?;
        Shard::parse(&shard.body).context("read the hosts' places")
    }

    /// Hosts that accepted a ticket, or laid its release out, by their own journals.
    fn touched(&self) -> BTreeSet<HostId> {
        let touched = ["ticket_accepted", "staged", "activated", "charged"];
        self.fleet.hosts_with(|entry| touched.iter().any(|fact| entry["fact"] == *fact))
    }

    /// Ends the fleet and then the server, so that all that was said is written down.
    fn read(self) -> Result<(Recount, Line)> {
        drop(self.fleet);
        self.server.stop()?;
        Ok((Recount::read(&self.line.journal())?, self.line))
    }
}

/// The most members of a group that had the release un-vouched at any moment. They only become more
/// when a ticket is issued, so these moments are all there are.
fn most_unvouched(
    recount: &Recount,
    handed: &BTreeMap<HostId, usize>,
    release: &Release,
) -> Result<usize> {
    let (tickets, confirmed) = (recount.tickets("r1")?, recount.confirmed(release.digest())?);
    let members = recount.members("svc")?;
    let open = |now: usize| {
        let at = tickets[now].at;
        let vouched = |host: &HostId, by: usize| {
            let past = tickets[by].at.plus(GENERATION) <= at;
            past && confirmed.get(host).is_some_and(|since| *since <= at)
        };
        let given = handed.iter().filter(|(host, by)| members.contains(host) && **by <= now);
        given.filter(|(host, by)| !vouched(host, **by)).count()
    };
    Ok((0..tickets.len()).map(open).max().unwrap_or(0))
}

#[test]
fn a_good_release_reaches_all_but_held_hosts_and_never_more_of_a_group_than_its_budget()
-> Result<()> {
    let scene = Scene::new()?;
    let mut good = release::files(&scene.line, "rules", 1, b"rules");
    good.manifest.soak = Millis(300);
    let shard = scene.start(&good)?;
    let ended = release::ended(&scene.server.http(), "r1", PATIENCE)?;
    ensure!(ended["state"] == "completed", "it did not complete: {ended:#}");
    // The last ticket covers whoever the rules left out, too: now it is these hosts' own no that counts.
    let held = wait::until("the held hosts to refuse", PATIENCE, || {
        let no = |why: &str| why.contains("hold") || why.contains("held");
        let refused = scene.fleet.hosts_with(|entry| {
            entry["fact"] == "refused" && entry["why"].as_str().is_some_and(no)
        });
        (refused.len() == TILLS).then_some(refused)
    })?;
    let touched = scene.touched();
    let (recount, _line) = scene.read()?;

    let tills = recount.members("till")?;
    ensure!(held == tills, "others refuse: {held:?}");
    let everybody: BTreeSet<HostId> = recount.classes()?.into_keys().collect();
    let others: BTreeSet<HostId> = everybody.difference(&tills).copied().collect();
    ensure!(
        (others.len(), tills.len()) == (HOSTS - TILLS, TILLS),
        "not the groups that were asked for"
    );
    let confirmed: BTreeSet<HostId> = recount.confirmed(good.digest())?.into_keys().collect();
    ensure!(confirmed == others, "not all but the tills confirmed: {confirmed:?}");
    ensure!(touched == others, "tills were handed something: {touched:?}");

    let handed = recount.handed_by("r1", &shard)?;
    ensure!(handed.keys().copied().collect::<BTreeSet<_>>() == others, "handed: {handed:?}");
    let most = most_unvouched(&recount, &handed, &good)?;
    ensure!(most == BUDGET, "{most} members un-vouched at once, the budget is {BUDGET}");
    // eight members that are not tills, two at a time
    let tickets = recount.tickets("r1")?;
    ensure!(tickets.len() >= 4, "it went too fast for its budget: {tickets:?}");
    Ok(())
}

#[test]
fn a_release_that_kills_is_halted_with_no_group_over_its_budget() -> Result<()> {
    let scene = Scene::new()?;
    let killing = release::killing(&scene.line, "service", 1);
    scene.start(&killing)?;
    let ended = release::ended(&scene.server.http(), "r1", PATIENCE)?;
    ensure!(ended["state"] == "halted", "it was not halted: {ended:#}");
    wait::until("every host to see the freeze", PATIENCE, || {
        let seen = scene.fleet.hosts_with(|entry| entry["fact"] == "freeze_seen");
        (seen.len() == HOSTS).then_some(())
    })?;
    let killed = scene.fleet.hosts_with(|entry| entry["fact"] == "exited" && entry["signal"] == 11);
    let touched = scene.touched();
    let (recount, _line) = scene.read()?;

    let (services, tills) = (recount.members("svc")?, recount.members("till")?);
    let charged: BTreeSet<HostId> = recount.charged(killing.digest())?.into_keys().collect();
    for (who, hosts) in [("hosts", &killed), ("server", &charged), ("handed", &touched)] {
        ensure!((1..=FIRST_WAVE).contains(&hosts.len()), "{who}: {} killed", hosts.len());
        let of = hosts.intersection(&services).count();
        ensure!(of <= BUDGET, "{who}: {of} members of svc, the budget is {BUDGET}");
        ensure!(hosts.is_disjoint(&tills), "{who}: a till was killed: {hosts:?}");
    }
    ensure!(charged.is_subset(&killed), "charged and not killed: {charged:?} {killed:?}");
    Ok(())
}

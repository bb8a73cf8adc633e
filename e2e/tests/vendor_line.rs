//! A vendor's line over two operators' hosts, all of it real programs: three servers, two fleets, and
//! the people's commands. What happened is counted again from the three servers' journals.
use andon_e2e::fleet::Fleet;
use andon_e2e::line::{Line, PEOPLE};
use andon_e2e::recount::Recount;
use andon_e2e::release::{self, Release};
use andon_e2e::server::Server;
use andon_e2e::verifier::Verifier;
use andon_e2e::{tool, wait};
use andon_model::envelope::Envelope;
use andon_model::{Digest, HostId, Millis};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(90);
/// Each operator, its hosts, and the pace of its line inside the vendor's.
const OPERATORS: [(&str, usize, &str); 2] = [("clinic", 60, "own"), ("farm", 20, "vendor")];
/// Hosts of both operators together that the vendor line's first wave may reach.
const FIRST_WAVE: usize = 16;
/// The budget is the first wave's: the default lane's would be one host of so few, and one that covers
/// everybody would bound nothing.
const POLICY: &str = r#"
[watch]
silent_after = "2s"
[routine]
budget = [{ after = "0s", hosts_max = 16 }]
"#;

struct Operator {
    fleet: Fleet,
    server: Server,
    line: Line,
    hosts: usize,
}

struct World {
    operators: Vec<Operator>,
    server: Server,
    vendor: Line,
}

impl Operator {
    /// Its line as yet outside the vendor's, all hosts enrolled.
    fn new(name: &str, hosts: usize, line: Line, vendor: &Server) -> Result<Operator> {
        let at = &vendor.address;
        line.edit_config(&format!("[[vendor_line]]\nvendor = \"acme\"\nurl = \"http://{at}\""))?;
        let server = Server::start(&line).with_context(|| format!("start {name}"))?;
        let fleet = Fleet::start(&line, &server.address, hosts, &[])?;
        Ok(Operator { fleet, server, line, hosts })
    }

    /// Its people name the vendor line in their policy. All hosts are there by now: whoever enrols
    /// after the others were shown has no seat until many have.
    fn join(&self, vendor: &Line, pace: &str) -> Result<()> {
        let anchor = vendor.anchor()?;
        let threshold = anchor.operators_threshold;
        let mut people = String::new();
        for it in &anchor.operators {
            write!(people, "{{ person = \"{}\", key = \"{}\" }},", it.person, it.key)?;
        }
        self.line.edit_policy_form(&format!(
            "[[vendor_line]]\nvendor = \"acme\"\nthreshold = {threshold}\npace = \"{pace}\"\n\
             people = [{people}]"
        ))?;
        tool::sign_policy(&self.line, Some(&self.server.address))
    }

    fn read(self) -> Result<Recount> {
        drop(self.fleet);
        self.server.stop()?;
        Recount::read(&self.line.journal())
    }
}

fn laid_out(words: &[&str]) -> Result<Line> {
    let line = Line::laid_out(words)?;
    line.quick_policy_form(POLICY)?;
    line.edit_config("tick_ms = 200")?;
    Ok(line)
}

impl World {
    fn new() -> Result<World> {
        World::over(laid_out(&["--vendor-line", "acme"])?)
    }

    /// The same where the vendor line's tickets want a gate verifier's cosignature. A wave takes long
    /// enough that its verifier can be stopped before the next one.
    fn with_verifier() -> Result<World> {
        let vendor = laid_out(&["--vendor-line", "acme", "--verifier", "v1"])?;
        vendor.edit_policy_form("[routine]\nsoak_min = \"2s\"")?;
        World::over(vendor)
    }

    /// All three lines, and every host with its seat.
    fn over(vendor: Line) -> Result<World> {
        let mut members = String::new();
        let mut lines = Vec::new();
        for (name, hosts, _) in OPERATORS {
            let line = laid_out(&["--operator", name, "--vendor", "acme"])?;
            tool::sign_policy(&line, None)?;
            let key = line.online()?;
            write!(
                members,
                "[[member]]\noperator = \"{name}\"\nkey = \"{key}\"\nhosts_max = {hosts}\n"
            )?;
            lines.push(line);
        }
        vendor.edit_policy_form(&members)?;
        tool::sign_policy(&vendor, None)?;
        let server = Server::start(&vendor)?;
        let mut operators = Vec::new();
        for (line, (name, hosts, _)) in lines.into_iter().zip(OPERATORS) {
            operators.push(Operator::new(name, hosts, line, &server)?);
        }
        for (operator, (.., pace)) in operators.iter().zip(OPERATORS) {
            operator.join(&vendor, pace)?;
        }
        let world = World { operators, server, vendor };
        let members = json!(OPERATORS.map(|(name, hosts, _)| {
            json!({"operator": name, "hosts": hosts, "hosts_max": hosts})
        }));
        wait::until("every host to have a seat", PATIENCE, || {
            let now = tool::json(&world.vendor, &world.server.address, &["line", "status"]);
            now.ok().filter(|now| now["members"] == members)
        })?;
        Ok(world)
    }

    /// Publishes one release on all three lines and starts it on the vendor's.
    fn start(&self, release: &Release) -> Result<()> {
        for operator in &self.operators {
            release::publish(&operator.server.http(), &operator.line, None, release)?;
        }
        release::publish(&self.server.http(), &self.vendor, None, release)?;
        release::start_routine(&self.server.http(), &self.vendor, "r1", release)
    }

    /// What is said of the vendor line's rollout, once `like` likes it.
    fn told(&self, what: &str, like: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(what, PATIENCE, || {
            let told = self.server.http().get("/v1/rollouts/r1").ok()?.json();
            like(&told).then_some(told)
        })
    }

    /// Where the vendor line's server keeps its members' tallies.
    fn tallies(&self) -> PathBuf {
        self.vendor.folder.join("server/data/tallies/r1")
    }

    /// How each rollout ended, the vendor line's first.
    fn ended(&self) -> Result<Vec<String>> {
        let mut states = vec![release::ended(&self.server.http(), "r1", PATIENCE)?];
        for operator in &self.operators {
            states.push(release::ended(&operator.server.http(), "acme.r1", PATIENCE)?);
        }
        Ok(states.iter().map(|it| it["state"].as_str().unwrap_or("?").to_owned()).collect())
    }

    /// Ends fleets, then operators, then the vendor; gives the journals, the vendor's first.
    fn read(self) -> Result<(Recount, Vec<Recount>)> {
        let operators = self.operators.into_iter().map(Operator::read).collect::<Result<_>>()?;
        self.server.stop()?;
        Ok((Recount::read(&self.vendor.journal())?, operators))
    }
}

/// Every tally that the vendor line pooled stands in its member's own journal, to the byte.
fn every_pooled_tally_is_its_members_own(vendor: &Recount, operators: &[Recount]) -> Result<()> {
    let mut sent = BTreeSet::new();
    for (operator, (name, ..)) in operators.iter().zip(OPERATORS) {
        for fact in operator.line_facts().filter(|fact| fact["fact"] == "tally_sent") {
            let envelope: Envelope = serde_json::from_value(fact["tally"].clone())?;
            sent.insert((name.to_owned(), Digest::of(&envelope.to_bytes())));
        }
    }
    let pooled = vendor.pooled()?;
    ensure!(!pooled.is_empty(), "nothing was pooled");
    for tally in &pooled {
        ensure!(sent.contains(tally), "pooled, and in no member's journal: {tally:?}");
    }
    Ok(())
}

/// No ticket of an operator's line covers more than the vendor line's tickets that it had verified.
fn nobody_is_ahead_of_the_vendor_line(operator: &Recount) -> Result<()> {
    let (mut permitted, mut issued) = (0, 0);
    for event in operator.events("acme.r1") {
        if event["event"] == "permitted" {
            let handed = event["handed"].as_array().context("read what is permitted")?.iter();
            permitted = handed.filter_map(serde_json::Value::as_u64).sum::<u64>();
        }
        if event["event"] == "observed" {
            let strata = event["strata"].as_array().context("read the strata")?.iter();
            let waves = strata.filter_map(|stratum| stratum["waves"].as_array()).flatten();
            issued = waves.filter_map(|wave| wave["hosts"].as_u64()).sum::<u64>();
        }
        ensure!(issued <= permitted, "{issued} hosts handed, {permitted} permitted");
    }
    ensure!(issued > 0, "nothing was handed out");
    Ok(())
}

#[test]
fn a_good_release_reaches_both_operators_hosts_though_one_server_is_killed_on_the_way() -> Result<()>
{
    let mut world = World::new()?;
    let mut good = release::files(&world.vendor, "rules", 1, b"rules");
    good.manifest.soak = Millis(300);
    world.start(&good)?;
    let clinic = &world.operators[0];
    wait::until("the clinic's first hosts to be handed it", PATIENCE, || {
        let now = clinic.server.http().get("/v1/rollouts/acme.r1").ok()?.json();
        let some = now["handed"].as_u64().is_some_and(|handed| handed > 0);
        (some && now["state"] != "completed").then_some(())
    })?;
    let Operator { fleet, server, line, hosts } = world.operators.remove(0);
    let server = server.kill_and_start_again(&line)?;
    world.operators.insert(0, Operator { fleet, server, line, hosts });
    unknown_members_are_not_withdrawn(&world)?;

    let states = world.ended()?;
    ensure!(states == ["completed"; 3], "not all three completed: {states:?}");
    let shown = tool::run(&world.vendor, &world.server.address, &["line", "status"])?;
    ensure!(shown.code == Some(0), "andon line status: {shown:?}");
    for (name, hosts, _) in OPERATORS {
        let hosts = hosts.to_string();
        let row = |row: &&str| row.contains(name) && row.contains(&hosts);
        ensure!(shown.shown.lines().any(|line| row(&line)), "no {name} in {}", shown.shown);
    }
    let all: Vec<usize> = world.operators.iter().map(|operator| operator.hosts).collect();
    let (vendor, operators) = world.read()?;
    for (operator, hosts) in operators.iter().zip(all) {
        let confirmed = operator.confirmed(good.digest())?.len();
        ensure!(confirmed == hosts, "{confirmed} of {hosts} hosts confirmed it");
        nobody_is_ahead_of_the_vendor_line(operator)?;
    }
    let first = vendor.waves("r1")?.iter().map(|waves| waves[0]).sum::<u64>();
    ensure!(first == FIRST_WAVE as u64, "the first wave had {first} hosts");
    every_pooled_tally_is_its_members_own(&vendor, &operators)
}

/// A name that is no member's is refused, and said.
fn unknown_members_are_not_withdrawn(world: &World) -> Result<()> {
    let words = ["line", "withdraw", "nobody", "--rollout", "r1", "--reason", "a test"];
    let words = [&words[..], &["--key", PEOPLE[0]]].concat();
    let ran = tool::run(&world.vendor, &world.server.address, &words)?;
    let clear = ran.said.contains("operator nobody has no hosts in this rollout");
    ensure!(ran.code == Some(4) && clear, "withdrawing a stranger: {ran:?}");
    Ok(())
}

#[test]
fn a_release_that_kills_reaches_the_first_wave_of_both_operators_together_and_all_three_halt()
-> Result<()> {
    let world = World::new()?;
    let killing = release::killing(&world.vendor, "service", 1);
    world.start(&killing)?;
    let states = world.ended()?;
    ensure!(states == ["halted"; 3], "not all three are halted: {states:?}");
    for Operator { fleet, line, hosts, .. } in &world.operators {
        wait::until("every host to see the freeze", PATIENCE, || {
            let seen = fleet.hosts_with(|entry| entry["fact"] == "freeze_seen");
            (seen.len() == *hosts).then_some(())
        })?;
        // its own gate may have halted it before: it must hear of the vendor line's halt all the same
        wait::until("the vendor line's halt in the operator's journal", PATIENCE, || {
            Recount::read(&line.journal()).ok()?.line_facts().find_map(|fact| {
                (fact["fact"] == "over" && fact["standing"]["standing"] == "halted").then_some(())
            })
        })?;
    }
    let killed: usize = world.operators.iter().map(|operator| killed(&operator.fleet).len()).sum();
    let (vendor, operators) = world.read()?;

    let mut reached = 0;
    for operator in &operators {
        reached += operator.ran(killing.digest())?.len();
        nobody_is_ahead_of_the_vendor_line(operator)?;
    }
    for (who, hosts) in [("servers", reached), ("hosts", killed)] {
        ensure!((1..=FIRST_WAVE).contains(&hosts), "{who}: {hosts} hosts of both operators");
    }
    let waves = vendor.waves("r1")?;
    ensure!(waves.iter().all(|waves| waves.len() == 1), "more than one wave: {waves:?}");
    every_pooled_tally_is_its_members_own(&vendor, &operators)
}

/// Hosts on which a service ended by the signal.
fn killed(fleet: &Fleet) -> BTreeSet<HostId> {
    fleet.hosts_with(|entry| entry["fact"] == "exited" && entry["signal"] == 11)
}

fn waits(told: &Value) -> bool {
    told["cosignatures"]["needed"] == 1
}

#[test]
fn a_vendor_lines_verifier_adds_up_what_its_members_say_and_everybody_follows() -> Result<()> {
    let world = World::with_verifier()?;
    let mut good = release::files(&world.vendor, "rules", 1, b"rules");
    good.manifest.soak = Millis(300);
    world.start(&good)?;
    let told = world.told("the ticket to wait for its verifier", waits)?;
    ensure!(told["handed"] == 0, "handed without a verifier: {told:#}");
    let verifier = Verifier::start(&world.vendor, &world.server.address, "v1")?;
    let states = world.ended()?;
    ensure!(states == ["completed"; 3], "not all three completed: {states:?} {}", verifier.said());
    let said = verifier.said();
    drop(verifier);
    let (vendor, operators) = world.read()?;
    let said: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let tickets = vendor.tickets("r1")?;
    ensure!(tickets.len() > 1, "so few waves: {tickets:?}");
    let cosigned = said.iter().filter(|told| told["cosigned"] == "r1");
    let cosigned: Vec<_> = cosigned.map(|told| told["generation"].as_u64()).collect();
    let issued: Vec<_> = tickets.iter().map(|ticket| Some(ticket.generation)).collect();
    let all = issued.iter().all(|it| cosigned.contains(it)) && cosigned.len() >= issued.len();
    ensure!(all, "issued {issued:?}, cosigned {cosigned:?}: {said:?}");
    for (operator, (name, hosts, _)) in operators.iter().zip(OPERATORS) {
        let confirmed = operator.confirmed(good.digest())?.len();
        ensure!(confirmed == hosts, "{confirmed} of {hosts} hosts of {name} confirmed it");
        nobody_is_ahead_of_the_vendor_line(operator)?;
    }
    every_pooled_tally_is_its_members_own(&vendor, &operators)
}

/// Whoever has the vendor's server changes what a member had said. The verifier was away while it was
/// counted: it takes the file for no member's word, and nobody beyond the first wave is reached.
#[test]
fn a_vendor_lines_verifier_doubts_a_tally_that_was_changed_and_nobody_new_is_reached() -> Result<()>
{
    let world = World::with_verifier()?;
    let mut good = release::files(&world.vendor, "rules", 1, b"rules");
    good.manifest.soak = Millis(300);
    world.start(&good)?;
    let verifier = Verifier::start(&world.vendor, &world.server.address, "v1")?;
    world.told("the first wave", |told| told["handed"].as_u64() > Some(0))?;
    verifier.kill()?;
    let told = world.told("the next wave to wait for its verifier", waits)?;
    ensure!(told["handed"] == FIRST_WAVE, "not the first wave: {told:#}");
    let mut changed = 0;
    for round in std::fs::read_dir(world.tallies()).context("list the rounds")? {
        let file = round?.path().join("clinic.json");
        let Ok(text) = std::fs::read(&file) else { continue };
        let mut tally = Envelope::parse_limited(&text, 1 << 25)?;
        let said = String::from_utf8(tally.payload.clone())?;
        // Any other word than the member's will do.
        tally.payload = format!("{said} ").into_bytes();
        std::fs::write(&file, tally.to_bytes()).context("change a tally")?;
        changed += 1;
    }
    ensure!(changed > 0, "no tally of the clinic was kept");
    for turn in 1..=2 {
        let verifier = Verifier::begin(&world.vendor, &world.server.address, "v1", &[])?;
        let (how, said) = verifier.ended()?;
        let doubts = said.contains("tally of operator clinic for rollout r1");
        ensure!(how.code() == Some(1) && doubts, "turn {turn}: ended with {how}: {said}");
    }
    let told = world.told("the next wave to wait still", waits)?;
    ensure!(told["handed"] == FIRST_WAVE, "it went on: {told:#}");
    let (vendor, operators) = world.read()?;
    let mut reached = 0;
    for operator in &operators {
        reached += operator.ran(good.digest())?.len();
        nobody_is_ahead_of_the_vendor_line(operator)?;
    }
    ensure!((1..=FIRST_WAVE).contains(&reached), "{reached} hosts of both operators");
    ensure!(vendor.tickets("r1")?.len() == 1, "a second ticket was issued");
    Ok(())
}

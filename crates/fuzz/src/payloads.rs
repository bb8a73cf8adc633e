//! Targets: payloads of envelopes. Each is parsed as it comes, and again under a good signature: what a
//! thief of the key could send must be judged too, and may make nobody fall.
use crate::world::{NOW, class, key, line, seal_bytes, vendor, world};
use crate::{Fate, reads_back};
use andon_model::attestation::Statement;
use andon_model::beat::Beat;
use andon_model::command::{Approval, Command};
use andon_model::directive::{Demand, Directive};
use andon_model::enrol::EnrolRequest;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{
    ALERTS_PER_BEAT_MAX, APPROVALS_MAX, ATTESTATIONS_MAX, CHARGES_PER_BEAT_MAX, COMPONENTS_MAX,
    FREEZE_ALONE_MAX, FREEZES_PER_BEAT_MAX, GENERATIONS_MAX, ROSTER_HOSTS_MAX, STRATA_MAX,
    TEXT_LENGTH_MAX, WAIVER_MAX,
};
use andon_model::line::{Places, Roster, Rounds, Seating, seat};
use andon_model::policy::Policy;
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::ticket::Ticket;
use andon_model::waiver::Waiver;
use andon_model::{HostId, Millis, OperatorId};
use andon_trust::attestation::{self, Standing, Words};
use andon_trust::stop::Authorities;
use andon_trust::{
    command as people, directive as directives, envelope, policy as policies, stop as stops,
    ticket as tickets,
};

/// A ticket: within the pace of the policy if it verifies, whoever signed it.
pub(crate) fn ticket(bytes: &[u8]) -> Fate {
    let Ok(read) = Ticket::parse(bytes) else { return Fate::Refused };
    let sealed = seal_bytes(&[3], PayloadType::Ticket, bytes);
    let verified = tickets::verify(&sealed, &world().policy, NOW.plus(Millis(6000)), None);
    assert!(read.ceilings.len() <= STRATA_MAX && read.steps.len() <= GENERATIONS_MAX, "limits");
    assert!(read.approvals.len() <= APPROVALS_MAX, "approvals");
    reads_back(&read, Ticket::parse);
    for number in [1, 7, 101, 50_000_000] {
        let Ok(host) = HostId::new(number) else { continue };
        let _either = tickets::covers(&read, host, &class());
        let _either = seat(&read.seats, host);
    }
    if let Ok(ticket) = verified {
        let lane = world().policy.lane(ticket.lane);
        assert_eq!(ticket, read);
        assert_eq!(ticket.line, line(), "a ticket for another line");
        assert!(ticket.steps[0].handed <= u64::from(lane.first_wave_max), "a larger first wave");
        assert!(ticket.not_after > NOW, "a ticket that is over");
    }
    Fate::Taken
}

/// Who may stop what in the world.
pub(crate) fn authorities() -> Authorities {
    let world = world();
    let people = vec![key(1).public(), key(2).public()];
    Authorities {
        platform: world.anchor.platform.clone(),
        vendors: [(vendor(), vec![key(20).public(), key(21).public()])].into(),
        releases: [(world.release, vendor())].into(),
        operator: Some(OperatorId::new("hospital").expect("a name")),
        operators: [people.clone(), vec![key(3).public()]].concat(),
        people,
        roots: world.anchor.operators.clone(),
        roots_threshold: world.anchor.operators_threshold,
        vendor_roles: [(vendor(), (vec![key(20).public(), key(21).public()], 2))].into(),
    }
}

/// A freeze: nobody stops what is not theirs, and one key alone stops nothing for good.
pub(crate) fn stop(bytes: &[u8]) -> Fate {
    let Ok(read) = Freeze::parse(bytes) else { return Fate::Refused };
    let sealed = |number| seal_bytes(&[number], PayloadType::Freeze, bytes);
    assert!(stops::verify(&sealed(99), &authorities(), NOW).is_err(), "a stranger's freeze");
    let by_vendor = stops::verify(&sealed(20), &authorities(), NOW);
    reads_back(&read, Freeze::parse);
    if let Ok(held) = by_vendor {
        assert_eq!(held.by, Party::Vendor(vendor()), "signed for another party");
        let own = match &held.scope {
            Scope::All => false,
            Scope::Vendor(whose) => *whose == vendor(),
            Scope::Release(release) => *release == world().release,
        };
        assert!(own, "a vendor stops what is not its own: {held:?}");
        assert!(held.expires <= held.issued.plus(FREEZE_ALONE_MAX), "for good");
        assert!(held.expires <= read.expires && held.expires > NOW, "out of its time");
    }
    Fate::Taken
}

/// A directive: no key alone says one, a vendor takes no protection away, and the platform says none.
pub(crate) fn directive(bytes: &[u8]) -> Fate {
    let Ok(read) = Directive::parse(bytes) else { return Fate::Refused };
    let held = |keys: &[u8]| {
        let sealed = seal_bytes(keys, PayloadType::Directive, bytes);
        directives::verify(&sealed, &authorities(), NOW)
    };
    for alone in [1, 2, 3, 10, 20, 21, 99] {
        assert!(held(&[alone]).is_err(), "a directive of key {alone} alone");
    }
    let (people, of_vendor) = (held(&[1, 2]), held(&[20, 21]));
    reads_back(&read, Directive::parse);
    if let Ok(said) = people {
        assert!(matches!(said.by, Party::Operator(_)), "signed for another party");
        assert!(said.expires > NOW, "out of its time");
    }
    if let Ok(said) = of_vendor {
        assert_eq!(said.by, Party::Vendor(vendor()), "signed for another party");
        assert!(!matches!(said.demand, Demand::Park { .. }), "a vendor parks: {said:?}");
    }
    Fate::Taken
}

/// A policy: of this line, in force, and by both people.
pub(crate) fn policy(bytes: &[u8]) -> Fate {
    let Ok(read) = Policy::parse(bytes) else { return Fate::Refused };
    let anchor = &world().anchor;
    let alone = policies::verify(&seal_bytes(&[1], PayloadType::Policy, bytes), anchor, NOW, 0);
    assert!(alone.is_err(), "a policy by one of two people");
    let sealed = seal_bytes(&[1, 2], PayloadType::Policy, bytes);
    let verified = policies::verify(&sealed, anchor, NOW, 3);
    reads_back(&read, Policy::parse);
    let _either = policies::demanded_log(&read);
    assert!(read.emergency.approvals_min >= 2, "an emergency lane for one person");
    if let Ok(policy) = verified {
        assert!(policy.version >= 3 && policy.expires > NOW && policy.line == line());
        assert!(policies::demanded_log(&policy).is_ok(), "a log policy that cannot be read");
    }
    Fate::Taken
}

/// What people sign: commands and approvals.
pub(crate) fn command(bytes: &[u8]) -> Fate {
    let policy = &world().policy;
    let sealed = seal_bytes(&[1], PayloadType::Command, bytes);
    let command = people::verify(&sealed, policy, NOW).ok();
    if let Some(command) = &command {
        assert_eq!((command.person.as_str(), &command.line), ("alice", &line()), "whose");
        reads_back(command, |bytes| serde_json::from_slice::<Command>(bytes));
    }
    let sealed = seal_bytes(&[1], PayloadType::Approval, bytes);
    let approval = people::verify_approval(&sealed, policy, NOW).ok();
    if let Some(approval) = &approval {
        assert_eq!(approval.person.as_str(), "alice", "whose");
        assert!(approval.expires > NOW, "an approval that is over");
        reads_back(approval, |bytes| serde_json::from_slice::<Approval>(bytes));
    }
    Fate::of(command).or(Fate::of(approval))
}

/// What servers of two lines sign for each other.
pub(crate) fn vendor_line(bytes: &[u8]) -> Fate {
    let roster = Roster::parse(bytes).ok();
    if let Some(roster) = &roster {
        assert!(roster.hosts.len() <= ROSTER_HOSTS_MAX, "hosts of a roster");
        reads_back(roster, Roster::parse);
    }
    let seating = Seating::parse(bytes).ok();
    if let Some(seating) = &seating {
        reads_back(seating, Seating::parse);
        let blocks = &seating.seats;
        let hosts = blocks.iter().flat_map(|block| {
            [block.host_first, block.host_first.saturating_add(u64::from(block.count) - 1)]
        });
        let seats: Vec<_> = hosts.filter_map(|n| seat(blocks, HostId::new(n).ok()?)).collect();
        assert!(seats.is_sorted(), "seats that do not rise with their hosts");
    }
    let rounds = Rounds::parse(bytes).ok();
    if let Some(rounds) = &rounds {
        reads_back(rounds, Rounds::parse);
    }
    let places = Places::parse(bytes).ok();
    if let Some(places) = &places {
        assert_eq!(places.strata.len(), places.ranks.len());
        reads_back(places, Places::parse);
    }
    let texts = Fate::of(roster).or(Fate::of(seating));
    texts.or(Fate::of(rounds)).or(Fate::of(places))
}

/// Statements, waivers, and the file that carries them. Nothing unsigned makes a class attested.
pub(crate) fn attestation(bytes: &[u8]) -> Fate {
    let world = world();
    let judged = Words::read(bytes, &world.release, &world.policy);
    if let Ok(words) = &judged {
        let standing = words.judge(&world.policy, None, &class(), NOW);
        let ours = attestation::envelopes(bytes).expect("read before");
        assert!(ours.len() <= ATTESTATIONS_MAX, "attestations of a release");
        let signed = ours.iter().any(by_a_rig);
        assert!(standing != Standing::Attested || signed, "attested, and no rig signed");
    }
    let statement = Statement::parse(bytes).ok();
    if let Some(statement) = &statement {
        let found = statement.findings().expect("of a statement that was read");
        let again = Statement::parse(&statement.to_bytes()).expect("what was written can be read");
        assert_eq!(again.findings().expect("as before"), found, "finds something else");
    }
    let waiver = Waiver::parse(bytes).ok();
    if let Some(waiver) = &waiver {
        assert!(waiver.expires <= waiver.issued.plus(WAIVER_MAX), "a waiver for good");
        reads_back(waiver, Waiver::parse);
        let alone = seal_bytes(&[1], PayloadType::Waiver, bytes);
        assert!(
            attestation::verify(&alone, &waiver.release, &world.policy, NOW).is_err(),
            "by one"
        );
    }
    let taken = Fate::of(judged.ok().filter(|words| *words != Words::default()));
    taken.or(Fate::of(statement)).or(Fate::of(waiver))
}

fn by_a_rig(sealed: &Envelope) -> bool {
    let rigs = [key(40).public(), key(41).public()];
    envelope::verify_any(sealed, PayloadType::Statement, &rigs).is_ok()
}

/// A beat as a server takes it: within its lists' limits, and by the host that it names.
pub(crate) fn beat(bytes: &[u8]) -> Fate {
    let Ok(read) = Beat::parse(bytes) else { return Fate::Refused };
    let sealed = seal_bytes(&[7], PayloadType::Beat, bytes);
    let by_another = envelope::verify_one(&sealed, PayloadType::Beat, &key(3).public());
    assert!(by_another.is_err(), "a beat by another host's key");
    assert!(read.components.len() <= COMPONENTS_MAX && read.charges.len() <= CHARGES_PER_BEAT_MAX);
    assert!(read.alerts.len() <= ALERTS_PER_BEAT_MAX && read.freezes.len() <= FREEZES_PER_BEAT_MAX);
    reads_back(&read, Beat::parse);
    Fate::Taken
}

/// An enrolment as a server takes it: by the key that it brings.
pub(crate) fn enrolment(bytes: &[u8]) -> Fate {
    let Ok(read) = EnrolRequest::parse(bytes) else { return Fate::Refused };
    reads_back(&read, EnrolRequest::parse);
    assert!(read.class.check().is_ok(), "groups of a class");
    assert!(read.token.len() <= TEXT_LENGTH_MAX, "length of a token");
    let sealed = seal_bytes(&[7], PayloadType::Enrol, bytes);
    let proven = envelope::verify_one(&sealed, PayloadType::Enrol, &read.key);
    assert_eq!(proven.is_ok(), read.key == key(7).public(), "a key that it does not hold");
    // The names of its strata are names, whatever its groups are.
    let _own = read.class.stratum_on(&read.class.groups);
    Fate::Taken
}

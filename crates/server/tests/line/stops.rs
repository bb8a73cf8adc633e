//! The list of freezes in force: bounded, and nobody takes it from anybody else.
use crate::rig::*;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::{Digest, Millis, Time};
use andon_server::stops::FREEZES_PER_PARTY_MAX;

fn freeze(by: &str, number: usize, now: Time) -> Freeze {
    let by = match by {
        "acme" => Party::Vendor(by.parse().unwrap()),
        _ => Party::Operator(by.parse().unwrap()),
    };
    let scope = Scope::Release(Digest::of(&number.to_be_bytes()));
    let (reason, expires) = (Text::clipped("eats memory"), now.plus(Millis::from_secs(3600)));
    Freeze { schema: 1, by, scope, reason, issued: now, expires }
}

/// A thief of one vendor's key fills that vendor's share, hears that it is full, and keeps nobody else from
/// the cord. What has ended takes no room: the list of a line that lives for years does not fill up.
#[tokio::test]
async fn a_party_fills_its_own_share_of_the_freezes_and_no_more() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let seal = |mut freeze: Freeze, ours: Option<Digest>| -> Envelope {
        freeze.scope = ours.map_or(freeze.scope, Scope::Release);
        let payload = serde_json::to_vec(&freeze).unwrap();
        let key = if matches!(freeze.by, Party::Vendor(_)) { &line.vendor } else { &line.person };
        key.seal(PayloadType::Freeze, &payload)
    };
    // The same release again and again, at other times: as many stops as times.
    for number in 0..FREEZES_PER_PARTY_MAX {
        let mut stop = freeze("acme", number, START);
        stop.expires = stop.expires.plus(Millis(number as u64));
        let (status, said) = post(&mut server, "/v1/stops", &seal(stop, Some(release))).await;
        assert_eq!(status, 200, "{number}: {said}");
    }
    let before = words(&server);
    let one_more = seal(freeze("acme", 1, Time(START.0 + 1)), Some(release));
    let (status, said) = post(&mut server, "/v1/stops", &one_more).await;
    assert_eq!(status, 409, "{said}");
    assert!(said.to_string().contains("256 freezes of vendor acme are in force"), "{said}");
    assert_eq!(words(&server), before, "nothing is written of what is not kept");

    let other = seal(freeze("clinic", 1, START), None);
    assert_eq!(post(&mut server, "/v1/stops", &other).await.0, 200, "the cord of all others");

    let later = Time(START.0 + 7_200_000);
    server.app.clock.set(later);
    let again = seal(freeze("acme", 1, later), Some(release));
    assert_eq!(post(&mut server, "/v1/stops", &again).await.0, 200, "what has ended takes no room");
}

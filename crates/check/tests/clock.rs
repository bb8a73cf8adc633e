//! A clock that is wrong by years, as the supervisor hears of it: one round against a real server, told
//! within the limits of a line. What follows inside a round: `andon-trust`, `clock`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#[expect(dead_code, reason = "shared with the tests of the process")]
mod common;

use andon_check::http::{Base, Http};
use andon_check::sync;
use andon_model::handover::Offers;
use andon_model::{Millis, Time};
use andon_trust::view::View;
use common::{World, class, host, now};

const TEN_YEARS: Millis = Millis::from_secs(10 * 365 * 86_400);

fn round(world: &World, view: &mut View, clock: Time) -> Offers {
    let base = Base::parse(&format!("http://localhost:{}", world.port)).unwrap();
    sync::round(view, &mut Http::new(base), clock).unwrap();
    sync::told(view.outcome())
}

fn said(told: &Offers, what: &str) -> String {
    let of = told.refusals.iter().filter(|refused| refused.what.as_str() == what);
    of.map(|refused| refused.why.as_str()).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_supervisor_is_told_that_the_clock_is_wrong_and_what_follows() {
    let mut world = World::start();
    world.release(1, &[("z.yml", b"rule")]);
    let mut view = View::new(world.anchor(), host(), class()).unwrap();
    // Ahead: everything is over, and the day is named by which it is.
    let ahead = now().plus(TEN_YEARS);
    let told = round(&world, &mut view, ahead);
    assert!(told.offers.is_empty() && told.policy.is_none());
    assert!(said(&told, "policy").contains(&ahead.to_string()[..10]), "{:?}", told.refusals);
    // Set, and the same process goes on.
    let told = round(&world, &mut view, now());
    assert_eq!((told.offers.len(), told.refusals.len()), (1, 0), "{:?}", told.refusals);
    // In 1970, with nobody to ask: what was dated later waits.
    let told = round(&world, &mut view, Time(1000));
    assert!(told.offers.is_empty());
    assert!(said(&told, "ticket r1").contains("not in force"), "{:?}", told.refusals);
    // In 1970 after a restart, and witnesses had vouched for a later time: that is now.
    let mut record: serde_json::Value = serde_json::from_slice(&view.record()).unwrap();
    let seen = now();
    record["witnessed"] = serde_json::to_value(seen).unwrap();
    let record = serde_json::to_vec(&record).unwrap();
    let mut view = View::restore(world.anchor(), host(), class(), &record).unwrap();
    let told = round(&world, &mut view, Time(1000));
    assert_eq!(told.offers.len(), 1, "{:?}", told.refusals);
    let clock = said(&told, "clock");
    assert!(clock.contains("days behind") && clock.contains(&seen.to_string()), "{clock}");
}

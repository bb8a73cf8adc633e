//! Does a line pass one vendor over? A test on the order in which a log takes what vendors have handed in,
//! out of data that anybody can have: the log, and each vendor's own list of what it handed in when.
//!
//! Everyday picture: several people wait at a counter. Whoever is served next while Ada waits, and came well
//! after her, has won a draw against her. An even-handed counter serves one of n people with a chance of at least
//! 1 in n if she is the oldest of them, whether it draws lots or goes by arrival. A bet against that (Ville 1939;
//! the log-rank test as a sequence of bets: Grünwald, Ly, Pérez-Ortiz, ter Schure 2020) grows beyond
//! [`ALARM_AT`] at most once in so many even-handed counters, however often one looks and whatever the delays are
//! distributed like. Outages that hold up everybody serve nobody and so count nothing.
//!
//! What it is not: a measure of how long anything takes, or proof of intent.
use andon_model::{Digest, Millis, Time, VendorId};
use std::collections::BTreeMap;

/// An even-handed line is accused at most once in so many.
pub(super) const ALARM_AT: f64 = 1000.0;
/// Whoever came less than this after us may have come before, by another clock; and what one vendor hands in
/// within so long is one unit: a role with fifty releases is served at once and wins no fifty draws.
pub(super) const GRACE: Millis = Millis::from_secs(600);
/// How much worse than others we may be treated, as a share of their speed: the bet is spread over all.
/// With 0 a freeze is found soonest; the others survive that we are served now and then.
const SPEEDS: [f64; 4] = [0.0, 0.0625, 0.25, 0.5];
/// A bet that has grown so far grows no further: it has long been won, and must stay a number.
const BET_MAX: f64 = 1e12;

/// One thing handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HandedIn {
    pub(super) vendor: VendorId,
    pub(super) at: Time,
    pub(super) manifest: Digest,
}

/// What a vendor handed in at a time, and the first place that any of it has in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    at: Time,
    ours: bool,
    place: Option<u64>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// the bet against even-handedness; 1 at the start
    pub(super) evidence: f64,
    /// how often another was served, or we were, while we waited longest
    pub(super) draws: u32,
    /// of these, how often it was another
    pub(super) passed_over: u32,
    /// since when the oldest of ours waits that is not in the log
    pub(super) waits_since: Option<Time>,
}

impl Finding {
    /// Whether to tell people.
    pub(super) fn is_alarm(&self) -> bool {
        self.evidence >= ALARM_AT
    }
}

/// Plays the log's order against what was handed in. `places`: where the log has each manifest. `latest`: a
/// time by which the entry at that place was there; later than true costs evidence and makes no alarm.
pub(super) fn judge(
    ours: &VendorId,
    handed_in: &[HandedIn],
    places: &BTreeMap<Digest, u64>,
    latest: impl Fn(u64) -> Time,
) -> Finding {
    let units = units(ours, handed_in, places);
    let mut served: Vec<&Unit> = units.iter().filter(|unit| unit.place.is_some()).collect();
    served.sort_by_key(|unit| unit.place);
    let mut bets = [1.0; SPEEDS.len()];
    let (mut draws, mut passed_over) = (0, 0);
    for event in served {
        let waiting = |unit: &&Unit| unit.place.is_none_or(|place| Some(place) >= event.place);
        let oldest = units.iter().filter(|unit| unit.ours).filter(waiting).min_by_key(|u| u.at);
        let Some(oldest) = oldest else { continue };
        let by = latest(event.place.unwrap_or(0));
        let after = |unit: &Unit| !unit.ours && unit.at >= oldest.at.plus(GRACE);
        if !after(event) && event != oldest {
            continue;
        }
        let rivals = units.iter().filter(waiting).filter(|unit| after(unit) && unit.at <= by);
        let rivals = u32::try_from(rivals.count()).unwrap_or(u32::MAX);
        if rivals == 0 {
            continue;
        }
        draws += 1;
        passed_over += u32::from(!event.ours);
        for (bet, speed) in bets.iter_mut().zip(SPEEDS) {
            let own = if event.ours { speed } else { 1.0 };
            let odds = own * (f64::from(rivals) + 1.0) / (f64::from(rivals) + speed);
            *bet = (*bet * odds).min(BET_MAX);
        }
    }
    let waiting = units.iter().filter(|unit| unit.ours && unit.place.is_none());
    let evidence = bets.iter().sum::<f64>() / 4.0;
    Finding { evidence, draws, passed_over, waits_since: waiting.map(|unit| unit.at).min() }
}

fn units(ours: &VendorId, handed_in: &[HandedIn], places: &BTreeMap<Digest, u64>) -> Vec<Unit> {
    let mut by_vendor: BTreeMap<&VendorId, Vec<&HandedIn>> = BTreeMap::new();
    for one in handed_in {
        by_vendor.entry(&one.vendor).or_default().push(one);
    }
    let mut units: Vec<Unit> = Vec::new();
    for (vendor, mut all) in by_vendor {
        all.sort_by_key(|one| one.at);
        let first = units.len();
        for one in all {
            let place = places.get(&one.manifest).copied();
            let open = units[first..].last_mut().filter(|unit| one.at < unit.at.plus(GRACE));
            match open {
                Some(unit) => unit.place = unit.place.into_iter().chain(place).min(),
                None => units.push(Unit { at: one.at, ours: vendor == ours, place }),
            }
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn vendor(n: usize) -> VendorId {
        VendorId::new(&format!("v{n}")).unwrap()
    }

    /// What vendors handed in (vendor, minute) in the order in which the log took it; `None`: not yet.
    #[derive(Default)]
    struct Story {
        handed_in: Vec<HandedIn>,
        places: BTreeMap<Digest, u64>,
        /// minute by which each entry was there
        there: Vec<u64>,
    }

    impl Story {
        fn hand_in(&mut self, who: usize, minute: u64) -> Digest {
            let manifest = Digest::of(format!("{who} {}", self.handed_in.len()).as_bytes());
            let at = Time(minute * MINUTE);
            self.handed_in.push(HandedIn { vendor: vendor(who), at, manifest });
            manifest
        }
        fn serve(&mut self, manifest: Digest, minute: u64) {
            self.places.insert(manifest, self.there.len() as u64);
            self.there.push(minute);
        }
        fn judged(&self) -> Finding {
            let latest = |place: u64| Time(self.there[usize::try_from(place).unwrap()] * MINUTE);
            judge(&vendor(0), &self.handed_in, &self.places, latest)
        }
    }

    /// Everything is served at once but what vendor 0 hands in at the beginning.
    /// Mutant: monitor-without-unfairness.
    #[test]
    fn a_frozen_vendor_is_found_when_twelve_others_have_passed_it() {
        let mut story = Story::default();
        story.hand_in(0, 0);
        for n in 1..=12 {
            assert!(!story.judged().is_alarm(), "after {} others", n - 1);
            let other = story.hand_in(1 + n % 3, n as u64 * 30);
            story.serve(other, n as u64 * 30 + 1);
        }
        let found = story.judged();
        assert!(found.is_alarm(), "{found:?}");
        assert_eq!((found.draws, found.passed_over), (12, 12));
        assert_eq!(found.waits_since, Some(Time(0)));
    }

    #[test]
    fn a_vendor_that_is_delayed_and_served_in_the_end_is_found_too() {
        let mut story = Story::default();
        for day in 0..12_u64 {
            let ours = story.hand_in(0, day * 1440);
            for n in 1..=3_usize {
                let other = story.hand_in(n, day * 1440 + 30 * n as u64);
                story.serve(other, day * 1440 + 30 * n as u64 + 1);
            }
            story.serve(ours, day * 1440 + 300);
        }
        let found = story.judged();
        assert!(found.is_alarm() && found.waits_since.is_none(), "{found:?}");
    }

    /// Mutant: monitor-without-grace. Outages, batches, slow witnesses, clocks that differ, lateness of our own: none of it is unfair.
    #[test]
    fn what_holds_up_everybody_alike_accuses_nobody() {
        let calm = |story: &Story, what: &str| {
            let found = story.judged();
            assert!(found.evidence <= 4.0, "{what}: {found:?}");
        };
        // An outage of a day: all that was handed in is served in order of arrival, ours last or first.
        for ours in [0, 600, 1400] {
            let mut story = Story::default();
            let mut all: Vec<(u64, usize)> =
                (0..60_usize).map(|n| (n as u64 * 20 + 1, n % 5 + 1)).collect();
            all.push((ours, 0));
            all.sort_unstable();
            let all: Vec<Digest> =
                all.into_iter().map(|(at, who)| story.hand_in(who, at)).collect();
            all.into_iter().for_each(|one| story.serve(one, 1500));
            calm(&story, "outage");
        }
        // Fifty releases in one role are one draw.
        let mut story = Story::default();
        story.hand_in(0, 0);
        let many: Vec<Digest> = (0..50).map(|_| story.hand_in(1, 30)).collect();
        many.into_iter().for_each(|one| story.serve(one, 31));
        assert_eq!(story.judged().draws, 1);
        calm(&story, "batch");
        // Those who came within the grace may have come first.
        let mut story = Story::default();
        story.hand_in(0, 10);
        for n in 1..=40 {
            let other = story.hand_in(n, n as u64 % 20);
            story.serve(other, 21);
        }
        assert_eq!(story.judged().draws, 0);
        // Nobody else's list: nothing to compare with.
        let mut story = Story::default();
        story.hand_in(0, 0);
        calm(&story, "alone");
        assert_eq!(story.judged().waits_since, Some(Time(0)));
    }

    /// Not knowing when an entry was there costs evidence, and never makes any.
    #[test]
    fn without_times_the_evidence_is_smaller() {
        let mut story = Story::default();
        story.hand_in(0, 0);
        for n in 1..=12 {
            let other = story.hand_in(1 + n % 3, n as u64 * 30);
            story.serve(other, n as u64 * 30 + 1);
        }
        let known = story.judged().evidence;
        story.there = vec![u64::MAX / MINUTE; 12];
        let unknown = story.judged().evidence;
        assert!(unknown < 20.0 && unknown < known, "{unknown} {known}");
    }

    /// Lots drawn among whoever waits: at most one in a thousand is accused, at whatever moment one looks.
    #[test]
    fn an_even_handed_line_is_accused_at_most_once_in_a_thousand() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = move |n: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % n as u64).unwrap()
        };
        let (runs, mut accused) = (2000, 0);
        for _ in 0..runs {
            let mut story = Story::default();
            let mut waiting: Vec<Digest> = Vec::new();
            let mut worst = 0.0_f64;
            for step in 0..60_u64 {
                let who = below(5);
                waiting.push(story.hand_in(who, step * 11));
                while waiting.len() > below(6) + 1 {
                    let next = waiting.swap_remove(below(waiting.len()));
                    story.serve(next, step * 11);
                }
                worst = worst.max(story.judged().evidence);
            }
            accused += u32::from(worst >= ALARM_AT);
        }
        assert!(accused <= 6, "{accused} of {runs}");
    }
}

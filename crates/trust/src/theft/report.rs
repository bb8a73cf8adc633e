//! What was measured, as people and scripts read it.
use serde::Serialize;

/// What a thief reaches who holds these keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// names of the keys
    pub stolen: Vec<String>,
    /// most hosts on which one attack installs what no honest party has authorised for them
    pub hosts_reached_max: u64,
    /// most of these to which one attack brings code that no honest vendor has signed
    pub hosts_foreign_code_max: u64,
    /// hosts of the wave that honest parties had signed already
    pub wave_signed: u64,
    /// whether the first of these numbers is not over that wave
    pub within_signed_wave: bool,
    /// whether a forged freeze stops activations
    pub can_freeze: bool,
    /// vendors whose activations it stops
    pub freezes: Vec<String>,
    /// most hosts that a forged PARK switches a running release off on
    pub hosts_parked_max: u64,
    /// most hosts that one attack keeps from a fix for over 30 days, though nobody withholds anything and
    /// the stolen keys stay in force
    pub hosts_unprotected_max: u64,
    /// the same once the platform has replaced what it signs with (one root further) and the operator the
    /// online key
    pub hosts_unprotected_after_rotation: u64,
    /// the attacks that reached anybody, or left anybody unprotected, most hosts first
    pub attacks: Vec<Tried>,
    /// attacks that were tried
    pub attacks_tried: u64,
}

/// One attack and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// what was tried: rules, code and ticket
    pub attack: String,
    /// hosts reached
    pub hosts: u64,
    /// of these with foreign code
    pub foreign_code: u64,
    /// hosts left unprotected
    pub unprotected: u64,
}

impl Reach {
    /// Hosts reached by the attacks whose name has this word in it; 0 for none.
    #[must_use]
    pub fn by(&self, word: &str) -> u64 {
        let named = self.attacks.iter().filter(|tried| tried.attack.contains(word));
        named.map(|tried| tried.hosts).max().unwrap_or(0)
    }
}

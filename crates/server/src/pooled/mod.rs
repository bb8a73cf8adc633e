//! The vendor's side of a vendor line (`docs/spec/vendor-line.md`): a server whose policy names members
//! has seats instead of hosts and reads its members' tallies instead of beats.
//!
//! What it is: the seats ([`seats`]), who takes part in a rollout and where each member's hosts stand
//! in it ([`members`]), which tallies are due and what becomes of them ([`intake`], [`round`]), who may be
//! away ([`absent`]), what is told to members ([`bulletin`], [`kept`]).
//! What it is not: a second state machine or gate. The rollout of a vendor line is an ordinary
//! [`andon_rollout::Rollout`], driven by the ordinary driver; only its observations come from here.
//!
//! Invariants: nothing is pooled twice or partly; a tally is on disk before it is acknowledged, and a
//! round in the journal before a member hears of the next one.
pub mod absent;
pub mod bulletin;
pub mod intake;
pub mod kept;
pub mod members;
pub mod round;
pub mod seats;
pub mod start;

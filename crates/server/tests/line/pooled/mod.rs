//! A vendor line over scripted members: rosters in, rounds out, tallies in. The members' hosts are a
//! small honest simulation ([`member`]); the server is the real one.
mod absent;
pub(crate) mod member;
mod refusals;
mod restarts;
mod rollouts;
mod share;
mod tallies;
pub(crate) mod world;

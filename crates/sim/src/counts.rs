//! Play by counts: per stratum and cohort, not per host.
